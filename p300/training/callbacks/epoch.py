"""What the project's own callbacks of Lightning have in common."""

from __future__ import annotations

import pytorch_lightning as pl


class EpochCallback(pl.callbacks.Checkpoint):
    """A callback with nothing to do at a step of training: Lightning passes it over there.

    Lightning calls six hooks of every callback at every step, each as long as a layer of a small
    network takes. At the end of a training epoch it comes after those that stop the training.
    """

    on_train_batch_start = on_train_batch_end = None  # type: ignore[assignment]
    on_before_zero_grad = on_before_optimizer_step = None  # type: ignore[assignment]
    on_before_backward = on_after_backward = None  # type: ignore[assignment]
