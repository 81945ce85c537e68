"""Tables of samples (CSV, TSV): one row per sample, columns of channels, time and markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.labels import Understood, counted
from p300.readers.formats._columns import (
    Layout,
    Steps,
    as_numbers,
    find_columns,
    find_layout,
    pieces,
    read_signal,
)
from p300.readers.formats._segments import (
    Stretches,
    make_recording,
    named,
    unit_of,
)
from p300.readers.formats._time_column import TIME, cut, rate_of_comments
from p300.recording import Recording

if TYPE_CHECKING:
    import pandas as pd

TAKES = ("markers", "keys", "sfreq", "unit", "ch_names")

#: Names of columns, in lower case: markers, classes beside them, and what is no EEG.
MARKER = re.compile(
    r"marker ?\d*|markers|stim|stimulus|triggers?|stimulus ?code|event( ?id)?s?|codes?|flash(es)?"
    r"|sti ?\d*|status"
)
CLASS = re.compile(r"stimulus ?type|is_?target|targets?|labels?|class|type")
OTHER = re.compile(
    r"sample( ?(index|number|nr|no))?|index|epoch|n|counter|packet.*|battery.*|acc.*|gyro.*"
    r"|magn.*|(.*\W)?aux ?\d*|other.*|analog.*|digital.*|temp.*|.*not used.*|time.*|sampling ?rate"
    r"|column \d+|unnamed.*"
)


class Roles(NamedTuple):
    """What the columns are taken for."""

    channels: list[str]
    time: str | None
    markers: list[str]
    label: str | None
    left: list[str]


def read(
    path: str | Path,
    *,
    picks: Sequence[str | int] | None = None,
    markers: str | int | Sequence[str | int] | None = None,
    keys: Mapping[str, Any] | None = None,
    sfreq: float | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    **meaning: Any,
) -> Recording:
    """Read a table of samples.

    An event begins where a marker column changes to something else than 0 or nothing. Onsets are
    counted in samples, because time stamps jitter; gaps in time cut the recording.

    A column is named by its name, or by its number from 1 where none has such a name.

    Parameters
    ----------
    path : path
        The file.
    picks : sequence of str or int, or None
        Columns of EEG; None for all of numbers whose names are of nothing else.
    markers : str, int, sequence of them, or None
        Columns of markers; None for the only one with such a name and events.
    keys : {"time": str, int or None} or None
        The column of time; without it, the first with such a name. None as a value: there is
        none.
    sfreq : float or None
        Sampling rate in Hz; None for that of the time column.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for µV.
    ch_names : sequence of str or None
        Names of the channels, in the order of their columns.
    **meaning
        What the markers mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        One segment per interval without a gap in time.

    Raises
    ------
    InputError
        If it is no table, nothing tells the rate, or there is not one column of markers.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    layout = find_layout(path)
    roles = _roles(layout, picks, markers, keys)
    times: list[np.ndarray] = []
    steps = {name: Steps() for name in roles.markers}
    classes: list[Any] = []

    def take(start: int, piece: pd.DataFrame) -> None:
        if roles.time is not None:
            times.append(as_numbers(piece[roles.time]))
        for name, step in steps.items():
            at = step.take(start, piece[name])
            if roles.label is not None:
                classes.extend(piece[roles.label].iloc[at])

    text = [*roles.markers, *([roles.label] if roles.label else [])]
    signal = read_signal(layout, roles.channels, text, take)
    if signal.shape[1] < 2:
        raise InputError(f"{path.name}: got {signal.shape[1]} rows of values; expected samples")
    stamps = np.concatenate(times) if times else None
    stretches, rate, notes = cut(signal, stamps, roles.time, sfreq, layout)
    events, understood, said = _events(
        steps, classes, rate, stretches, given, is_named=markers is not None
    )
    unit, of_unit = unit_of(unit, "A table gives", path.name)
    return make_recording(
        stretches,
        named(roles.channels, ch_names, path.name),
        rate,
        unit,
        events,
        understood,
        given,
        [_said(layout, roles, ch_names), *notes, *said, *of_unit],
    )


def contents(path: Path) -> str:
    """Describe a file: its columns, what they are taken for, and what is marked."""
    layout = find_layout(path)
    first = _first(layout)
    roles = _roles(layout, is_sure=False)
    unnamed = "" if layout.has_names else " without names, which are numbered"
    lines = [f"table of {len(layout.names)} columns{unnamed}: {listed(layout.names, 40)}"]
    but = "" if roles.time and roles.markers else ", but for those of time and markers"
    lines.append(f"channels: {listed(roles.channels, 40)}{but}")
    lines.append(f"time: {roles.time or _instead_of_time(layout, first)}")
    lines.append(f"left out: {listed(roles.left, 40)}")
    if not roles.markers:
        lines.append("markers: no column has such a name; set markers to a name or number")
    for name in [*roles.markers, *([roles.label] if roles.label else [])]:
        steps = Steps()
        for k, piece in enumerate(pieces(layout, [name])):
            steps.take(k, piece[name])
        lines.append(f"markers {name!r}: {counted(steps.labels, 24)}")
    if roles.time is not None and len(first) > 1:
        times = as_numbers(first[roles.time])
        lines.append(
            f"{roles.time} from {times[0]:.6f} in steps of {np.median(np.diff(times)):.6f}"
        )
    return "\n  ".join(lines)


def _instead_of_time(layout: Layout, first: pd.DataFrame) -> str:
    """Say what tells the rate where no column has the name of one of time."""
    if rate := rate_of_comments(layout):
        return f"no column has such a name; the rate is {rate:g} Hz by a comment"
    rising = [name for name in layout.names if (np.diff(as_numbers(first[name])) > 0).all()]
    may_be = f" (rising from row to row: {listed(rising)})" if rising else ""
    return f"no column has such a name; set sfreq, or keys={{time: …}} to a name or number{may_be}"


def _first(layout: Layout) -> pd.DataFrame:
    """Return the first rows."""
    first = next(pieces(layout, rows=1000), None)
    if first is None:
        raise InputError(f"{layout.path.name}: got no row of values; expected samples")
    return first


def _roles(
    layout: Layout,
    picks: Any = None,
    markers: Any = None,
    keys: Mapping[str, Any] | None = None,
    *,
    is_sure: bool = True,
) -> Roles:
    """Decide by what is given, and by their names, what the columns are."""
    where, names, first = layout.path.name, layout.names, _first(layout)
    is_number = {name: first[name].dtype.kind in "fiub" for name in names}
    lower = {name: name.lower().strip() for name in names}
    wanted = [] if markers is None else find_columns(layout, markers)
    kinds = {name: MARKER.fullmatch(lower[name]) for name in names}
    found = wanted or [name for name in names if kinds[name]]
    labels = [name for name in names if CLASS.fullmatch(lower[name])]
    beside = [name for name in labels if not wanted or name in wanted]
    found = [name for name in found if name not in beside] or beside[:1]
    label = next((name for name in beside if name not in found and len(found) == 1), None)
    times = [name for name in names if TIME.fullmatch(lower[name]) and is_number[name]]
    time = times[0] if times else None
    if keys is not None:
        time = _given_time(layout, keys)
    if not found and is_sure:
        raise InputError(
            f"{where}: got no column of markers among {listed(names, 40)}; expected one; set "
            "markers to its name or number"
        )
    taken = {time, *times, *found, *labels}
    free = [name for name in names if name not in taken]
    channels = [n for n in free if is_number[n] and not OTHER.fullmatch(lower[n])]
    channels = [n for n in channels if not kinds[n]]
    if picks is not None:
        channels = find_columns(layout, picks)
    if not channels and is_sure:
        raise InputError(f"{where}: got no column of EEG among {listed(names, 40)}; set picks")
    left = [name for name in names if name not in {*channels, time, *found, label}]
    return Roles(channels, time, found, label, left)


def _given_time(layout: Layout, keys: Mapping[str, Any]) -> str | None:
    """Return the column of time that is given; None if there is none."""
    if set(keys) != {"time"}:
        raise InputError(
            f"{layout.path.name}: got keys of {listed(list(keys))}; expected {{time: …}}, the "
            "column of time; markers and picks name others"
        )
    return None if keys["time"] is None else find_columns(layout, keys["time"])[0]


def _said(layout: Layout, roles: Roles, ch_names: Sequence[str] | None) -> str:
    shown = listed(roles.channels, 12)
    kinds = [f"{len(roles.channels)} channels ({shown})", f"markers {listed(roles.markers)}"]
    kinds += [f"classes {roles.label!r}"] if roles.label else []
    kinds += [f"left out {listed(roles.left, 12)}"] if roles.left else []
    unnamed = (
        "" if layout.has_names or ch_names else " The file names no columns: they are numbered."
    )
    return f"Columns are taken as {', '.join(kinds)}.{unnamed}"


def _events(
    steps: dict[str, Steps],
    classes: list,
    rate: float,
    signal: Stretches,
    given: Given,
    *,
    is_named: bool,
) -> tuple[Events, Understood, list[str]]:
    """Return the events of the marker columns, by the clock of the segments."""
    having = [n for n, s in steps.items() if given.understand(s.labels).is_flash.any()]
    if not having:
        found = "; ".join(f"{name}: {counted(step.labels)}" for name, step in steps.items())
        every = [label for step in steps.values() for label in step.labels]
        raise no_flash(given, f"markers ({found})", every)
    if len(having) > 1 and not is_named:
        raise InputError(
            f"{given.name}: got flashes in the columns {', '.join(having)}; expected one; set "
            "markers to its name or number, or to all of them"
        )
    used = steps if is_named else {having[0]: steps[having[0]]}
    labels = [label for step in used.values() for label in step.labels]
    notes = []
    if classes and given.targets is None and given.codes is None:
        kinds = [_class(value) for value in classes]
        if any(kind == "target" for kind in kinds) and None not in kinds:
            labels = [f"{kind}/{label}" for kind, label in zip(kinds, labels, strict=True)]
        else:
            notes.append("The column of classes is not used: it has others than 0 and 1.")
    samples = np.array([sample for step in used.values() for sample in step.samples], int)
    lengths = np.cumsum([0, *(segment.shape[1] for segment in signal.segments)])
    segment = np.searchsorted(lengths, samples, side="right") - 1
    seconds = signal.begins[segment] + (samples - lengths[segment]) / rate
    events = Events.in_time(seconds, labels)
    return events, given.understand(events.labels), notes


def _class(value: Any) -> str | None:
    """Return the class that a cell says; None if it says another."""
    text = re.sub(r"[\s_-]", "", str(value).lower())
    if re.fullmatch(r"0+(\.0*)?|nan|false|nontarget|no|standard", text):
        return "nontarget"
    return "target" if re.fullmatch(r"1(\.0*)?|true|target|yes|oddball", text) else None
