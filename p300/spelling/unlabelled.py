"""The likelihood of scores without labels: each character has one unknown symbol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from p300.spelling.posterior import ScoreLikelihood

if TYPE_CHECKING:
    from p300.speller import Speller

#: Steps of expectation-maximization at most.
MAX_STEPS = 100

#: Smallest distance and variance of two classes of scores, in standard deviations of all.
MIN_DISTANCE = 1e-3


def fit_unlabelled(characters: Sequence[tuple], speller: Speller) -> ScoreLikelihood:
    """Fit the likelihood by expectation-maximization over the symbols of all characters.

    Parameters
    ----------
    characters : sequence of tuple
        From :func:`p300.spelling.sums.split_characters`.
    speller : Speller
        The screen.

    Returns
    -------
    ScoreLikelihood
        With a positive slope; not clipped. Of no character: a slope of 1, an offset of 0.
    """
    if not characters:
        return ScoreLikelihood(1.0, 0.0)
    pooled = np.concatenate([score for _, _, _, score, _ in characters])
    centre, scale = float(pooled.mean()), float(pooled.std()) or 1.0
    # per character and code: flashes, and sums of the standardized scores and of their squares
    n, total, squares = np.zeros((3, len(characters), len(speller.codes)))
    for k, (_, code, _, score, _) in enumerate(characters):
        standard = (score - centre) / scale
        for gathered, value in ((n, 1.0), (total, standard), (squares, standard**2)):
            np.add.at(gathered[k], code, value)
    lit = speller.membership.T.astype(float)  # (n_codes, n_symbols)
    n_all, sum_all = n.sum(1, keepdims=True), total.sum(1, keepdims=True)
    n_lit, sum_lit = n @ lit, total @ lit
    # first guess: for each character the symbol whose scores differ most from the others'
    covariance, variance = sum_lit - n_lit * sum_all / n_all, n_lit - n_lit**2 / n_all
    t = np.where(variance > 0, covariance / np.sqrt(np.maximum(variance, 1e-12)), -np.inf)
    p_symbol = np.eye(len(speller.symbols))[t.argmax(1)]
    before = np.zeros(2)
    for _ in range(MAX_STEPS):
        p_target = p_symbol @ lit.T  # of each character and code
        means, spread = [], 0.0
        for p in (p_target, 1 - p_target):
            mean = (p * total).sum() / max((p * n).sum(), 1e-12)
            spread += (p * (squares - 2 * mean * total + mean**2 * n)).sum()
            means.append(mean)
        target, nontarget = means
        slope = max(target - nontarget, MIN_DISTANCE) / max(spread / n.sum(), MIN_DISTANCE)
        line = np.array([slope, -slope * (target + nontarget) / 2])
        evidence = line[0] * sum_lit + line[1] * n_lit
        p_symbol = np.exp(evidence - evidence.max(1, keepdims=True))
        p_symbol /= p_symbol.sum(1, keepdims=True)
        if np.allclose(line, before, rtol=1e-6, atol=1e-9):
            break
        before = line
    slope, offset = line.tolist()
    return ScoreLikelihood(slope / scale, offset - slope * centre / scale)
