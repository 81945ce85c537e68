"""Linear detectors and OCLNN in whole numbers of 16 bits, as the C of :mod:`p300.export.c99`.

Steps are powers of two, so a weight or sample that is a whole number of steps is exact. All sums
are of whole numbers of 64 bits, which cannot overflow, and therefore exact too. Errors come from
rounding samples and weights alone, and their sum has an upper limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from p300.detector import Detector, Member

#: Largest number of 16 bits.
MOST = 2**15 - 1

#: Samples per unit of the epochs: 1/1024 of a standard deviation, up to 32 of them, for scaled
#: epochs; 1/32 µV, up to 1024 µV, for others.
PER_UNIT = {"sd": 1024, "uV": 32, "AD": 32}


@dataclass(frozen=True, eq=False)
class Rounded:
    """Real numbers as whole numbers of 16 bits, times a step that is a power of two.

    Parameters
    ----------
    whole : ndarray of int64
        From -32767 to 32767.
    step : float
        The largest error is half of it.

    Examples
    --------
    >>> Rounded.of(np.array([0.5, -0.25])).real.tolist()  # powers of two are exact
    [0.5, -0.25]
    """

    whole: np.ndarray
    step: float

    @classmethod
    def of(cls, real: np.ndarray) -> Rounded:
        """Round with the smallest step for which all numbers fit."""
        largest = float(np.abs(real).max())
        step = 2.0 ** (math.frexp(largest)[1] - 15) if largest else 1.0
        if np.rint(largest / step) > MOST:
            step *= 2
        return cls(np.rint(real / step).astype(np.int64), step)

    @property
    def real(self) -> np.ndarray:
        """The numbers that are stored."""
        return self.whole * self.step


def round_epochs(epochs: np.ndarray, unit: str) -> np.ndarray:
    """Round preprocessed epochs to whole numbers of 16 bits; larger ones become the largest.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Preprocessed.
    unit : str
        Of the epochs: a key of :data:`PER_UNIT`.

    Returns
    -------
    ndarray of int16

    Examples
    --------
    >>> round_epochs(np.array([[[1.0, -100.0]]]), "sd").tolist()
    [[[1024, -32768]]]
    """
    return np.clip(np.rint(epochs * PER_UNIT[unit]), -MOST - 1, MOST).astype(np.int16)


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A weighted sum of all samples of an epoch.

    Parameters
    ----------
    weights : ndarray of float, shape (n_chans, n_times)
        Exact weights.
    offset : float
        Added to the sum.
    sample_step : float
        Of the rounded epochs.
    """

    weights: np.ndarray
    offset: float
    sample_step: float

    @cached_property
    def rounded(self) -> Rounded:
        """The weights that are stored."""
        return Rounded.of(self.weights)

    @property
    def step(self) -> float:
        """What one step of the whole sum is in units of the score."""
        return self.rounded.step * self.sample_step

    @property
    def n_multiply_adds(self) -> int:
        """Multiplications of whole numbers per flash, each added to a sum."""
        return self.weights.size

    def score(self, epochs: np.ndarray) -> np.ndarray:
        """Score rounded epochs (n_flashes, n_chans, n_times) as the C does: (n_flashes,)."""
        sums = epochs.reshape(len(epochs), -1).astype(np.int64) @ self.rounded.whole.ravel()
        return self.step * sums.astype(float) + self.offset

    def largest_error(self, epochs: np.ndarray) -> np.ndarray:
        """Bound the error of the scores of rounded epochs, of which none was too large.

        A sample is wrong by at most half a step, and so is a weight: with weights ``w`` and
        rounded samples ``x``, the error is at most ``sum(|w|) dx / 2 + sum(|x|) dw / 2``.
        """
        sizes = np.abs(epochs.astype(float)).sum(axis=(1, 2)) * self.sample_step
        of_samples = np.abs(self.weights).sum() * self.sample_step / 2
        return of_samples + sizes * self.rounded.step / 2


@dataclass(frozen=True, eq=False)
class OclnnForm:
    """OCLNN: filters over pieces of an epoch, positive outputs, and their weighted sum.

    Parameters
    ----------
    kernels : ndarray of float, shape (n_filters, n_chans, piece)
        Exact weights of the convolution.
    biases : ndarray of float, shape (n_filters,)
        Of the convolution.
    last : ndarray of float, shape (n_filters, n_pieces)
        Weights of the last layer in the score.
    offset : float
        Added to the score.
    n_before, n_times : int
        Zeros before the first sample, and samples.
    sample_step : float
        Of the rounded epochs.

    Raises
    ------
    InputError
        If a sum could need more than 64 bits.
    """

    kernels: np.ndarray
    biases: np.ndarray
    last: np.ndarray
    offset: float
    n_before: int
    n_times: int
    sample_step: float

    def __post_init__(self) -> None:
        biases = np.abs(self.whole_biases)
        inner = 2.0**15 * np.abs(self.rounded.whole).sum(axis=(1, 2)) + biases
        largest = float(inner @ np.abs(self.rounded_last.whole).sum(axis=1))
        if largest >= 2.0**63:
            raise InputError(
                f"a sum of the network could be {largest:.1e}; expected less than 2^63, which an "
                f"int64_t holds; choose fewer electrodes or filters"
            )

    @cached_property
    def rounded(self) -> Rounded:
        """The kernels that are stored."""
        return Rounded.of(self.kernels)

    @cached_property
    def rounded_last(self) -> Rounded:
        """The last weights that are stored."""
        return Rounded.of(self.last)

    @cached_property
    def whole_biases(self) -> np.ndarray:
        """The biases that are stored, in steps of the filters' sums: int64, (n_filters,)."""
        return np.rint(self.biases / self.inner_step).astype(np.int64)

    @property
    def inner_step(self) -> float:
        """What one step of a filter's whole sum is."""
        return self.rounded.step * self.sample_step

    @property
    def step(self) -> float:
        """What one step of the whole score is in units of the score."""
        return self.inner_step * self.rounded_last.step

    @property
    def n_multiply_adds(self) -> int:
        """Multiplications of whole numbers per flash, each added to a sum."""
        n_filters, n_chans, _ = self.kernels.shape
        return n_filters * n_chans * self.n_times + self.last.size

    def score(self, epochs: np.ndarray) -> np.ndarray:
        """Score rounded epochs (n_flashes, n_chans, n_times) as the C does: (n_flashes,)."""
        pieces = self._pieces(epochs.astype(np.int64))
        n_filters = len(self.kernels)
        sums = pieces @ self.rounded.whole.reshape(n_filters, -1).T + self.whole_biases
        outputs = np.maximum(sums, 0).swapaxes(1, 2).reshape(len(epochs), -1)
        whole = outputs @ self.rounded_last.whole.ravel()
        return self.step * whole.astype(float) + self.offset

    def largest_error(self, epochs: np.ndarray) -> np.ndarray:
        """Bound the error of the scores of rounded epochs, of which none was too large.

        The sum of a filter is wrong by at most as much as a :class:`LinearForm`, and half a step
        of its bias. That error is multiplied by the exact last weights; and the rounded output of
        the filter by half a step of them.
        """
        pieces = self._pieces(epochs.astype(np.int64))  # (n_flashes, n_pieces, n_chans * piece)
        n_filters = len(self.kernels)
        size = np.abs(pieces).sum(axis=2) * self.sample_step  # (n_flashes, n_pieces)
        kernels = np.abs(self.kernels).reshape(n_filters, -1).sum(axis=1)
        inner = (kernels * self.sample_step + self.inner_step) / 2  # (n_filters,)
        errors = inner[:, None] + size[:, None] * self.rounded.step / 2
        sums = pieces @ self.rounded.whole.reshape(n_filters, -1).T + self.whole_biases
        outputs = np.maximum(sums, 0).swapaxes(1, 2) * self.inner_step
        both = errors * np.abs(self.last) + outputs * self.rounded_last.step / 2
        return both.sum(axis=(1, 2))

    def _pieces(self, epochs: np.ndarray) -> np.ndarray:
        """Cut epochs with their zeros: (n_flashes, n_pieces, n_chans * piece)."""
        n, n_chans, n_times = epochs.shape
        piece, n_pieces = self.kernels.shape[2], self.last.shape[1]
        n_after = n_pieces * piece - n_times - self.n_before
        padded = np.pad(epochs, ((0, 0), (0, 0), (self.n_before, n_after)))
        cut = padded.reshape(n, n_chans, n_pieces, piece)
        return cut.swapaxes(1, 2).reshape(n, n_pieces, n_chans * piece)


def form_of(detector: Detector) -> LinearForm | OclnnForm:
    """Return what a detector computes from preprocessed epochs, if it is linear or an OCLNN.

    Weights of a stack and the calibration are part of its weights.

    Raises
    ------
    InputError
        If it is another detector.
    """
    from p300.models import OCLNN

    steps, (slope, offset) = detector.preprocessor, detector.calibration
    sample_step = 1 / PER_UNIT[steps.unit_out]
    models = [member.detector for member in detector.members]
    if all(hasattr(model, "epoch_weights") for model in models):
        weights = np.zeros((len(steps.ch_names_), steps.n_times))
        for member in detector.members:
            weight = slope * member.weight
            weights += weight * np.asarray(member.detector.epoch_weights(), float)
            offset += weight * float(member.detector.intercept_)
        return LinearForm(weights, offset, sample_step)
    if type(models[0]) is not OCLNN or len(models) > 1 or not _is_log_odds(detector.members[0]):
        kinds = ", ".join(type(model).__name__ for model in models)
        raise InputError(
            f"format=c99 got a detector of {kinds}; expected linear detectors (such as "
            f"experiment=ridge or lda) or one OCLNN that is trained with cross-entropy"
        )
    network: Any = models[0]
    weight = slope * detector.members[0].weight
    convolution, layer = network.convolution, network.final_layer
    kernels, biases, last, bias = (
        value.detach().double().numpy()
        for value in (convolution.weight, convolution.bias, layer.weight, layer.bias)
    )
    return OclnnForm(
        kernels,
        biases,
        weight * (last[1] - last[0]).reshape(len(kernels), -1),
        offset + weight * float(bias[1] - bias[0]),
        network.zeros[0],
        steps.n_times,
        sample_step,
    )


def _is_log_odds(member: Member) -> bool:
    """Return whether the score of a network is the difference of its two logits."""
    import torch

    logits = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    return torch.equal(member.read_logits(logits), logits[:, 1] - logits[:, 0])
