"""Which group of symbols to flash next, chosen by the posterior after the flashes so far.

=================  =============================================================================
policy             next flash
=================  =============================================================================
``random_order``   a group that has flashed least often: every repetition has a new random order,
                   as the usual spellers have it
``thompson``       a group of a symbol that is drawn from the posterior (Thompson 1933)
``expected_gain``  the group whose score is expected to tell most about the wanted symbol
=================  =============================================================================

Scores whose two distributions are mirror images, such as two Gaussians of one variance, tell most
about a group that lights the wanted symbol with a probability of 1/2. The reason: the information
in a score about the wanted symbol is its information about the label of the flash. That is concave
in the probability of a target and the same for p and 1 - p. So ``expected_gain`` needs to know no
more about the detector than the posterior does. It looks one flash ahead. For questions about any
set of symbols that is best over any number of flashes too (Jedynak et al.); a screen allows some
sets alone.

W. R. Thompson, "On the likelihood that one unknown probability exceeds another in view of the
evidence of two samples", Biometrika 25:285-294, 1933, doi 10.1093/biomet/25.3-4.285. T. Ma et al.,
"Adaptive sequence-based stimulus selection in an ERP-based brain-computer interface by Thompson
sampling in a multi-armed bandit problem", IEEE BIBM 2021, draw several groups at once. D. Kalika
et al., "Adaptive stimulus selection in ERP-based brain-computer interfaces by maximizing expected
discrimination gain", 2017, arXiv 1707.00375. B. Jedynak, P. I. Frazier, R. Sznitman, "Twenty
questions with noise: Bayes optimal policies for entropy loss", J Appl Probab 49:114-136, 2012.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.spelling.posterior import ScoreLikelihood, SymbolPosterior

#: The policies by name.
POLICIES = ("random_order", "thompson", "expected_gain")

#: Probabilities of a target that differ by less are equally near to 1/2.
TOLERANCE = 1e-9


def choose_group(
    posterior: SymbolPosterior,
    policy: str,
    rng: np.random.Generator,
    without: int | Collection[int] = (),
) -> int:
    """Choose the code to flash next.

    Parameters
    ----------
    posterior : SymbolPosterior
        Updated with all flashes of the character so far.
    policy : str
        One of :data:`POLICIES`.
    rng : numpy Generator
        Random generator of the choice.
    without : int or collection of int
        Codes that may not flash now, such as the last one.

    Returns
    -------
    int
        A code of the screen.

    Raises
    ------
    InputError
        As in :func:`choice_probabilities`.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> posterior = SymbolPosterior(Speller.matrix(["AB", "CD"]))
    >>> posterior.update(1, 2.0)  # A or C is likely
    >>> choose_group(posterior, "expected_gain", np.random.default_rng(0))  # A and B, or C and D
    4
    """
    probabilities = choice_probabilities(posterior, policy, without)
    return int(rng.choice(posterior.speller.codes, p=probabilities))


def choice_probabilities(
    posterior: SymbolPosterior, policy: str, without: int | Collection[int] = ()
) -> np.ndarray:
    """Compute the probability with which a policy chooses each code.

    Parameters
    ----------
    posterior, policy, without
        As in :func:`choose_group`.

    Returns
    -------
    ndarray, shape (n_codes,)
        In the order of ``posterior.speller.codes``; they sum to 1.

    Raises
    ------
    InputError
        If there is no such policy or code, every code is left out, or the groups of the screen
        change.

    Examples
    --------
    >>> from p300.speller import Speller
    >>> posterior = SymbolPosterior(Speller.single_keys("AB"), np.log([0.9, 0.1]))
    >>> choice_probabilities(posterior, "thompson").round(2).tolist()
    [0.9, 0.1]
    """
    speller = posterior.speller
    if policy not in POLICIES:
        raise InputError(f"got policy {policy!r}; expected one of {', '.join(POLICIES)}")
    if speller.is_changing:
        raise InputError(f"screen {speller.name!r}: its groups change; expected fixed groups")
    left_out = np.atleast_1d(np.asarray(without if isinstance(without, int) else list(without)))
    if len(unknown := left_out[~np.isin(left_out, speller.codes)]):
        raise InputError(
            f"got without={unknown.tolist()}; expected codes of the screen {speller.name!r}: "
            f"{list(speller.codes)}"
        )
    may_flash = ~np.isin(speller.codes, left_out)
    if not may_flash.any():
        raise InputError(f"got without={left_out.tolist()}; expected a code that may flash")
    if policy == "random_order":
        n_flashes = posterior.n_flashes_of_codes
        weights = may_flash & (n_flashes == n_flashes[may_flash].min())
    elif policy == "thompson":
        lit = speller.membership * may_flash  # (n_symbols, n_codes)
        shares = lit / np.maximum(lit.sum(axis=1, keepdims=True), 1)
        weights = posterior.probabilities @ shares
    else:
        off = np.abs(posterior.probabilities @ speller.membership - 0.5)
        weights = may_flash & (off <= off[may_flash].min() + TOLERANCE)
    if not weights.sum() > 0:  # no probable symbol has a group that may flash
        weights = may_flash
    return weights / weights.sum()


class BackspaceLearner:
    """Learn the likelihood of scores while spelling: the reward is that nothing is deleted.

    A symbol that is not followed by a backspace was probably wanted. The flashes of its character
    then have labels: a flash that lit it was a target. The likelihood is fitted to all of these.
    Flashes of a symbol that is deleted teach nothing. Symbols that are read easily are deleted
    less often, so the learned likelihood is somewhat too sure where many are deleted. A wrong
    symbol that the user leaves standing teaches wrong labels.

    This learns the scale of the scores. The detector itself learns from backspaces in
    :mod:`p300.learning`.

    Parameters
    ----------
    start : ScoreLikelihood
        Used until enough is learned; a small slope is cautious.
    n_targets : int
        Target flashes from which on the likelihood is fitted.

    Attributes
    ----------
    likelihood : ScoreLikelihood
        The one to use for the next flash.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> learner = BackspaceLearner(ScoreLikelihood(slope=0.5, offset=-0.125))
    >>> is_lit = np.arange(3000) % 6 == 0
    >>> learner.take(rng.normal(size=3000) + 2.0 * is_lit, is_lit, is_deleted=False)
    >>> round(learner.likelihood.slope)  # by theory 2
    2
    """

    def __init__(self, start: ScoreLikelihood, n_targets: int = 50):
        self.likelihood, self.n_targets = start, n_targets
        self._scores, self._labels = np.empty(0), np.empty(0, bool)

    def take(self, scores: ArrayLike, is_lit: ArrayLike, is_deleted: bool) -> None:
        """Learn from a character, once it is known whether its symbol was deleted.

        Parameters
        ----------
        scores : array-like of float, shape (n_flashes,)
            The scores of its flashes.
        is_lit : array-like of bool, shape (n_flashes,)
            Whether each flash lit the symbol that was read.
        is_deleted : bool
            Whether a backspace came next.
        """
        if is_deleted:
            return
        self._scores = np.append(self._scores, np.asarray(scores, float))
        self._labels = np.append(self._labels, np.asarray(is_lit, bool))
        if self._labels.sum() >= self.n_targets and not self._labels.all():
            self.likelihood = ScoreLikelihood.fit(self._scores, self._labels)
