"""Several networks of one kind computed as one: their weights side by side in one tensor each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from p300.training.datamodule import Rows


class BatchedNetworks:
    """Networks of one kind, and their losses, as one batched network.

    The parameters of each network become views of the stacked ones, and their gradients views
    of the stacked gradients: what is learned together is there in each network, and each keeps
    its own optimizer.

    Parameters
    ----------
    members : mapping of int to (nn.Module, nn.Module)
        Number to network and loss.
    compiled : callable
        What the batched function goes through, such as ``torch.compile``.
    """

    def __init__(
        self,
        members: Mapping[int, tuple[nn.Module, nn.Module]],
        compiled: Callable[[Callable], Callable] = lambda function: function,
    ):
        self.numbers = list(members)
        pairs = [NetworkWithLoss(*pair) for pair in members.values()]
        stacked, self._buffers = stack_module_state(pairs)
        self._parameters = {
            name: nn.Parameter(value.detach().clone()) for name, value in stacked.items()
        }
        for name, value in self._parameters.items():
            value.grad = torch.zeros_like(value)
            for pair, weights, gradient in zip(pairs, value.detach(), value.grad, strict=True):
                parameter = pair.get_parameter(name)
                parameter.data, parameter.grad = weights, gradient
        template = pairs[0]

        def loss_of_one(parameters, buffers, epochs, is_target):
            return functional_call(template, (parameters, buffers), (epochs, is_target))

        self._losses = compiled(vmap(loss_of_one))

    def takes(self, batch: Rows) -> bool:
        """Tell whether a step has equally many flashes for every network."""
        return list(batch) == self.numbers and len({len(rows) for rows in batch.values()}) == 1

    def losses(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Compute the loss of each network on its own batch.

        Parameters
        ----------
        epochs : Tensor, shape (n_networks, batch, n_chans, n_times)
        is_target : Tensor of bool, shape (n_networks, batch)

        Returns
        -------
        Tensor, shape (n_networks,)
        """
        return self._losses(self._parameters, self._buffers, epochs, is_target)

    def zero_grad(self) -> None:
        """Set all gradients to zero; they stay where they are."""
        for value in self._parameters.values():
            value.grad.zero_()


class NetworkWithLoss(nn.Module):
    """A network and its loss: epochs and labels to one number."""

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Compute the loss of a batch: a scalar."""
        return self.loss(self.network(epochs), is_target)


def can_be_batched(networks: Sequence[nn.Module]) -> bool:
    """Tell whether networks may be computed as one without changing what each learns.

    They may where nothing is drawn at random and nothing but the weights is kept from step to
    step: without dropout, batch normalisation and recurrent layers.

    Examples
    --------
    >>> can_be_batched([nn.Linear(2, 2), nn.Linear(2, 2)])
    True
    >>> can_be_batched([nn.Dropout(), nn.Dropout()]), can_be_batched([nn.Linear(2, 2)])
    (False, False)
    """
    if len(networks) < 2 or len({type(n) for n in networks}) > 1:
        return False
    one = networks[0]
    random = nn.modules.dropout._DropoutNd
    return not any(isinstance(m, (random, nn.RNNBase)) for m in one.modules()) and not any(
        True for _ in one.buffers()
    )
