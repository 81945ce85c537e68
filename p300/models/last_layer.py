"""A network in two parts: its features, and the linear layer that scores them."""

from __future__ import annotations

import copy

from torch import nn

from p300.errors import InputError


def without_last_layer(network: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """Divide a network into what computes its features and its last layer.

    Parameters
    ----------
    network : Module
        With a linear ``final_layer`` of two outputs, which ends its ``forward``; not changed.

    Returns
    -------
    body : Module
        A copy that returns the inputs of the last layer, (batch, n_features).
    layer : Linear
        The last layer.

    Raises
    ------
    InputError
        If it has no such layer.

    Examples
    --------
    >>> import torch
    >>> from p300.models import MLP
    >>> network, epochs = MLP(8, 2, 78, 120.0).eval(), torch.zeros(3, 8, 78)
    >>> body, layer = without_last_layer(network)
    >>> torch.equal(layer(body(epochs)), network(epochs))
    True
    """
    layer = getattr(network, "final_layer", None)
    if not isinstance(layer, nn.Linear) or layer.out_features != 2:
        raise InputError(
            f"got a {type(network).__name__} whose last layer cannot learn while spelling; "
            "expected a final_layer of torch.nn.Linear with two outputs"
        )
    body = copy.deepcopy(network).eval()
    body.final_layer = nn.Identity()
    return body, layer
