"""The fraction of letters that are read, as a score of scikit-learn and of MOABB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY
from p300.speller import Speller
from p300.spelling.sums import spell

if TYPE_CHECKING:
    import pandas as pd

#: Probabilities are kept this far from 0 and 1, so that their log odds are finite.
MARGIN = 1e-12


def letter_scorer(speller: Speller, n_repetitions: int | None = None) -> Callable[..., float]:
    """Build a score of detectors: the fraction of characters that they read correctly.

    Parameters
    ----------
    speller : Speller
        The screen.
    n_repetitions : int or None
        Repetitions to read each character after; None for all.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, for ``scoring`` of scikit-learn and ``scorer`` of a MOABB
        paradigm. ``X`` is Epochs of p300, or of MNE whose metadata have ``code``, ``character``
        and ``repetition``. It raises an InputError for anything else, and where a split has
        divided a character.

    Examples
    --------
    >>> from p300 import WADSWORTH, Preprocessor, simulate_recording
    >>> from p300.baselines import ShrinkageLDA
    >>> recording = simulate_recording("THE_QUICK_FOX", n_repetitions=5, seed=1)
    >>> epochs = Preprocessor(scaling="center").fit(recording).epochs(recording)
    >>> detector = ShrinkageLDA().fit(epochs.data, epochs.flashes["is_target"])
    >>> class OfEpochs:
    ...     def decision_function(self, epochs):
    ...         return detector.decision_function(epochs.data)
    >>> letter_scorer(WADSWORTH)(OfEpochs(), epochs)
    1.0
    """
    return partial(_score, speller=speller, n_repetitions=n_repetitions)


def _check_whole(flashes: pd.DataFrame, speller: Speller) -> None:
    """Refuse characters of which a split has taken flashes away.

    Raises
    ------
    InputError
        If a repetition before a character's last has fewer than half of its flashes.
    """
    n_flashes = flashes.groupby([*CHARACTER_KEY, "repetition"], dropna=False).size()
    characters = n_flashes.groupby(level=CHARACTER_KEY, dropna=False)
    n_repetitions = characters.transform(lambda one: one.index.get_level_values(-1).max() + 1)
    is_last = n_flashes.index.get_level_values(-1) + 1 == n_repetitions
    is_short = (n_flashes < speller.n_per_repetition / 2) & ~is_last
    is_lost = characters.size() < characters.apply(lambda one: one.index[-1][-1] + 1)
    if is_short.any() or is_lost.any():
        raise InputError(
            f"got {int(is_short.sum() + is_lost.sum())} repetitions without half of their "
            "flashes; expected whole characters; split by character, such as with groups"
        )


def _score(
    estimator: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    speller: Speller,
    n_repetitions: int | None,
) -> float:
    from p300.preprocessing.inputs import as_epochs

    epochs = as_epochs(X)
    if epochs is None:
        raise InputError(
            f"got {type(X).__name__}, which has no flash table; expected Epochs of p300 or MNE to "
            "count letters; in MOABB, set return_epochs=True"
        )
    if hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(X)
    else:
        from scipy.special import logit

        scores = logit(np.clip(estimator.predict_proba(X)[:, 1], MARGIN, 1 - MARGIN))
    flashes = epochs.flashes
    if y is not None and flashes["is_target"].isna().all():
        flashes = flashes.assign(is_target=np.asarray(y) == np.unique(y)[-1])
    _check_whole(flashes, speller)
    spelled = spell(scores, flashes, speller)
    if n_repetitions is not None:
        spelled = spelled[spelled["n_repetitions"] <= n_repetitions]
    is_right = spelled.drop_duplicates(CHARACTER_KEY, keep="last")["is_right"].dropna()
    if not len(is_right):
        raise InputError("got no character whose symbol is known; expected flashes with labels")
    return float(is_right.mean())
