"""Segments of continuous time and the flashes in them, for every format that is not MNE's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from p300.electrodes import channel_order
from p300.errors import InputError
from p300.readers.events.build import Events, Given, build_flashes
from p300.readers.events.labels import Understood
from p300.recording import UNITS, Recording

#: Units as files write them, and those of a recording.
WRITTEN_UNITS = {
    **dict.fromkeys(("microvolts", "microvolt", "uv", "µv", "μv", "muv"), "uV"),
    **dict.fromkeys(("millivolts", "millivolt", "mv"), "mV"),
    **dict.fromkeys(("volts", "volt", "v"), "V"),
}

#: A longer step of the time stamps is a gap, at which the recording is cut; a shorter one jitter.
MAX_GAP_S = 0.1

#: Samples that are read and converted at a time.
PIECE = 2**12


@dataclass(frozen=True, eq=False)
class Stretches:
    """Signal of a file, continuous in time within each segment.

    Parameters
    ----------
    segments : list of ndarray, each of shape (n_chans, n_samples)
        EEG as float32.
    begins : ndarray, shape (n_segments,)
        Seconds from the first sample of the file to that of each segment, by its clock.
    rates : ndarray, shape (n_segments,)
        Sampling rate of each in Hz.
    """

    segments: list[np.ndarray]
    begins: np.ndarray
    rates: np.ndarray


def make_recording(
    signal: Stretches,
    ch_names: Sequence[str],
    sfreq: float,
    unit: str,
    events: Events,
    understood: Understood,
    given: Given,
    notes: Sequence[str],
) -> Recording:
    """Build the recording: flashes in their segments, notes, warnings of what is left out.

    Parameters
    ----------
    signal : Stretches
        The EEG.
    ch_names, sfreq, unit
        As of a :class:`~p300.recording.Recording`.
    events : Events
        In seconds by the file's clock, from its first sample.
    understood : Understood
        What they mean.
    given : Given
        What the user says.
    notes : sequence of str
        What was taken so far.

    Warns
    -----
    UserWarning
        If events are left out, or flashes because they lie outside the signal.
    """
    flashes, taken = build_flashes(events, understood, given, 1.0 / signal.rates[0])
    notes = [*notes, *taken]
    begins = signal.begins
    lengths = np.array([segment.shape[1] for segment in signal.segments])
    seconds = flashes["onset"].to_numpy()
    segment = np.maximum(np.searchsorted(begins, seconds + 1e-9, side="right") - 1, 0)
    ends = begins + lengths / signal.rates
    is_inside = (seconds >= begins[segment] - 1e-9) & (seconds < ends[segment] - 1e-9)
    lost = ""
    if n_out := int((~is_inside).sum()):
        lost = (
            f"{n_out} of {len(seconds)} flashes are left out: they lie outside the EEG (the "
            f"first {seconds[~is_inside][0]:.3f} s after its start)."
        )
    if len(begins) > 1:
        places = ", ".join(f"{begin:.3f}" for begin in begins[1:9])
        more = ", …" if len(begins) > 9 else ""
        notes.append(f"{len(begins)} segments: samples are missing before {places}{more} s.")
    notes += understood.warn(given.name, lost)
    table = flashes.assign(segment=segment, onset=np.maximum(seconds - begins[segment], 0.0))
    return Recording(
        signal.segments,
        table[is_inside].reset_index(drop=True),
        ch_names,
        sfreq,
        unit,
        given.speller,
        given.name,
        segment_sfreq=None if set(signal.rates) == {sfreq} else signal.rates.tolist(),
        notes=notes,
    )


def picked(names: Sequence[str], picks: Any, where: str) -> list[int]:
    """Return the rows of the picked channels, by their names or as laboratories write them.

    Parameters
    ----------
    names : sequence of str
        Of all channels.
    picks : str, int, sequence of them, or None
        The wanted ones, in order; None for all.
    where : str
        For messages.

    Raises
    ------
    InputError
        If one is missing.
    """
    if picks is None:
        return list(range(len(names)))
    wanted = wanted_names(picks)
    if set(wanted) <= set(names):
        return [names.index(name) for name in wanted]
    return channel_order(names, wanted, where)


def wanted_names(given: Any) -> list[str]:
    """Return one name, or several, as a list of texts.

    Examples
    --------
    >>> wanted_names(10), wanted_names(["Fz", 2])
    (['10'], ['Fz', '2'])
    """
    several = isinstance(given, Iterable) and not isinstance(given, str)
    return [str(one) for one in (given if several else [given])]


def check_unit(unit: str, where: str) -> str:
    """Return a unit as a recording has it.

    Raises
    ------
    InputError
        If it is none.
    """
    known = WRITTEN_UNITS.get(str(unit).strip().lower(), unit)
    if known not in UNITS:
        raise InputError(f"{where}: got unit={unit!r}; expected one of {', '.join(UNITS)}")
    return known


def unit_of(given: str | None, who: str, where: str) -> tuple[str, list[str]]:
    """Return the unit that is given, else µV with the sentence that says so.

    Examples
    --------
    >>> unit_of(None, "A table gives", "a.csv")
    ('uV', ['A table gives no unit: taken as µV; set unit if it is another.'])
    """
    if given is not None:
        return check_unit(given, where), []
    return "uV", [f"{who} no unit: taken as µV; set unit if it is another."]


def named(found: Sequence[str], given: Any, where: str) -> list[str]:
    """Return the names of all channels: those that are given, else those of the file.

    Raises
    ------
    InputError
        If their numbers differ.
    """
    if given is None:
        return list(found)
    names = wanted_names(given)
    if len(names) != len(found):
        raise InputError(
            f"{where}: got {len(names)} ch_names; expected {len(found)}, one per channel of the "
            f"file ({', '.join(found[:8])}{', …' if len(found) > 8 else ''})"
        )
    return names


def continuous_from(times: np.ndarray, max_gap_s: float = MAX_GAP_S) -> np.ndarray:
    """Find the samples, including 0, at which an interval without lost samples begins.

    Temporary jitter is no gap: a gap is measured from the latest time before it to the earliest
    time after it.

    Examples
    --------
    >>> continuous_from(np.array([0.0, 0.1, 0.05, 0.2, 1.2, 1.3]), 0.5)
    array([0, 4])
    """
    latest_before = np.maximum.accumulate(times)[:-1]
    earliest_after = np.minimum.accumulate(times[::-1])[::-1][1:]
    return np.concatenate([[0], np.flatnonzero(earliest_after - latest_before > max_gap_s) + 1])


def check_size(path: Path, n_bytes: float) -> None:
    """Refuse a file whose signal does not fit into the memory.

    Raises
    ------
    InputError
        If less memory is available.
    """
    from p300.storage.memory import check_memory

    check_memory(n_bytes, f"the signal of {path.name}", "read fewer channels (data.picks)")
