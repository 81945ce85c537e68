"""A callback of your own, of Lightning; callbacks/mine.yaml names it."""

import torch
from pytorch_lightning import Callback


class WeightNorm(Callback):
    """Write the norm of all weights into the curves of the training, metrics.csv."""

    def on_train_epoch_end(self, trainer, pl_module):
        """Log it."""
        weights = torch.cat([p.detach().flatten() for p in pl_module.parameters()])
        pl_module.log("weight_norm", weights.norm())
