"""Several networks of one kind computed as one, with their weights stacked in one tensor each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from p300.models.protocols import TrainsSideBySide

#: The flashes of one training step, for each network that is still in training.
Rows = dict[int, Tensor]


class ViewsLost(RuntimeError):
    """A network replaced its weights, which are views of stacked ones, by other tensors."""


class BatchedNetworks:
    """Networks of one kind, and their losses, as one batched network.

    The parameters and statistics of each network become views of stacked ones, and its gradients
    views of stacked gradients. So training the batched network trains each network, and each keeps
    its own optimizer. The masks of dropout are those that each network would draw alone.

    Parameters
    ----------
    members : mapping of int to (nn.Module, nn.Module)
        Network and loss by number.
    compiled : callable
        Applied to the batched function, such as ``torch.compile``.
    """

    def __init__(
        self,
        members: Mapping[int, tuple[nn.Module, nn.Module]],
        compiled: Callable[[Callable], Callable] = lambda function: function,
    ):
        self.numbers = list(members)
        pairs = [NetworkWithLoss(*pair) for pair in members.values()]
        template = copy.deepcopy(pairs[0])
        self._dropouts = _mask_dropouts(template)
        self._dropout_inputs: dict[int, dict[str, Tensor]] = {}
        stacked, self._buffers = stack_module_state(pairs)
        self._parameters = {}
        self._views: list[tuple[nn.Module, str, int]] = []
        for name, value in stacked.items():
            is_trained = pairs[0].get_parameter(name).requires_grad
            self._parameters[name] = nn.Parameter(value.detach().clone(), is_trained)
            value = self._parameters[name]
            value.grad = torch.zeros_like(value) if is_trained else None
            for k, pair in enumerate(pairs):
                parameter = pair.get_parameter(name)
                parameter.data = value.detach()[k]
                parameter.grad = None if value.grad is None else value.grad[k]
                self._views.append((pair, name, parameter.data_ptr()))
        for name, value in self._buffers.items():
            if name.startswith("network."):  # statistics; those of the loss do not change
                for k, pair in enumerate(pairs):
                    buffer = pair.get_buffer(name)
                    buffer.data = value[k]
                    self._views.append((pair, name, buffer.data_ptr()))

        def loss_of_one(parameters, buffers, epochs, is_target):
            return functional_call(template, (parameters, buffers), (epochs, is_target))

        self._template = template
        self._losses = compiled(vmap(loss_of_one))

    @property
    def has_dropout(self) -> bool:
        """Whether a step needs random numbers."""
        return bool(self._dropouts)

    def takes(self, batch: Rows) -> bool:
        """Return whether a step has equally many flashes for every network."""
        return list(batch) == self.numbers and len({len(rows) for rows in batch.values()}) == 1

    def losses(
        self, epochs: Tensor, is_target: Tensor, generators: Sequence[torch.Generator] = ()
    ) -> Tensor:
        """Compute the loss of each network on its own batch.

        Parameters
        ----------
        epochs : Tensor, shape (n_networks, batch, n_chans, n_times)
        is_target : Tensor of bool, shape (n_networks, batch)
        generators : sequence of torch.Generator
            For each network, the random numbers of its dropout in this step.

        Returns
        -------
        Tensor, shape (n_networks,)
        """
        buffers = self._buffers
        if self._dropouts:
            buffers = buffers | self._masks(epochs, is_target, generators)
        return self._losses(self._parameters, buffers, epochs, is_target)

    def _masks(self, epochs: Tensor, is_target: Tensor, generators) -> dict[str, Tensor]:
        """Draw the masks of each network, in the order in which its layers would draw them."""
        n_flashes = epochs.shape[1]
        if n_flashes not in self._dropout_inputs:
            self._dropout_inputs[n_flashes] = self._inputs_of_dropouts(epochs[0], is_target[0])
        inputs = self._dropout_inputs[n_flashes]
        masks: dict[str, list[Tensor]] = {name: [] for name in inputs}
        for generator in generators:
            for name, like in inputs.items():
                kept = 1 - self._dropouts[name].p
                mask = torch.empty_like(like).bernoulli_(kept, generator=generator)
                masks[name].append(mask.div_(kept))
        return {f"{name}.mask": torch.stack(drawn) for name, drawn in masks.items()}

    def _inputs_of_dropouts(self, epochs: Tensor, is_target: Tensor) -> dict[str, Tensor]:
        """Compute one network alone, for the shapes and the order in memory of its layers."""
        inputs: dict[str, Tensor] = {}
        names = {layer: name for name, layer in self._dropouts.items()}

        def keep(layer: nn.Module, arguments: Any) -> None:
            inputs[names[layer]] = arguments[0]  # type: ignore[index]

        hooks = [layer.register_forward_pre_hook(keep) for layer in self._dropouts.values()]
        was_training = self._template.training
        with torch.no_grad():
            self._template.eval()(epochs, is_target)
        self._template.train(was_training)
        for hook in hooks:
            hook.remove()
        return inputs

    def zero_grad(self) -> None:
        """Set all gradients to zero; they stay where they are."""
        for value in self._parameters.values():
            if value.grad is not None:
                value.grad.zero_()

    def check_views(self) -> None:
        """Check that the weights and statistics of every network are still views.

        Raises
        ------
        ViewsLost
            If a network replaced some, as ``self.w.data = …`` does.
        """
        for pair, name, address in self._views:
            module, _, last = name.rpartition(".")
            if getattr(pair.get_submodule(module), last).data_ptr() != address:
                raise ViewsLost(f"{name.removeprefix('network.')} was replaced by another tensor")


class NetworkWithLoss(nn.Module):
    """A network and its loss, from epochs and labels to one number."""

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Compute the loss of a batch: a scalar."""
        return self.loss(self.network(epochs), is_target)


class MaskedDropout(nn.Module):
    """Dropout by a mask that is drawn elsewhere; without effect in evaluation."""

    mask: Tensor

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.register_buffer("mask", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the mask in training."""
        return x * self.mask if self.training else x


def _mask_dropouts(module: nn.Module) -> dict[str, MaskedDropout]:
    """Replace every dropout layer below a module; return the new ones by name."""
    replaced = {}
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.Dropout) and layer.p > 0:
            parent, _, last = name.rpartition(".")
            replaced[name] = MaskedDropout(layer.p)
            setattr(module.get_submodule(parent), last, replaced[name])
    return replaced


def why_alone(networks: Sequence[nn.Module]) -> str:
    """Return why networks have to be trained one by one; "" if they can be computed as one.

    A network opts in by the attribute ``trains_side_by_side``
    (:class:`~p300.models.protocols.TrainsSideBySide`).

    Examples
    --------
    >>> why_alone([nn.Linear(2, 2), nn.Linear(2, 2)])
    'Linear does not state trains_side_by_side'
    """
    first = networks[0]
    kind = type(first).__name__
    if len({type(network) for network in networks}) > 1:
        return "the networks are of several kinds"
    if not (isinstance(first, TrainsSideBySide) and first.trains_side_by_side):
        return f"{kind} does not state trains_side_by_side"
    trained = [[p.requires_grad for p in network.parameters()] for network in networks]
    if any(flags != trained[0] for flags in trained):
        return f"not all {kind} have the same frozen layers"
    return ""
