"""XDF files of LabRecorder: EEG and marker streams on one clock (extra ``xdf``).

Clocks of the senders are corrected, and jitter of the time stamps is removed, by pyxdf. Each
segment of the EEG keeps its true rate, and onsets are in seconds by the time stamps.

Source: https://github.com/sccn/xdf/wiki/Specifications (format), https://github.com/xdf-modules/pyxdf
(reader).
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.build import Events, Given
from p300.readers.events.labels import counted
from p300.readers.formats._marker_streams import MarkerStream, find_markers
from p300.readers.formats._segments import (
    MAX_GAP_S,
    WRITTEN_UNITS,
    Stretches,
    make_recording,
    picked,
    unit_of,
)
from p300.recording import Recording, is_same_rate

TAKES = ("markers", "stream", "unit")


def read(
    path: str | Path,
    *,
    stream: str | None = None,
    markers: str | Sequence[str] | None = None,
    picks: Sequence[str] | None = None,
    unit: str | None = None,
    **meaning: Any,
) -> Recording:
    """Read the EEG and the flashes of an XDF file.

    Parameters
    ----------
    path : path
        The file.
    stream : str or None
        Name or type of the EEG stream; None for the only one of type EEG.
    markers : str, sequence of str, or None
        Names or types of the marker streams; None for the only one that has flashes.
    picks : sequence of str or None
        Channels; None for those of type EEG, or all if no types are given.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for what the stream says, or else µV.
    **meaning
        What the markers mean: ``targets``, ``codes``, ``ignore``, ``speller``, ``text``,
        ``characters``, ``n_repetitions``, ``pause_s``, ``starts``, ``offset_s``, ``subject``,
        ``session``, ``run`` and ``name``, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        One segment per interval without a gap, each with its true rate.

    Raises
    ------
    InputError
        If pyxdf is not installed, the file cannot be read, or there is not one EEG stream and
        one source of flashes.

    Warns
    -----
    UserWarning
        If markers are left out, or flashes because they lie outside the EEG.
    """
    path = Path(path)
    said = Given(**{"name": path.stem, **meaning})
    eeg, others = _streams(path, stream)
    times = np.asarray(eeg["time_stamps"], float)
    data = np.asarray(eeg["time_series"])
    if data.ndim != 2 or data.dtype.kind not in "fiu" or len(data) < 2:
        raise InputError(
            f"{path.name}: the EEG stream {_name(eeg)!r} has samples of shape {data.shape}; "
            "expected numbers, (samples, channels), at least two."
        )
    names, rows, found_unit = _channels(eeg, data.shape[1], picks, path.name)
    notes = [f"EEG is the stream {_name(eeg)!r} ({len(rows)} of {data.shape[1]} channels)."]
    unit, of_unit = unit_of(
        found_unit if unit is None else unit, "The EEG stream gives", path.name
    )
    notes += of_unit
    bounds = [(int(a), int(b) + 1) for a, b in eeg["info"].get("segments") or [(0, len(data) - 1)]]
    bounds = [(a, b) for a, b in bounds if b - a > 1]
    begins = np.array([times[a] for a, _ in bounds])
    rates = [(b - 1 - a) / (times[b - 1] - times[a]) for a, b in bounds]
    marked = [
        MarkerStream(_name(s), _events(s, begins[0]), (s["info"]["type"][0],)) for s in others
    ]
    events, understood, said_of_markers = find_markers(marked, markers, said)
    nominal = float(eeg["info"]["nominal_srate"][0])
    is_near = all(is_same_rate(rate, nominal) for rate in rates)
    if not is_near:
        notes.append(f"The true rate is {rates[0]:.4f} Hz; the stream says {nominal:g} Hz.")
    segments = [np.ascontiguousarray(data[a:b, rows].T, np.float32) for a, b in bounds]
    return make_recording(
        Stretches(segments, begins - begins[0], np.array(rates)),
        names,
        nominal if is_near else rates[0],
        unit,
        events,
        understood,
        said,
        [*notes, *said_of_markers],
    )


def _streams(path: Path, wanted: str | None) -> tuple[dict, list[dict]]:
    """Read a file: its EEG stream, and the streams without a rate."""
    streams = _load(path)
    regular = [s for s in streams if float(s["info"]["nominal_srate"][0]) > 0]
    if wanted is None:
        found = [s for s in regular if s["info"]["type"][0].lower() == "eeg"]
    else:
        found = [s for s in regular if wanted in (_name(s), s["info"]["type"][0])]
    if len(found) != 1:
        about = [f"{_name(s)} (type {s['info']['type'][0]})" for s in regular]
        raise InputError(
            f"{path.name}: got {len(found)} EEG streams among {listed(about) or 'no stream'}; "
            "expected one; set stream to its name."
        )
    return found[0], [s for s in streams if float(s["info"]["nominal_srate"][0]) == 0]


def _name(stream: dict) -> str:
    return str(stream["info"]["name"][0])


def _channels(
    stream: dict, n_chans: int, picks: Sequence[str] | None, where: str
) -> tuple[list[str], list[int], str | None]:
    """Return names, columns and unit of the EEG channels that a stream describes."""
    description = (stream["info"].get("desc") or [None])[0] or {}
    channels = ((description.get("channels") or [None])[0] or {}).get("channel") or []
    about = [{k: str((v or [""])[0] or "") for k, v in channel.items()} for channel in channels]
    if len(about) != n_chans:
        about = [{} for _ in range(n_chans)]
    names = [a.get("label") or a.get("name") or f"E{k + 1}" for k, a in enumerate(about)]
    if picks is not None:
        rows = picked(names, picks, where)
    else:
        typed = [k for k, a in enumerate(about) if a.get("type", "").lower() == "eeg"]
        rows = typed or list(range(n_chans))
    units = {WRITTEN_UNITS.get(about[k].get("unit", "").strip().lower()) for k in rows}
    return [names[k] for k in rows], rows, units.pop() if len(units) == 1 else None


def _events(stream: dict, start: float = 0.0) -> Events:
    """Return the markers of a stream, in seconds from the first EEG sample."""
    values = [sample[0] for sample in stream["time_series"]]
    labels = [v if isinstance(v, str) else np.asarray(v).item() for v in values]
    return Events.in_time(np.asarray(stream["time_stamps"], float) - start, labels)


#: The file that was described last, until it is read: `p300 check` does both.
_described: dict[tuple[Path, int, int], list[dict]] = {}


def _key(path: Path) -> tuple[Path, int, int]:
    about = path.stat()
    return path.absolute(), about.st_mtime_ns, about.st_size


def _load(path: Path) -> list[dict]:
    """Read all streams of a file."""
    known = _described.pop(_key(path), None) if path.is_file() else None
    _described.clear()
    if known is not None:
        return known
    try:
        import pyxdf
    except ImportError as error:
        raise InputError(
            f"pyxdf is needed to read {path.name}: pip install 'p300[xdf]' ({error})."
        ) from error
    log = logging.getLogger("pyxdf")
    level = log.level
    log.setLevel(logging.CRITICAL)
    opened = open if path.suffix.lower() == ".xdf" else gzip.open
    try:
        with opened(path, "rb") as file:  # pyxdf leaves a file open that it cannot read
            streams, _ = pyxdf.load_xdf(
                file, jitter_break_threshold_seconds=MAX_GAP_S, jitter_break_threshold_samples=2
            )
    except Exception as error:  # of any kind: the file is somebody else's
        raise InputError(f"{path.name} cannot be read as XDF: {error}") from error
    finally:
        log.setLevel(level)
    return streams


def contents(path: Path) -> str:
    """Describe the streams of a file, with rates, channels and labels."""
    lines, streams = ["XDF"], _load(path)
    _described[_key(path)] = streams
    for stream in streams:
        about, n = stream["info"], len(stream["time_stamps"])
        rate = float(about["nominal_srate"][0])
        head = f"  stream {_name(stream)!r} of type {about['type'][0]}: "
        if rate > 0:
            names = _channels(stream, int(about["channel_count"][0]), None, path.name)[0]
            shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            true = float(about.get("effective_srate") or 0)
            lines.append(f"{head}{n} samples at {rate:g} Hz (true rate {true:.4f} Hz), {shown}")
        else:
            lines.append(f"{head}{n} markers: {counted(_events(stream).labels, 24)}")
    return "\n".join(lines)
