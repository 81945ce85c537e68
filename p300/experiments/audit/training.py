"""Checks of the ways in which test data could reach what is fitted.

The checks fit or train again after a change that must not matter, and compare bit by bit.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t

from p300.errors import InputError
from p300.experiments.audit.checks import Check
from p300.experiments.fitting.own_preprocessing import Fit, learned_from_test
from p300.metrics import roc_auc
from p300.splits import Split
from p300.splits.leaks import parts, samples_read

if TYPE_CHECKING:
    from p300.preprocessing import Epochs
    from p300.recording import Recording

#: Of 5 permuted trainings the 99 % interval is twice their deviation wide, either way; of 3 it is
#: six times, of 2 forty-five times.
FEWEST = 5

#: A wider interval about an AUC of 0.5, either way, also holds detectors that know much.
WIDEST = 0.2

#: Trains again on a recording and its split; returns one score per flash. With
#: ``redrawn=k`` it begins with other first weights.
Train = Callable[..., np.ndarray]


def check_statistics(fit: Fit, recording: Recording, split: Split) -> Check:
    """Check that the preprocessing is the same with and without test flashes and their EEG."""
    differ = ", ".join(learned_from_test(fit(recording, split.train), fit, recording, split))
    detail = f"its state is the same without the {split.test.sum()} test flashes and their EEG"
    if differ:
        detail = f"without the test flashes and their EEG, its state differs in {differ}"
    return Check("preprocessing is fitted on training flashes", not differ, detail)


def check_transient(
    epochs: Callable[[Recording], Epochs], recording: Recording, split: Split, tmin, tmax
) -> Iterator[Check]:
    """Find which parts share segments and how much the filter carries over from the test part.

    A filter runs through a whole segment. It may therefore carry a little from one part to
    another in the same segment. That is a note, not a failure: no epoch reads another part's
    samples.
    """
    found = []
    for (one, a), (other, b) in itertools.combinations(parts(split), 2):
        n_shared, gap_s = _shared_segments(recording.flashes, a, b, tmax - tmin)
        if n_shared:
            found.append(f"{one} and {other} {n_shared} (epochs at least {gap_s:.2f} s apart)")
    detail = ", ".join(found) or "none, so no filter reaches from one part into another"
    yield Check("segments shared by two parts", None, detail)

    fitted_on = split.train | split.validation
    used, test = (samples_read(recording, r, tmin, tmax) for r in (fitted_on, split.test))
    mixed = [bool(u.any() and v.any()) for u, v in zip(used, test, strict=True)]
    if any(mixed):
        rng = np.random.default_rng(0)
        segments = list(recording.segments)
        for k in np.flatnonzero(mixed):
            rows = np.flatnonzero(test[k] & ~used[k])
            segments[k] = segments[k].copy()
            segments[k][:, rows] = segments[k][:, rng.permutation(rows)]
        before = epochs(recording).data[fitted_on]
        after = epochs(dataclasses.replace(recording, segments=segments)).data[fitted_on]
        change = 100 * np.sqrt(np.square(after - before).mean() / np.square(before).mean())
        shuffled = "with the test epochs' samples shuffled in time"
        detail = f"{shuffled}, the other epochs change by {change:.2g} % of their RMS"
        yield Check("carried over by the filter", None, detail)


def check_test_labels(train: Train, recording: Recording, split: Split, scores) -> Check:
    """Check that training with inverted test labels gives the same ``scores``."""
    name = "test labels do not influence training"
    flashes = recording.flashes
    n_known = int(flashes["is_target"].notna().to_numpy()[split.test].sum())
    if n_known == 0:
        return Check(name, None, f"the {split.test.sum()} test flashes have no label")
    inverted = flashes["is_target"].where(~split.test, ~flashes["is_target"])
    again = train(_relabelled(recording, inverted), split)
    detail = f"{n_known} test labels inverted,"
    if np.array_equal(again, scores):
        return Check(name, True, f"{detail} all {len(scores)} scores bit-identical")
    detail += f" {(again != scores).sum()} of {len(scores)} scores changed"
    if not np.array_equal(train(_relabelled(recording, flashes["is_target"]), split), scores):
        detail = (
            "cannot be shown: training twice on the same data gives other scores (try "
            "trainer.accelerator=cpu)"
        )
    return Check(name, False, detail)


def check_test_signal(train: Train, recording: Recording, split: Split, scores) -> Check:
    """Check that noise in the segments with only test flashes does not change training."""
    name = "test EEG does not influence training"
    fitted_on = split.train | split.validation
    segment = recording.flashes["segment"].to_numpy()
    tested = set(segment[split.test])
    separate = sorted(tested - set(segment[fitted_on]))
    if not separate:
        detail = f"all {len(tested)} test segments hold training flashes too, see the filter"
        return Check(name, None, detail)
    rng = np.random.default_rng(0)
    segments = list(recording.segments)
    for k in separate:
        signal = np.asarray(segments[k], np.float64)
        noise = signal.mean() + 10 * signal.std() * rng.standard_normal(signal.shape)
        if segments[k].dtype.kind == "i":
            limits = np.iinfo(segments[k].dtype)
            noise = np.clip(noise, limits.min, limits.max)
        segments[k] = noise.astype(segments[k].dtype)
    again = train(dataclasses.replace(recording, segments=segments), split)
    n_changed = int((again != scores)[fitted_on].sum())
    changed = f"{n_changed} of {fitted_on.sum()} scores of training and validation flashes changed"
    detail = f"noise for {len(separate)} of {len(tested)} test segments, {changed}"
    return Check(name, n_changed == 0, detail)


def check_chance(
    train: Train, recording: Recording, split: Split, n_permutations: int = 10, seed: int = 0
) -> Check:
    """Check that the mean test AUC after training on permuted labels is 0.5.

    It must be within its 99 % t-interval. The standard deviation of the AUC is that over
    permutations, or that of guessing on so many flashes if it is larger. One run in a hundred
    without a leak falls outside. An interval wider than :data:`WIDEST` proves nothing and is a
    note.
    """
    check_n_permutations(n_permutations)
    name = "permuted training labels score at chance"
    truth = recording.flashes["is_target"]
    test = split.test & truth.notna().to_numpy()
    tested = truth[test].to_numpy(bool)
    n_targets, n_nontargets = int(tested.sum()), int((~tested).sum())
    if n_permutations == 0 or n_targets == 0 or n_nontargets == 0:
        return Check(name, None, f"{n_permutations} permutations, {n_targets} test targets")
    rng = np.random.default_rng(seed)
    aucs = []
    for k in range(n_permutations):
        labels = truth.copy()
        for rows in (split.train, split.validation):
            labels[rows] = rng.permutation(truth[rows].to_numpy(bool))
        # what weights score before they learn is no chance: it would be the same in all of them
        scores = train(_relabelled(recording, labels), split, redrawn=k + 1)
        aucs.append(roc_auc(tested, scores[test]))
    mean, half = chance_interval(aucs, n_targets, n_nontargets)
    detail = f"mean AUC {mean:.3f} on the test part over {n_permutations} permutations"
    detail += f", expected 0.5 ± {half:.3f}"
    is_inside = abs(mean - 0.5) <= half
    if is_inside and half > WIDEST:
        return Check(name, None, f"{detail}, which shows little; take more permutations")
    return Check(name, is_inside, detail)


def chance_interval(
    aucs: Sequence[float], n_targets: int, n_nontargets: int
) -> tuple[float, float]:
    """Return the mean AUC of permutations, and half of the 99 % t-interval about 0.5.

    Their standard deviation is that of guessing on so many flashes, if that is larger.
    """
    guessing = math.sqrt((n_targets + n_nontargets + 1) / (12 * n_targets * n_nontargets))
    sd, n = max(float(np.std(aucs, ddof=1)), guessing), len(aucs)
    return float(np.mean(aucs)), float(t.ppf(0.995, n - 1)) * sd / math.sqrt(n)


def check_n_permutations(n: int) -> None:
    """Check that so many trainings on permuted labels can show a leak.

    Raises
    ------
    InputError
        If there are fewer than :data:`FEWEST`, and not none at all.
    """
    if n != 0 and n < FEWEST:
        raise InputError(
            f"got audit.n_permutations={n}, which any training passes; expected at least "
            f"{FEWEST}, or 0 to leave this check out"
        )


def _relabelled(recording: Recording, is_target) -> Recording:
    """Replace the labels of a recording, and remove its screen, since they spell nothing."""
    flashes = recording.flashes.assign(is_target=is_target.astype("boolean"))
    return dataclasses.replace(recording, flashes=flashes, speller=None)


def _shared_segments(flashes, a, b, length_s) -> tuple[int, float]:
    """Count the segments with flashes of both, and find the least pause between their epochs."""
    segment, onset = flashes["segment"].to_numpy(), flashes["onset"].to_numpy()
    shared = sorted(set(segment[a]) & set(segment[b]))
    gap = math.inf
    for k in shared:
        one, other = (np.sort(onset[rows & (segment == k)]) for rows in (a, b))
        after = np.searchsorted(other, one)
        near = [other[np.maximum(after - 1, 0)], other[np.minimum(after, len(other) - 1)]]
        gap = min(gap, float(np.abs(near - one).min()) - length_s)
    return len(shared), gap
