"""OpenViBE's CSV files of a signal with its events (version 2 and later).

Source: http://openvibe.inria.fr/csv-file-format-description/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.labels import counted
from p300.readers.formats._columns import (
    Layout,
    as_numbers,
    find_layout,
    pieces,
    read_signal,
)
from p300.readers.formats._segments import make_recording, named, picked, unit_of
from p300.readers.formats._time_column import cut
from p300.readers.formats.openvibe.labels import EVENTS, TIME, label_of
from p300.recording import Recording

if TYPE_CHECKING:
    import pandas as pd

TAKES = ("unit", "ch_names")


def read(
    path: str | Path,
    *,
    picks: Sequence[str] | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    **meaning: Any,
) -> Recording:
    """Read the EEG and the flashes of a CSV file of OpenViBE.

    Labels are the names of the stimulations, as in :mod:`p300.readers.formats.openvibe.ov`.

    Parameters
    ----------
    path : path
        The file.
    picks : sequence of str or None
        Channels; None for all.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for µV.
    ch_names : sequence of str or None
        Names of all channels; None for those of the file.
    **meaning
        What the stimulations mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        One segment per interval without a gap in time.

    Raises
    ------
    InputError
        If the file is damaged, has epochs that overlap, or no flash.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    layout, sfreq, columns = _layout(path)
    names = named(columns, ch_names, path.name)
    rows = picked(names, picks, path.name)
    times: list[np.ndarray] = []
    dates: list[float] = []
    labels: list[str | int] = []

    def take(start: int, piece: pd.DataFrame) -> None:
        times.append(as_numbers(piece[layout.names[0]]))
        _take_events(piece, dates, labels, path.name)

    signal = read_signal(layout, [columns[k] for k in rows], EVENTS, take)
    stamps = np.concatenate(times) if times else np.zeros(0)
    if len(stamps) < 2 or (np.diff(stamps) <= 0).any():
        raise InputError(
            f"{path.name}: got {len(stamps)} rows whose time does not rise throughout; expected a "
            "continuous signal, not epochs"
        )
    stretches, rate, notes = cut(signal, stamps, "time (s)", sfreq, layout)
    lengths = np.cumsum([0, *(segment.shape[1] for segment in stretches.segments)])[:-1]
    found = np.array(dates, float)
    segment = np.maximum(np.searchsorted(stamps[lengths], found, side="right") - 1, 0)
    seconds = stretches.begins[segment] + found - stamps[lengths][segment]
    events = Events.in_time(seconds, labels)
    understood = given.understand(events.labels)
    if not understood.is_flash.any():
        raise no_flash(given, f"stimulations ({counted(events.labels)})", events.labels)
    unit, of_unit = unit_of(unit, "OpenViBE writes", path.name)
    return make_recording(
        stretches,
        [names[k] for k in rows],
        rate,
        unit,
        events,
        understood,
        given,
        [*notes, *of_unit],
    )


def contents(path: Path) -> str:
    """Describe a file: its channels, rate and stimulations."""
    layout, sfreq, columns = _layout(path)
    dates: list[float] = []
    labels: list[str | int] = []
    n_rows = 0
    for piece in pieces(layout, EVENTS):
        _take_events(piece, dates, labels, path.name)
        n_rows += len(piece)
    shown = ", ".join(columns[:8]) + (", …" if len(columns) > 8 else "")
    return (
        f"OpenViBE CSV\n  {n_rows / sfreq:.1f} s at {sfreq:g} Hz\n  {len(columns)} channels: "
        f"{shown}\n  {len(labels)} stimulations: {counted(labels, 24)}"
    )


def _layout(path: Path) -> tuple[Layout, float, list[str]]:
    """Return how a file is written, its rate, and its columns of channels."""
    layout = find_layout(path)
    match = TIME.fullmatch(layout.names[0])
    if match is None or not int(match[1]) or tuple(layout.names[-3:]) != EVENTS:
        raise InputError(
            f"{path.name}: got the columns {layout.names[:2]} to {layout.names[-3:]}; expected "
            f"Time:…Hz first and {', '.join(EVENTS)} last"
        )
    columns = layout.names[1:-3]
    channels = [name for name in columns if name not in ("Epoch", "End Time")]
    if not channels:
        raise InputError(f"{path.name}: got no channel between {layout.names[0]} and the events")
    return layout, float(match[1]), channels


def _take_events(piece: pd.DataFrame, dates: list[float], labels: list, where: str) -> None:
    """Take the events of some rows: numbers and times of several are divided by colons."""
    having = piece[piece[EVENTS[0]].notna()]
    cells = having[list(EVENTS[:2])].fillna("").astype(str)
    for ids, when in cells.itertuples(index=False, name=None):
        numbers, seconds = ids.split(":"), when.split(":")
        try:
            found = [(int(n), float(s)) for n, s in zip(numbers, seconds, strict=True)]
            if not np.isfinite([s for _, s in found]).all():
                raise ValueError(when)
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{where}: got the event {ids[:40]!r} at {when[:40]!r}; expected whole numbers "
                "and as many times in seconds"
            ) from error
        labels += [label_of(number) for number, _ in found]
        dates += [second for _, second in found]
