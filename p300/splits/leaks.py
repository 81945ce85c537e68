"""What two sides of a split share: characters, raw samples, people.

The functions do not trust the code of a split: they follow characters and sample indices. They
take a fraction of a second, so that every training is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY
from p300.splits.splits import PARTS, Split
from p300.splits.units import UNITS

if TYPE_CHECKING:
    import pandas as pd

    from p300.recording import Recording

#: Seconds that a stretch of an oddball's run must last on average, if the run is divided in time.
BLOCK_S = 10.0

#: What to do about a leak.
ADVICE = (
    "expected whole characters (in an oddball runs, or blocks of time) and no raw sample on two "
    "sides; divide these, and leave out the flashes that p300.splits.shares_samples finds"
)


def check_split(recording: Recording, split: Split, tmin: float, tmax: float) -> None:
    """Check that no character and no raw sample is on two sides of a split.

    Parameters
    ----------
    recording : Recording
        Its flash table was split.
    split : Split
        To check.
    tmin, tmax : float
        Interval of the epochs, in seconds from the flash.

    Raises
    ------
    InputError
        If a character is on two sides, or a run without characters that is not divided into
        blocks of time; if a raw sample is read by epochs of two sides; if validation and test
        part are less separate than training and test part; if the split has not one row per
        flash. The message counts what is shared.

    Examples
    --------
    >>> from p300.simulation import simulate_recording
    >>> recording = simulate_recording("WORD", ch_names=["Pz"], n_repetitions=1)
    >>> test = (recording.flashes["character"] > 2).to_numpy()
    >>> check_split(recording, Split(~test, np.zeros_like(test), test), 0.0, 0.65)
    """
    found = find_leaks(recording, split, tmin, tmax)
    if found:
        raise InputError(f"{split.name}: {'; '.join(found)}; {ADVICE}")


def find_leaks(recording: Recording, split: Split, tmin: float, tmax: float) -> list[str]:
    """Find what :func:`check_split` refuses; one short text each, with numbers."""
    n_flashes = len(recording.flashes)
    lengths = [len(getattr(split, name)) for name in PARTS]
    if set(lengths) != {n_flashes}:
        raise InputError(
            f"{split.name}: got arrays of {', '.join(map(str, lengths))} rows; expected "
            f"{n_flashes}, one row per flash"
        )
    shared = shared_units(recording.flashes, split, tmax - tmin)
    n_samples = shared_samples(recording, split, tmin, tmax)
    is_separate, detail = is_validation_separate(recording.flashes, split)
    found = [f"{n} {unit}{'s' * (n > 1)} on two sides" for unit, n in shared.items() if n]
    if n_samples:
        found.append(f"{n_samples:,} raw sample{'s' * (n_samples > 1)} read on two sides")
    if n_copies := copied_epochs(recording, split, tmin, tmax):
        found.append(f"{n_copies} epoch{'s' * (n_copies > 1)} of one side copied on another")
    if not is_separate and not any(shared.values()):  # a divided character says it already
        found.append(detail)
    return found


def shared_units(flashes: pd.DataFrame, split: Split, epoch_s: float) -> dict[str, int]:
    """Count the characters, and the runs of flashes without characters, that are on two sides.

    Parameters
    ----------
    flashes : DataFrame
        The flash table.
    split : Split
        Of its rows.
    epoch_s : float
        Length of an epoch, in seconds.

    Returns
    -------
    dict of str to int
        "character" or "run", or both, to the number on two sides. A run may be divided into
        blocks of time. It counts if more than half of its stretches of one side last less than
        :data:`BLOCK_S` seconds.
    """
    side = side_of(split)
    spells = flashes["character"].notna().to_numpy()
    counts = {}
    if spells.any():
        characters = flashes[spells & (side > 0)].groupby(CHARACTER_KEY, sort=False)
        sides = (len(np.unique(side[spells & (side > 0)][k])) for k in characters.indices.values())
        counts["character"] = sum(n > 1 for n in sides)
    if not spells.all():
        onset, used = flashes["onset"].to_numpy(), ~spells & (side > 0)
        runs = flashes.groupby([*UNITS["run"], "segment"], sort=False, dropna=False)
        counts["run"] = 0
        for rows in runs.indices.values():
            rows = rows[used[rows]]
            rows = rows[np.argsort(onset[rows], kind="stable")]
            stretches = np.split(onset[rows], np.flatnonzero(np.diff(side[rows])) + 1)
            lasted = [one[-1] - one[0] + epoch_s for one in stretches if len(one)]
            counts["run"] += len(lasted) > 1 and bool(np.median(lasted) < BLOCK_S)
    return counts


def shared_samples(recording: Recording, split: Split, tmin: float, tmax: float) -> int:
    """Count the raw samples that epochs of two sides read."""
    n_sides: np.ndarray | int = 0
    for _, rows in parts(split):
        n_sides = n_sides + np.concatenate(samples_read(recording, rows, tmin, tmax)).astype(int)
    return int(np.count_nonzero(np.asarray(n_sides) > 1))


def copied_epochs(recording: Recording, split: Split, tmin: float, tmax: float) -> int:
    """Count the epochs whose raw samples have an exact copy on another side, in any segment.

    Epochs without any change, such as in a pause that was filled with zeros, do not count.
    """
    import pandas as pd

    segment, onset = (recording.flashes[c].to_numpy() for c in ("segment", "onset"))
    first = np.maximum(sample_of(onset + tmin, recording.flash_rates), 0)
    length = max(1, int(sample_of(tmax - tmin, recording.sfreq)))

    def epoch(k: int) -> np.ndarray:
        return recording.segments[segment[k]][:, first[k] : first[k] + length]

    side = side_of(split)
    rows, middle = np.flatnonzero(side), slice(length // 2, length // 2 + 8)
    brief = [hash(epoch(k)[:, middle].tobytes()) for k in rows.tolist()]  # of a few samples
    n_sides = pd.Series(side[rows]).groupby(np.array(brief, np.int64)).transform("nunique")
    sides: dict[bytes, set[int]] = {}
    for k in rows[n_sides > 1].tolist():
        if np.ptp(epoch(k), axis=1).any():
            sides.setdefault(hashlib.blake2b(epoch(k).tobytes()).digest(), set()).add(side[k])
    return sum(len(found) - 1 for found in sides.values())


def side_of(split: Split) -> np.ndarray:
    """Return the side of each flash: 1 to 3 in the order of ``PARTS``, 0 if it is unused."""
    return np.select([getattr(split, name) for name in PARTS], [1, 2, 3], 0)


def sample_of(seconds: Any, sfreq: Any) -> Any:
    """Return the index of the first sample at or after some seconds."""
    return np.ceil(seconds * sfreq - 1e-6).astype(int)


def without_test(recording: Recording, split: Split) -> tuple[Recording, np.ndarray]:
    """Return a recording without its test flashes, and with other EEG where only they were.

    Whatever learns from training flashes alone learns the same from it.

    Returns
    -------
    Recording
    rows : ndarray of bool, shape (n_flashes,)
        The flashes of ``recording`` that are left.
    """
    rest = ~split.test
    flashes = recording.flashes[rest].reset_index(drop=True)
    tested = set(recording.flashes["segment"][split.test]) - set(flashes["segment"])
    segments = [
        3 * segment[:, ::-1] if k in tested else segment
        for k, segment in enumerate(recording.segments)
    ]
    return replace(recording, flashes=flashes, segments=segments), rest


def samples_read(
    recording: Recording, rows: np.ndarray, tmin: float, tmax: float
) -> list[np.ndarray]:
    """Mark in each segment the raw samples within the epochs of some flashes.

    Parameters
    ----------
    recording : Recording
    rows : array-like of bool, shape (n_flashes,)
        The flashes.
    tmin, tmax : float
        Interval of the epochs, in seconds from the flash.

    Returns
    -------
    list of ndarray of bool, each of shape (n_samples,)
    """
    n_samples = np.array([signal.shape[1] for signal in recording.segments])
    starts = np.concatenate([[0], np.cumsum(n_samples + 1)])  # one place after each segment
    segment, onset = (recording.flashes[c].to_numpy()[rows] for c in ("segment", "onset"))
    steps = np.zeros(starts[-1], np.int32)
    for sign, edge in ((1, tmin), (-1, tmax)):
        sample = sample_of(onset + edge, recording.flash_rates[rows])
        place = starts[segment] + np.clip(sample, 0, n_samples[segment])
        steps += sign * np.bincount(place, minlength=len(steps)).astype(np.int32)
    is_read = steps.cumsum() > 0
    return [is_read[start : start + n] for start, n in zip(starts, n_samples, strict=False)]


def is_validation_separate(flashes: pd.DataFrame, split: Split) -> tuple[bool, str]:
    """Find whether validation is as separate from the test part as the training part is.

    Training and test part differ by subject, session, run or only by character. Validation and
    test part must differ by the same unit. Where an oddball's run is divided in time, they share
    every unit.

    Returns
    -------
    passed : bool
    detail : str
        The numbers behind it.
    """
    if not split.validation.any() or not split.test.any() or not split.train.any():
        return True, "there is no validation part, nothing is chosen by one"
    for unit, key in UNITS.items():
        if flashes[key].isna().any(axis=None):
            continue
        number = flashes.groupby(key, sort=False).ngroup().to_numpy()
        test = set(number[split.test])
        if not test & set(number[split.train]):
            n = len(test & set(number[split.validation]))
            detail = f"training and test part share no {unit}; validation and test part share {n}"
            return n == 0, f"{detail} of {len(test)}"
    if flashes["character"].isna().any():
        return True, "all parts share a run, which is divided in time"
    return False, "training and test part share every unit, down to characters"


def parts(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and rows of each part that is not empty."""
    return ((name, getattr(split, name)) for name in PARTS if getattr(split, name).any())
