"""Integrity of a speller's labels: whether the EEG of each character follows its wanted symbol.

A text that is wrong in part leaves a difference between targets and nontargets on average. But in
the characters where it is wrong, the flashes of another symbol evoke more than those of the
labelled one. A few of these are no finding: people look at a neighbour now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import bdtrc

from p300.flashes import CHARACTER_KEY, fitting_symbols, with_lit_codes
from p300.integrity.finding import Finding
from p300.recording import Recording
from p300.speller import Speller

#: Standard errors by which another symbol must evoke more than the labelled one.
MISFIT = 2.0

#: Fraction of characters where it may do so though the labels are right, and the chance of a
#: finding if it does.
SLIPS, P_FALSE = 0.05, 0.01

#: Ridge penalty, as a part of the mean variance.
PENALTY = 0.1

#: Limit of scores, in standard deviations, for artefacts.
LIMIT = 3.5


def check_symbols(recording: Recording, data: np.ndarray) -> Iterator[Finding]:
    """Find whether more characters than a few have labels that their EEG contradicts.

    Parameters
    ----------
    recording : Recording
        Its flashes are labelled.
    data : ndarray, shape (n_flashes, n_chans, n_times)
        EEG after each flash, without what channels share.
    """
    if recording.speller is None:
        return
    flashes, speller = with_lit_codes(recording.flashes, recording.speller)
    is_spelled = flashes["character"].notna().to_numpy()
    is_target = flashes["is_target"].to_numpy(bool)
    known = [
        (rows, fitting[0])
        for rows, fitting in fitting_symbols(flashes, speller)
        if fitting is not None and len(fitting) == 1 and is_spelled[rows[0]]
        if is_target[rows].any() and not is_target[rows].all()
    ]
    if len(known) < 2:
        return
    characters = [rows for rows, _ in known]
    labelled = np.array([speller.symbols.index(symbol) for _, symbol in known])
    column = {code: k for k, code in enumerate(speller.codes)}
    code = flashes["code"].map(column).fillna(-1).to_numpy(int)  # of no character
    features = data.reshape(len(data), -1).astype(float)
    used = np.ones(len(known), bool)
    for _ in range(2):  # the second time without the characters that may be wrong
        scores = _scores(features, is_target, characters, used)
        excess, other = _excess(scores, code, characters, labelled, speller)
        used = excess <= np.maximum(1.0, np.median(excess))
    wrong = np.flatnonzero(excess > MISFIT)
    if not len(wrong) or bdtrc(len(wrong) - 1, len(known), SLIPS) > P_FALSE:
        return
    told = [c for c in CHARACTER_KEY if c == "character" or flashes[c].nunique() > 1]
    places = flashes[told].iloc[[characters[k][0] for k in wrong]].to_dict("records")
    listed = [
        f"{', '.join(f'{name} {value}' for name, value in place.items())}: "
        f"{speller.symbols[other[k]]} instead of {speller.symbols[labelled[k]]}"
        for place, k in zip(places, wrong, strict=True)
    ]
    more = "; …" if len(listed) > 12 else ""
    text = (
        f"In {len(wrong)} of {len(known)} characters looked at, another symbol evokes more than "
        f"the labelled one ({'; '.join(listed[:12])}{more}): is the text right there?"
    )
    yield Finding("warn", "symbols", text, len(wrong))


def _scores(
    features: np.ndarray, is_target: np.ndarray, characters: Sequence[np.ndarray], used: np.ndarray
) -> np.ndarray:
    """Score the flashes by ridge regression on the used characters, each without itself.

    Returns
    -------
    ndarray, shape (n_flashes,)
        0 for flashes of no character.
    """
    rows = np.concatenate([own for own, is_used in zip(characters, used, strict=True) if is_used])
    x = features - features[rows].mean(axis=0)
    y = is_target - is_target[rows].mean()
    inner = x[rows].T @ x[rows]
    inner[np.diag_indices(len(inner))] += PENALTY * np.trace(inner) / len(inner) + 1e-20
    inverse = np.linalg.inv(inner)
    weights = inverse @ (x[rows].T @ y[rows])
    scores = np.zeros(len(x))
    for own, is_used in zip(characters, used, strict=True):
        scores[own] = x[own] @ weights
        if is_used:  # what the regression without them gives, from that with them
            rest = np.eye(len(own)) - x[own] @ inverse @ x[own].T
            scores[own] = y[own] - np.linalg.solve(rest, y[own] - scores[own])
    return scores


def _excess(
    scores: np.ndarray,
    code: np.ndarray,
    characters: Sequence[np.ndarray],
    labelled: np.ndarray,
    speller: Speller,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute by how much another symbol evokes more than the labelled one.

    Returns
    -------
    excess : ndarray, shape (n_characters,)
        In standard errors, of the symbol with the largest.
    other : ndarray of int, shape (n_characters,)
        That symbol.
    """
    inside = np.concatenate(characters)
    centred = scores - np.median(scores[inside])
    limit = LIMIT * _spread(centred[inside])
    centred = np.clip(centred, -limit, limit)
    member = speller.membership.astype(float)
    n, mean = np.zeros((2, len(characters), len(speller.codes)))
    for k, rows in enumerate(characters):
        np.add.at(n[k], code[rows], 1)
        np.add.at(mean[k], code[rows], centred[rows])
    mean /= np.maximum(n, 1)
    # the noise of a code's mean, as the codes of nontargets differ: flashes are not independent
    is_other = (n > 0) & ~speller.membership[labelled]
    apart = np.where(is_other, mean, np.nan)
    apart = (apart - np.nanmedian(apart, axis=1, keepdims=True)) * np.sqrt(n)
    noise = np.array([_spread(one[np.isfinite(one)]) for one in apart])
    noise = np.maximum(noise, max(_spread(apart[np.isfinite(apart)]), _spread(centred[inside])))
    excess, other = np.empty(len(characters)), np.empty(len(characters), int)
    for k, symbol in enumerate(labelled):
        contrast = (member - member[symbol]) * (n[k] > 0)
        error = noise[k] * np.sqrt(contrast**2 @ (1 / np.maximum(n[k], 1)))
        ratio = np.divide(
            contrast @ mean[k], error, out=np.full(len(error), -np.inf), where=error > 0
        )
        other[k] = ratio.argmax()
        excess[k] = ratio[other[k]]
    return excess, other


def _spread(values: np.ndarray) -> float:
    """Return the standard deviation of the middle values, as of a Gaussian."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0
