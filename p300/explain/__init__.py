"""What a detector learned: filters and patterns, attribution, occlusion."""

from p300.explain.attribution import Attribution, attribute_targets, integrated_gradients
from p300.explain.filters import (
    electrode_power,
    frequency_response,
    linear_weights,
    rank_electrodes,
    spatial_filters,
    spatial_patterns,
    temporal_kernels,
)
from p300.explain.occlusion import Occlusion, occlude, occlude_electrodes, occlude_windows
from p300.explain.patterns import channel_covariance, haufe_patterns, score_pattern
from p300.explain.sanity import Sanity, check_attribution, check_sanity

__all__ = [
    "Attribution",
    "Occlusion",
    "Sanity",
    "attribute_targets",
    "channel_covariance",
    "check_attribution",
    "check_sanity",
    "electrode_power",
    "frequency_response",
    "haufe_patterns",
    "integrated_gradients",
    "linear_weights",
    "occlude",
    "occlude_electrodes",
    "occlude_windows",
    "rank_electrodes",
    "score_pattern",
    "spatial_filters",
    "spatial_patterns",
    "temporal_kernels",
]
