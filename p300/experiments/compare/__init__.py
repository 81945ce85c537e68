"""``p300 compare``: finished runs side by side, with the spread over seeds and over people."""

from p300.experiments.compare.collect import MEASURES, collect_runs, collect_wandb_runs
from p300.experiments.compare.table import (
    REPETITIONS,
    compare_runs,
    comparison_table,
    markdown_table,
    write_comparison,
)

__all__ = [
    "MEASURES",
    "REPETITIONS",
    "collect_runs",
    "collect_wandb_runs",
    "compare_runs",
    "comparison_table",
    "markdown_table",
    "write_comparison",
]
