"""Figures of signals, scores and results: data in, a matplotlib Figure out.

Every function named ``draw_…`` takes the project's own tables and epochs and returns a
:class:`matplotlib.figure.Figure` without a window. ``figure.savefig(path)`` writes it.
``figure.get_label()`` is one sentence with its main numbers, for readers who cannot see it.
Importing this module imports neither matplotlib nor MNE.

The files, in the order of an experiment: :mod:`~p300.figures.signals` (the EEG after a flash),
:mod:`~p300.figures.flashes` (detection of single flashes), :mod:`~p300.figures.accuracy` and
:mod:`~p300.figures.confusion` (accuracy of the spelled text, and early stopping),
:mod:`~p300.figures.letter` (one letter, from EEG to symbol), :mod:`~p300.figures.learning` (a
session read while learning),
:mod:`~p300.figures.training` (training and learning curves), :mod:`~p300.figures.sweeps` (many
runs). They draw with :mod:`~p300.figures.scalp` and :mod:`~p300.figures.style`.
"""

from p300.figures.accuracy import draw_accuracy, draw_stopping, published_accuracy
from p300.figures.confusion import draw_confusion
from p300.figures.flashes import draw_reliability, draw_roc, draw_scores
from p300.figures.learning import draw_session
from p300.figures.letter import draw_letter
from p300.figures.scalp import draw_scalp_map
from p300.figures.signals import draw_averages, draw_difference_image, draw_scalp_series
from p300.figures.sweeps import draw_accuracy_panels, draw_auc_intervals, draw_sweep
from p300.figures.training import draw_learning_curves, draw_training, read_training

__all__ = [
    "draw_accuracy",
    "draw_accuracy_panels",
    "draw_auc_intervals",
    "draw_averages",
    "draw_confusion",
    "draw_difference_image",
    "draw_learning_curves",
    "draw_letter",
    "draw_reliability",
    "draw_roc",
    "draw_scalp_map",
    "draw_scalp_series",
    "draw_scores",
    "draw_session",
    "draw_stopping",
    "draw_sweep",
    "draw_training",
    "published_accuracy",
    "read_training",
]
