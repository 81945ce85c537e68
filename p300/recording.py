"""A recording: stretches of continuous EEG and the table of the flashes shown meanwhile.

The flash table is a pandas DataFrame, one row per flash, in order of time within its segment:

============ ========= =====================================================================
column       dtype     meaning
============ ========= =====================================================================
subject      str       whose EEG
session      str       one sitting, or the data set's own part ("train", "test")
run          Int64     one recording without a break
segment      int64     index into ``Recording.segments``
character    Int64     one act of spelling, from 1 within its run; <NA> without a speller
repetition   Int64     pass in which every code flashes once, from 0; <NA> without a speller
code         Int64     which group was lit, in the recording's own codes
onset        float64   seconds from the first sample of the segment
is_target    boolean   did the flash light the wanted symbol? <NA> where not known
============ ========= =====================================================================
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from p300.speller import Speller

#: Columns of a flash table with their dtypes, in order.
FLASH_COLUMNS = {
    "subject": "str",
    "session": "str",
    "run": "Int64",
    "segment": "int64",
    "character": "Int64",
    "repetition": "Int64",
    "code": "Int64",
    "onset": "float64",
    "is_target": "boolean",
}

#: Columns that identify one character in a table of several runs.
CHARACTER_KEY = ["subject", "session", "run", "character"]

#: Units of a recording, in volts; "AD" is amplifier steps of unknown size.
UNITS = {"uV": 1e-6, "mV": 1e-3, "V": 1.0, "AD": None}


class RateWarning(UserWarning):
    """The sampling rate is in doubt, and so is every time, frequency and rate of the recording.

    A reader warns with it. Training writes the warning into ``integrity.txt``, and the page of
    the run then gives no time as a fact.
    """


def flash_table(**columns: Any) -> pd.DataFrame:
    """Build a flash table from columns; scalars are repeated, missing columns are <NA>.

    Parameters
    ----------
    **columns
        Any of :data:`FLASH_COLUMNS`; ``onset`` (seconds) is required. Defaults: subject and
        session "1", run 1, segment 0.

    Raises
    ------
    InputError
        If a column is unknown, ``onset`` is missing or the lengths differ.

    Examples
    --------
    >>> flash_table(onset=[0.0, 0.175], code=[1, 7], subject="A").shape
    (2, 9)
    """
    import pandas as pd

    if unknown := sorted(set(columns) - set(FLASH_COLUMNS)):
        raise InputError(
            f"flash table: got unknown columns {unknown}; expected some of {list(FLASH_COLUMNS)}"
        )
    if "onset" not in columns:
        raise InputError(f"flash table: got columns {sorted(columns)}; expected onset among them")
    n_flashes = len(columns["onset"])
    table = {"subject": "1", "session": "1", "run": 1, "segment": 0}
    for name, values in columns.items():
        if np.ndim(values) and len(values) != n_flashes:
            raise InputError(
                f"flash table: column {name} has {len(values)} values; expected {n_flashes}, "
                "as onset"
            )
        table[name] = list(values) if np.ndim(values) else values
    frame = pd.DataFrame(table, index=range(n_flashes), columns=list(FLASH_COLUMNS))
    return frame.astype(FLASH_COLUMNS)


@dataclass(frozen=True, eq=False)
class Recording:
    """Segments of continuous EEG, the flashes shown meanwhile, and what both mean.

    Parameters
    ----------
    segments : sequence of ndarray, each of shape (n_chans, n_samples)
        EEG, continuous in time within a segment, not across segments; lengths may differ.
    flashes : DataFrame
        The flash table (see the module's text); ``onset`` counts from its segment's start.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))
        object.__setattr__(self, "ch_names", tuple(str(c) for c in self.ch_names))
        object.__setattr__(self, "sfreq", float(self.sfreq))
        if twice := sorted({c for c in self.ch_names if self.ch_names.count(c) > 1}):
            raise InputError(
                f"{self.name}: got duplicate channel names {twice}; expected each once"
            )
        if not (np.isfinite(self.sfreq) and self.sfreq > 0):
            raise InputError(f"{self.name}: got sfreq={self.sfreq:g} Hz; expected more than 0")
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
        return sum(s.shape[1] for s in self.segments) / self.sfreq

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects in the flash table, in order of appearance."""
        return tuple(self.flashes["subject"].unique())

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 hash of samples, channels, rate, unit and flashes, 64 digits; computed once.

        The name, the screen and the layout of the samples in memory do not enter.
        """
        about = f"{self.ch_names} {self.sfreq!r} {self.unit}"
        digest = hashlib.sha256(about.encode())
        for segment in self.segments:
            kind = "<f4" if segment.dtype == np.float32 else "<f8"
            digest.update(f"{segment.shape} {kind}".encode())
            digest.update(np.ascontiguousarray(segment, kind).data)
        digest.update(self.flashes[list(FLASH_COLUMNS)].to_csv(index=False).encode())
        return digest.hexdigest()

    def select(self, rows: npt.ArrayLike) -> Recording:
        """Return the flashes of ``rows`` (a boolean mask) and the segments that contain them.

        Segments are shared with this recording, not copied. They are renumbered from 0.
        """
        flashes = self.flashes[np.asarray(rows, bool)].reset_index(drop=True)
        kept, segment = np.unique(flashes["segment"], return_inverse=True)
        segments, flashes = [self.segments[k] for k in kept], flashes.assign(segment=segment)
        return dataclasses.replace(self, segments=segments, flashes=flashes)

    def __repr__(self) -> str:
        screen = self.speller.name if self.speller else "no speller"
        return (
            f"<Recording {self.name}: {len(self.flashes)} flashes in {len(self.segments)} "
            f"segments, {self.duration_s:.0f} s, {self.n_chans} channels at {self.sfreq:g} Hz, "
            f"{self.unit}, {screen}>"
        )


def concatenate_recordings(recordings: Sequence[Recording], name: str | None = None) -> Recording:
    """Concatenate recordings; segments stay separate and are not copied.

    Channels are reordered by name to match the first recording.

    Raises
    ------
    InputError
        If channels, rate, unit or speller differ.
    """
    import pandas as pd

    if not recordings:
        raise InputError("got no recording to concatenate; expected at least one")
    first = recordings[0]
    segments: list[np.ndarray] = []
    tables = []
    for other in recordings:
        for what in ("sfreq", "unit", "speller"):
            if getattr(other, what) != getattr(first, what):
                raise InputError(
                    f"{other.name} has {what} {getattr(other, what)}, {first.name} has "
                    f"{getattr(first, what)}; expected the same for all"
                )
        order = channel_order(other.ch_names, first.ch_names, where=other.name)
        channel_order(first.ch_names, other.ch_names, where=f"{other.name} after {first.name}")
        in_order = order == list(range(first.n_chans))
        tables.append(other.flashes.assign(segment=other.flashes["segment"] + len(segments)))
        segments.extend(s if in_order else s[order] for s in other.segments)
    flashes = pd.concat(tables, ignore_index=True)
    return dataclasses.replace(first, segments=segments, flashes=flashes, name=name or first.name)


def channel_order(have: Sequence[str], want: Sequence[str], where: str = "recording") -> list[int]:
    """Find the indices of channels by name, ignoring case and dots.

    Returns
    -------
    list of int
        For each wanted channel its index in ``have``.

    Raises
    ------
    InputError
        If some are missing; the message lists them and the recorded ones.

    Examples
    --------
    >>> channel_order(["Fz", "Cz", "Pz"], ["PZ", "fz"])
    [2, 0]
    """
    index = {_plain(c): i for i, c in enumerate(have)}
    if missing := [c for c in want if _plain(c) not in index]:
        raise InputError(
            f"{where}: channels {missing} are not among the {len(have)} recorded: "
            f"{', '.join(have)}"
        )
    return [index[_plain(c)] for c in want]


def _plain(ch_name: str) -> str:
    return ch_name.strip(". ").lower()
