"""The project's own callbacks of Lightning."""

from p300.training.callbacks.epoch import EpochCallback

__all__ = ["EpochCallback"]
