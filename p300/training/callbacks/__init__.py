"""The project's own callbacks of Lightning."""

from p300.training.callbacks.epoch import EpochCallback
from p300.training.callbacks.federated import FederatedAveraging

__all__ = ["EpochCallback", "FederatedAveraging"]
