"""Several networks of one kind computed as one, with their weights stacked in one tensor each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from p300.training.datamodule import Rows


class BatchedNetworks:
    """Networks of one kind, and their losses, as one batched network.

    The parameters of each network become views of stacked parameters, and their gradients views
    of stacked gradients. So training the batched network trains each network, and each keeps its
    own optimizer.

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
        """Return whether a step has equally many flashes for every network."""
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
            assert value.grad is not None
            value.grad.zero_()


class NetworkWithLoss(nn.Module):
    """A network and its loss, from epochs and labels to one number."""

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, epochs: Tensor, is_target: Tensor) -> Tensor:
        """Compute the loss of a batch: a scalar."""
        return self.loss(self.network(epochs), is_target)


def can_be_batched(networks: Sequence[nn.Module]) -> bool:
    """Return whether networks can be computed as one without changing what each learns.

    They can if they use no random numbers and keep nothing but weights from step to step: without
    dropout, batch normalisation and recurrent layers.

    Examples
    --------
    >>> can_be_batched([nn.Linear(2, 2), nn.Linear(2, 2)])
    True
    >>> can_be_batched([nn.Dropout(), nn.Dropout()]), can_be_batched([nn.Linear(2, 2)])
    (False, False)
    """
    if len(networks) < 2 or len({type(n) for n in networks}) > 1:
        return False
    refused = nn.modules.dropout._DropoutNd, nn.RNNBase
    is_refused = any(isinstance(module, refused) for module in networks[0].modules())
    return not is_refused and not list(networks[0].buffers())
