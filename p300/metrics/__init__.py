"""Metrics of detection and spelling, with confidence intervals and significance tests."""

from p300.metrics.intervals import (
    MIN_SUBJECTS,
    auc_counts,
    bootstrap_weights,
    brier_score,
    calibration_error,
    holm,
    interval,
    resampling_units,
    signed_rank_test,
    weighted_auc,
)
from p300.metrics.measures import (
    bits_per_minute,
    bits_per_selection,
    detection_metrics,
    roc_auc,
    wilson_interval,
)

__all__ = [
    "MIN_SUBJECTS",
    "auc_counts",
    "bits_per_minute",
    "bits_per_selection",
    "bootstrap_weights",
    "brier_score",
    "calibration_error",
    "detection_metrics",
    "holm",
    "interval",
    "resampling_units",
    "roc_auc",
    "signed_rank_test",
    "weighted_auc",
    "wilson_interval",
]
