"""What checkpoint and export have in common: a detector without the part that scores epochs.

There are two kinds of trained detector, :class:`p300.Detector` and :class:`p300.OnnxDetector`.
Both have the same preprocessing, alignment and screen, and write them into their files in the same
format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.preprocessing import Epochs, EuclideanAlignment, Preprocessor, aligned
from p300.preprocessing.state import from_full_state, full_state
from p300.speller import Speller

if TYPE_CHECKING:
    from p300.recording import Recording


class DescribedDetector(ABC):
    """A trained detector, from recordings to scores, for any way to compute the scores.

    Attributes
    ----------
    preprocessor : Preprocessor
        Fitted; it knows its channels.
    speller : Speller or None
        The screen.
    alignment : EuclideanAlignment or None
        Applied to the epochs after preprocessing.
    """

    preprocessor: Preprocessor
    speller: Speller | None
    alignment: EuclideanAlignment | None

    @abstractmethod
    def score_epochs(self, epochs: np.ndarray) -> np.ndarray:
        """Score epochs (n_flashes, n_chans, n_times) of :meth:`epochs`: shape (n_flashes,)."""

    def score(self, recording: Recording) -> np.ndarray:
        """Score every flash of a recording.

        Parameters
        ----------
        recording : Recording
            With the channels of :attr:`preprocessor`, in any order, at its rate and in its unit.

        Returns
        -------
        ndarray of float64, shape (n_flashes,)
            In the order of the flash table; larger = more target-like.

        Raises
        ------
        InputError
            If the recording lacks channels, or has another rate or unit.
        """
        return self.score_epochs(self.epochs(recording).data)

    def epochs(self, recording: Recording, *, on_cut: Callable | None = None) -> Epochs:
        """Preprocess and align the epochs of a recording, ready to be scored.

        ``on_cut`` is that of :meth:`~p300.preprocessing.Preprocessor.epochs`.
        """
        return aligned(self.preprocessor.epochs(recording, on_cut=on_cut), self.alignment)

    def describe(self) -> dict[str, Any]:
        """Return the description as plain containers, for JSON and checkpoints."""
        return {
            "preprocessing": full_state(self.preprocessor),
            "speller": None if self.speller is None else self.speller.to_dict(),
            "alignment": None if self.alignment is None else self.alignment.to_dict(),
        }


def check_format(path: Path, content: Any, expected: str) -> None:
    """Check that the content of a file is a mapping with this ``format``."""
    found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
    if found != expected:
        raise InputError(f"{path}: its format is {found!r}; expected {expected!r}")


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn every error about damaged content into one that names the file and what it should be.

    Raises
    ------
    InputError
        If the content is damaged.
    """
    damages = LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except damages as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"{path}: damaged ({reason}); expected {expected}") from error


def read_description(content: Mapping[str, Any], *, is_own: bool = False) -> dict[str, Any]:
    """Build what :meth:`DescribedDetector.describe` described.

    Parameters
    ----------
    content : mapping
        Plain containers.
    is_own : bool
        Whether they come from a file of this user, which may name any class.

    Returns
    -------
    dict
        ``preprocessor``, ``speller`` and ``alignment``.

    Raises
    ------
    InputError
        If the parts of the preprocessing do not fit together, or its class is not trusted.
    KeyError, TypeError, ValueError
        If something is missing or damaged.
    """
    preprocessor = from_full_state(content["preprocessing"], is_own=is_own)
    if isinstance(preprocessor, Preprocessor):
        preprocessor.resolve(preprocessor.ch_names_in_, where="its preprocessing")
    speller, alignment = content["speller"], content["alignment"]
    return {
        "preprocessor": preprocessor,
        "speller": None if speller is None else Speller.from_dict(speller),
        "alignment": None if alignment is None else EuclideanAlignment(**alignment),
    }
