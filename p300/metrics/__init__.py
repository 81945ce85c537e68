"""Metrics of detection and spelling, with confidence intervals and significance tests."""

from p300.metrics.calibration import (
    brier_score,
    calibration_error,
)
from p300.metrics.forecast import (
    MIN_POINTS,
    Forecast,
    PowerLaw,
    fit_power_law,
    forecast_auc,
)
from p300.metrics.intervals import (
    MIN_UNITS,
    Counts,
    Interval,
    auc_interval,
    confidence_interval,
    mean_auc,
    rate_interval,
    wilson_interval,
)
from p300.metrics.measures import (
    bits_per_minute,
    bits_per_selection,
    detection_metrics,
    on_one_scale,
    roc_auc,
)
from p300.metrics.significance import (
    MIN_SUBJECTS,
    holm,
    signed_rank_test,
)
from p300.metrics.units import (
    auc_counts,
    resampling_units,
    unit_name,
    weighted_auc,
)

__all__ = [
    "Counts",
    "Forecast",
    "Interval",
    "MIN_POINTS",
    "MIN_SUBJECTS",
    "MIN_UNITS",
    "PowerLaw",
    "auc_counts",
    "auc_interval",
    "bits_per_minute",
    "bits_per_selection",
    "brier_score",
    "calibration_error",
    "confidence_interval",
    "detection_metrics",
    "fit_power_law",
    "forecast_auc",
    "holm",
    "mean_auc",
    "on_one_scale",
    "rate_interval",
    "resampling_units",
    "unit_name",
    "roc_auc",
    "signed_rank_test",
    "weighted_auc",
    "wilson_interval",
]
