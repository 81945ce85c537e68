"""OpenViBE's ``.ov`` files: signal and stimulation streams.

Source: http://openvibe.inria.fr/ov-file-format-description/ (file),
http://openvibe.inria.fr/stream-structures/ (streams, in EBML),
http://openvibe.inria.fr/stimulation-codes/ (stimulations).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.build import Events, Given
from p300.readers.formats._marker_streams import MarkerStream, find_markers
from p300.readers.formats._segments import (
    Stretches,
    check_size,
    make_recording,
    named,
    picked,
    unit_of,
)
from p300.readers.formats.openvibe.ebml import EBMLFile
from p300.readers.formats.openvibe.streams import (
    SIGNAL,
    STIMULATIONS,
    TICK_S,
    Stream,
    find_streams,
)
from p300.recording import Recording

TAKES = ("markers", "stream", "unit", "ch_names")


def read(
    path: str | Path,
    *,
    picks: Sequence[str] | None = None,
    markers: str | int | Sequence[str | int] | None = None,
    stream: str | int | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    **meaning: Any,
) -> Recording:
    """Read the EEG and the flashes of an OpenViBE file.

    Labels are the names of the stimulations: ``OVTK_StimulationId_Label_01`` is the code 1,
    ``OVTK_StimulationId_Target`` a class; both at one instant are one flash.

    Parameters
    ----------
    path : path
        The file.
    picks : sequence of str or None
        Channels; None for all.
    markers : int, sequence of int, or None
        Numbers of the stimulation streams, from 1; None for the only one that has flashes.
    stream : int or None
        Number of the signal stream, from 1; None for the only one.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for µV.
    ch_names : sequence of str or None
        Names of all channels; None for those of the file.
    **meaning
        What the stimulations mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        One segment per interval in which the blocks of samples follow each other.

    Raises
    ------
    InputError
        If the file is damaged, or there is not one signal stream and one source of flashes.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    with EBMLFile(path) as file:
        streams = find_streams(file, path.name)
        eeg = _signal_stream(streams, stream, path.name)
        names = named(eeg.ch_names, ch_names, path.name)
        rows = picked(names, picks, path.name)
        signal, start = _signal(file, eeg, rows, path)
    unit, of_unit = unit_of(unit, "OpenViBE writes", path.name)
    notes = [f"EEG is the {eeg}.", *of_unit]
    if given.speller is not None:
        notes.append("OpenViBE's P300 scenarios number rows before columns; see speller.")
    if file.n_lost:
        notes.append(f"The file ends within a block, which is left out: {file.n_lost} bytes lack.")
    marked = [
        MarkerStream(str(s.number), _events(s, start)) for s in streams if s.kind == STIMULATIONS
    ]
    events, understood, said = find_markers(marked, markers, given)
    chosen, sfreq = [names[k] for k in rows], float(eeg.sfreq)
    return make_recording(signal, chosen, sfreq, unit, events, understood, given, [*notes, *said])


def contents(path: Path) -> str:
    """Describe a file: its streams, with rates, channels and labels."""
    with EBMLFile(path) as file:
        return "\n  ".join(["OpenViBE", *map(str, find_streams(file, path.name))])


def _signal_stream(streams: Sequence[Stream], wanted: str | int | None, where: str) -> Stream:
    found = [s for s in streams if s.kind == SIGNAL and s.blocks and s.sfreq]
    if wanted is not None:
        found = [s for s in found if str(s.number) == str(wanted)]
    if len(found) != 1:
        raise InputError(
            f"{where}: got {len(found)} signals among {listed(list(map(str, streams)), 20)}; "
            "expected one; set stream to its number"
        )
    return found[0]


def _signal(
    file: EBMLFile, stream: Stream, rows: Sequence[int], path: Path
) -> tuple[Stretches, float]:
    """Read the picked channels, cut where a block does not begin at the end of the last."""
    ticks = np.array([t for t, _ in stream.blocks], np.float64) * TICK_S
    steps, n, sfreq = np.diff(ticks), stream.n_block, float(stream.sfreq)
    is_cut, overlaps = steps > (n + 0.5) / sfreq, steps < (n - 0.5) / sfreq
    if overlaps.any() or is_cut.sum() > len(steps) / 2:
        raise InputError(
            f"{path.name}: the blocks of stream {stream.number} do not follow each other in "
            f"{(overlaps | is_cut).sum()} of {len(steps)} places; expected a continuous signal, "
            "not epochs"
        )
    check_size(path, 4.0 * len(rows) * n * len(ticks))
    starts = [0, *(np.flatnonzero(is_cut) + 1).tolist()]
    segments = []
    for first, stop in zip(starts, [*starts[1:], len(ticks)], strict=True):
        signal = np.empty((len(rows), (stop - first) * n), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # the integrity checks find infinity
            for k, (_, place) in enumerate(stream.blocks[first:stop]):
                content = file.read(place, place + 8 * len(stream.ch_names) * n)
                block = np.frombuffer(content, "<f8").reshape(len(stream.ch_names), n)
                signal[:, k * n : (k + 1) * n] = block[list(rows)]
        segments.append(signal)
    rates = np.full(len(segments), sfreq)
    return Stretches(segments, ticks[starts] - ticks[0], rates), float(ticks[0])


def _events(stream: Stream, start: float) -> Events:
    """Return the stimulations of a stream, in seconds from the first sample."""
    return Events.in_time(np.array(stream.seconds, float) - start, stream.labels)
