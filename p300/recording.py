"""A recording: stretches of continuous EEG and the table of the flashes shown meanwhile.

:mod:`p300.flashes` describes the flash table.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.electrodes import channel_order, check_names, clean_names
from p300.errors import InputError
from p300.flashes import CHARACTER_KEY, FLASH_COLUMNS, LIT
from p300.flashes import flash_table as flash_table  # also known by this name
from p300.flashes import label_flashes as label_flashes
from p300.proposals import Proposal

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from p300.electrodes import Positions
    from p300.speller import Speller

#: Units of a recording, in volts; "AD" is amplifier steps of unknown size.
UNITS = {"uV": 1e-6, "mV": 1e-3, "V": 1.0, "AD": None}


#: What a recording may tell of its measurement, and how it is said.
ABOUT = {
    "highpass_hz": "The device passed frequencies from {} Hz.",
    "lowpass_hz": "The device passed frequencies to {} Hz.",
    "reference": "Reference: {}.",
    "measured": "Measured at {}.",
    "cite": "Cite for the recording: {}.",
}

#: Largest relative difference of two rates that are one nominal rate by two clocks.
SAME_RATE = 1e-3


def is_same_rate(first: float, second: float) -> bool:
    """Return whether two sampling rates in Hz are the same nominal rate."""
    return abs(first - second) <= SAME_RATE * min(first, second)


class RateWarning(UserWarning):
    """The sampling rate is in doubt, and so is every time, frequency and rate of the recording.

    A reader warns with it. Training writes the warning into ``integrity.txt``, and the page of
    the run then gives no time as a fact.
    """


@dataclass(frozen=True, eq=False)
class Recording:
    """Segments of continuous EEG, the flashes shown meanwhile, and what both mean.

    Parameters
    ----------
    segments : sequence of ndarray, each of shape (n_chans, n_samples)
        EEG, continuous in time within a segment, not across segments; lengths may differ.
    flashes : DataFrame
        The flash table (:mod:`p300.flashes`); ``onset`` counts from its segment's start.
    ch_names : sequence of str
        EEG channels in the order of the rows; no stimulus channel.
    sfreq : float
        Sampling rate in Hz.
    unit : {"uV", "mV", "V", "AD"}
        Unit of the samples; "AD" for amplifier steps of unknown size.
    speller : Speller or None
        The screen; None for a plain oddball.
    name : str
        Name of the data set, for messages, reports and run folders.
    positions : mapping of str to (x, y, z), or None
        Electrodes on the head in m, in MNE's head coordinates; None for those that the names
        have (:func:`p300.electrodes.find_positions`).
    bad_channels : sequence of str
        Channels that were marked bad; a :class:`~p300.preprocessing.Preprocessor` interpolates
        them.
    segment_sfreq : sequence of float or None
        The true rate of each segment in Hz, within a thousandth of ``sfreq``, where clocks differ
        (XDF); None if it is ``sfreq`` in all.
    notes : sequence of str
        What the reader took, guessed and left out, one sentence each. They stand in
        ``integrity.txt`` and on the page.
    about : mapping
        What is known of the measurement: some of :data:`ABOUT`.

    Raises
    ------
    InputError
        If shapes, channel names, sampling rate, unit or columns do not fit.
    """

    segments: Sequence[np.ndarray]
    flashes: pd.DataFrame
    ch_names: Sequence[str]
    sfreq: float
    unit: str = "uV"
    speller: Speller | None = None
    name: str = "recording"
    positions: Positions | None = None
    bad_channels: Sequence[str] = ()
    segment_sfreq: Sequence[float] | None = None
    notes: Sequence[str] = ()
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = (s if isinstance(s, np.ndarray) else np.asarray(s) for s in self.segments)
        object.__setattr__(self, "segments", tuple(arrays))
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "about", dict(self.about))
        if unknown := sorted(set(self.about) - set(ABOUT)):
            raise InputError(f"{self.name}: got about={unknown}; expected some of {list(ABOUT)}")
        object.__setattr__(self, "bad_channels", tuple(self.bad_channels))
        object.__setattr__(self, "ch_names", tuple(str(c) for c in self.ch_names))
        object.__setattr__(self, "sfreq", float(self.sfreq))
        if twice := sorted({c for c in self.ch_names if self.ch_names.count(c) > 1}):
            raise InputError(
                f"{self.name}: got duplicate channel names {twice}; expected each once"
            )
        check_names(self.ch_names, self.name)
        if not (np.isfinite(self.sfreq) and self.sfreq > 0):
            raise InputError(f"{self.name}: got sfreq={self.sfreq:g} Hz; expected more than 0")
        if self.segment_sfreq is not None:
            rates = tuple(map(float, self.segment_sfreq))
            object.__setattr__(self, "segment_sfreq", rates)
            wrong = [rate for rate in rates if not is_same_rate(rate, self.sfreq)]
            if len(rates) != len(self.segments) or wrong:
                raise InputError(
                    f"{self.name}: got {len(rates)} rates of segments (those off: {wrong[:3]}); "
                    f"expected {len(self.segments)} within {SAME_RATE:.1%} of {self.sfreq:g} Hz"
                )
        if unknown := sorted(set(self.bad_channels) - set(self.ch_names)):
            raise InputError(f"{self.name}: got bad channels {unknown}; expected some of ch_names")
        if self.unit not in UNITS:
            raise InputError(f"{self.name}: got unit {self.unit!r}; expected one of {list(UNITS)}")
        for k, segment in enumerate(self.segments):
            if segment.ndim != 2 or segment.shape[0] != len(self.ch_names):
                raise InputError(
                    f"{self.name}: segment {k} has shape {segment.shape}; expected "
                    f"({len(self.ch_names)} channels, n_samples)"
                )
        if missing := [c for c in FLASH_COLUMNS if c not in self.flashes.columns]:
            raise InputError(f"{self.name}: the flash table lacks the columns {missing}")
        known = self.flashes["segment"].between(0, len(self.segments) - 1)
        if not known.all():
            raise InputError(
                f"{self.name}: {(~known).sum()} flashes have a segment that does not exist; "
                f"expected 0 to {len(self.segments) - 1}"
            )

    @property
    def n_chans(self) -> int:
        """Number of EEG channels."""
        return len(self.ch_names)

    @property
    def duration_s(self) -> float:
        """Length of all segments together, in seconds."""
        return sum(s.shape[1] / rate for s, rate in zip(self.segments, self.rates, strict=True))

    @property
    def rates(self) -> tuple[float, ...]:
        """Sampling rate of each segment in Hz."""
        return tuple(self.segment_sfreq or (self.sfreq,) * len(self.segments))

    @property
    def flash_rates(self) -> np.ndarray:
        """Sampling rate at each flash in Hz: that of its segment, shape (n_flashes,)."""
        return np.array(self.rates)[self.flashes["segment"].to_numpy(int)]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects in the flash table, in order of appearance."""
        return tuple(self.flashes["subject"].unique())

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 hash of samples, channels, rate, unit and flashes, 64 digits; computed once.

        The name, the screen and the layout of the samples in memory do not enter.
        """
        about = f"{self.ch_names} {self.sfreq!r} {self.unit} {self.segment_sfreq or ''}".strip()
        digest = hashlib.sha256(about.encode())
        for segment in self.segments:
            kind = "<f4" if segment.dtype == np.float32 else "<f8"
            digest.update(f"{segment.shape} {kind}".encode())
            digest.update(np.ascontiguousarray(segment, kind).data)
        columns = [*FLASH_COLUMNS, *(c for c in (LIT,) if c in self.flashes)]
        digest.update(self.flashes[columns].to_csv(index=False).encode())
        return digest.hexdigest()

    def fits(self, tmin: float, tmax: float) -> np.ndarray:
        """Return for each flash whether ``[tmin, tmax)`` seconds around it lie in its segment."""
        onset = self.flashes["onset"].to_numpy(float)
        n_samples = np.array([s.shape[1] for s in self.segments])
        stop = (n_samples / np.array(self.rates))[self.flashes["segment"].to_numpy(int)]
        return (onset + tmin >= -1e-6) & (onset + tmax <= stop + 1e-6)

    def select(self, rows: npt.ArrayLike) -> Recording:
        """Return some flashes and the segments that contain them.

        Segments are shared with this recording, not copied. They are renumbered from 0.

        Parameters
        ----------
        rows : array-like of bool or int
            A mask, or indices.
        """
        rows = np.asarray(rows)
        mask = np.zeros(len(self.flashes), bool)
        mask[rows if rows.dtype.kind in "iu" else rows.astype(bool)] = True
        flashes = self.flashes[mask].reset_index(drop=True)
        kept, segment = np.unique(flashes["segment"], return_inverse=True)
        return dataclasses.replace(
            self,
            segments=[self.segments[k] for k in kept],
            flashes=flashes.assign(segment=segment),
            segment_sfreq=self.segment_sfreq and [self.segment_sfreq[k] for k in kept],
        )

    def pick(self, ch_names: Sequence[str]) -> Recording:
        """Return the recording with some channels, in this order.

        Raises
        ------
        InputError
            If one is missing.

        Examples
        --------
        >>> from p300.simulation import simulate_recording
        >>> simulate_recording("P3", n_repetitions=1).pick(["PZ", "Cz"]).ch_names
        ('Pz', 'Cz')
        """
        order = channel_order(self.ch_names, ch_names, where=self.name)
        return self._with_channels(order)

    def drop(self, ch_names: Sequence[str]) -> Recording:
        """Return the recording without some channels.

        Raises
        ------
        InputError
            If one does not exist.
        """
        dropped = set(channel_order(self.ch_names, ch_names, where=self.name))
        return self._with_channels([k for k in range(self.n_chans) if k not in dropped])

    def _with_channels(self, order: list[int]) -> Recording:
        names = [self.ch_names[k] for k in order]
        return dataclasses.replace(
            self,
            segments=[segment[order] for segment in self.segments],
            ch_names=names,
            bad_channels=[c for c in self.bad_channels if c in names],
            positions=_some(self.positions, names),
        )

    def rename(self, names: Mapping[str, str]) -> Recording:
        """Return the recording with other names of channels.

        Parameters
        ----------
        names : mapping of str to str
            Old name to new name; channels that are not in it keep theirs.

        Raises
        ------
        InputError
            If an old name does not exist, or two channels would have one name.
        """
        old = channel_order(self.ch_names, list(names), where=self.name)
        new = dict(zip((self.ch_names[k] for k in old), names.values(), strict=True))
        positions = self.positions
        return dataclasses.replace(
            self,
            ch_names=[new.get(c, c) for c in self.ch_names],
            bad_channels=[new.get(c, c) for c in self.bad_channels],
            positions=positions and {new.get(c, c): place for c, place in positions.items()},
        )

    def __repr__(self) -> str:
        screen = self.speller.name if self.speller else "no speller"
        return (
            f"<Recording {self.name}: {len(self.flashes)} flashes in {len(self.segments)} "
            f"segments, {self.duration_s:.0f} s, {self.n_chans} channels at {self.sfreq:g} Hz, "
            f"{self.unit}, {screen}>"
        )


def concatenate_recordings(
    recordings: Sequence[Recording], name: str | None = None, *, renumber: bool = False
) -> Recording:
    """Concatenate recordings; segments stay separate and are not copied.

    Channels are reordered by name to match the first recording; a channel that is bad in one is
    bad in the whole. Rates may differ by a thousandth,
    as those of two days do; each segment keeps its own.

    Parameters
    ----------
    recordings : sequence of Recording
        At least one.
    name : str or None
        Name of the whole; None for that of the first.
    renumber : bool
        Count the runs of each subject and session anew, from 1, in the order of the recordings.
        Otherwise two recordings must not hold the same run, or the same characters of a run.

    Raises
    ------
    InputError
        If channels, rate, unit or speller differ, or two recordings hold the same run.
    """
    import pandas as pd

    if not recordings:
        raise InputError("got no recording to concatenate; expected at least one")
    first = recordings[0]
    segments: list[np.ndarray] = []
    tables, bad = [], set()
    for other in recordings:
        check_alike(first, other, ("unit", "speller"))
        if not is_same_rate(first.sfreq, other.sfreq):
            check_alike(first, other, ("sfreq",))
        order = _same_channels(first, other)
        in_order = order == list(range(first.n_chans))
        bad |= {first.ch_names[order.index(other.ch_names.index(c))] for c in other.bad_channels}
        tables.append(other.flashes.assign(segment=other.flashes["segment"] + len(segments)))
        segments.extend(s if in_order else s[order] for s in other.segments)
    if renumber:
        tables = _renumbered(tables)
    else:
        _check_apart(tables, [recording.name for recording in recordings])
    flashes = pd.concat(tables, ignore_index=True)
    rates = [rate for recording in recordings for rate in recording.rates]
    return dataclasses.replace(
        first,
        segments=segments,
        flashes=flashes,
        name=name or first.name,
        bad_channels=[c for c in first.ch_names if c in bad],
        segment_sfreq=rates if set(rates) != {first.sfreq} and rates else None,
        notes=tuple(dict.fromkeys(note for recording in recordings for note in recording.notes)),
        about=_joined_about(recordings),
    )


def _joined_about(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what is known of the measurements; different values are listed."""
    found: dict[str, Any] = {}
    for key in ABOUT:
        values = list(dict.fromkeys(r.about[key] for r in recordings if key in r.about))
        if values:
            found[key] = values[0] if len(values) == 1 else ", ".join(map(str, values))
    return found


def _same_channels(first: Recording, other: Recording) -> list[int]:
    """Return the order of channels in ``other`` that is that of ``first``."""
    try:
        channel_order(first.ch_names, other.ch_names, where=f"{other.name} after {first.name}")
        return channel_order(other.ch_names, first.ch_names, where=other.name)
    except InputError as error:
        both = {*clean_names(first.ch_names)} & {*clean_names(other.ch_names)}
        common = [c for c in first.ch_names if clean_names([c])[0] in both]
        proposal = Proposal("picks", common)
        raise InputError(
            f"{error}; expected the same channels in both; set {proposal} for those of both",
            [proposal],
        ) from None


def check_alike(first: Any, other: Any, fields: Sequence[str]) -> None:
    """Refuse two recordings, or epochs, that differ in one of some fields.

    Raises
    ------
    InputError
        With both values.
    """
    for what in fields:
        if getattr(other, what) != getattr(first, what):
            raise InputError(
                f"{other.name} has {what} {getattr(other, what)}, {first.name} has "
                f"{getattr(first, what)}; expected the same for all"
            )


def _some(positions: Positions | None, ch_names: Sequence[str]) -> Positions | None:
    return positions and {name: positions[name] for name in ch_names if name in positions}


def _renumbered(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Count the runs of each subject and session from 1, over all tables."""
    seen: dict[tuple, int] = {}
    renumbered = []
    for table in tables:
        run = table["run"].copy()
        for key, rows in table.groupby(CHARACTER_KEY[:3], sort=False, dropna=False).groups.items():
            place = tuple(map(str, key[:2]))
            seen[place] = seen.get(place, 0) + 1
            run[rows] = seen[place]
        renumbered.append(table.assign(run=run))
    return renumbered


def _check_apart(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> None:
    """Refuse two tables with the same run, unless they hold other characters of it."""
    first: dict[tuple, int] = {}
    for k, table in enumerate(tables):
        keys = table[CHARACTER_KEY].drop_duplicates()
        for key in map(tuple, keys.astype(object).where(keys.notna(), None).to_numpy()):
            if first.setdefault(key, k) != k:
                subject, session, run, character = key
                what = "" if character is None else f", character {character}"
                raise InputError(
                    f"{names[first[key]]} and {names[k]} both hold subject {subject}, session "
                    f"{session}, run {run}{what}; expected each in one recording; give them other "
                    "runs (run=… in the reader), or set renumber=True."
                )
