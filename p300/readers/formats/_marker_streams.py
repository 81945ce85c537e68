"""Which of several marker streams of a file has the flashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.labels import Understood, counted
from p300.readers.formats._segments import wanted_names


@dataclass(frozen=True, eq=False)
class MarkerStream:
    """A stream of markers.

    Parameters
    ----------
    name : str
        For messages.
    events : Events
        In seconds from the first sample of the EEG.
    called : tuple of str
        Other names under which it may be wanted, such as its type.
    """

    name: str
    events: Events
    called: tuple[str, ...] = ()


def find_markers(
    streams: Sequence[MarkerStream], wanted: Any, given: Given
) -> tuple[Events, Understood, list[str]]:
    """Find the only stream that has flashes, or join those that are named.

    Parameters
    ----------
    streams : sequence of MarkerStream
        All of the file.
    wanted : str, int, sequence of them, or None
        Names of streams; None for the only one that has flashes.
    given : Given
        What the user says of the events.

    Returns
    -------
    events : Events
        Of the stream, or of those that are named.
    understood : Understood
        What they mean.
    notes : list of str
        Which stream was taken, and which were not.

    Raises
    ------
    InputError
        If a name is of no stream, or no stream or several have flashes.
    """
    used = list(streams)
    if wanted is not None:
        names = wanted_names(wanted)
        known = {name for stream in streams for name in (stream.name, *stream.called)}
        if missing := [name for name in names if name not in known]:
            there = [stream.name for stream in streams]
            raise InputError(
                f"{given.name}: got no stream of markers {listed(missing)}; expected some of "
                f"{listed(there)}; set markers"
            )
        used = [stream for stream in streams if {stream.name, *stream.called} & {*names}]
        events = _joined(used)
        understood = given.understand(events.labels)
        if understood.is_flash.any():
            return events, understood, []
    else:
        tried = [(stream, given.understand(stream.events.labels)) for stream in used]
        tried = [one for one in tried if one[1].is_flash.any()]
        if len(tried) > 1:
            raise InputError(
                f"{given.name}: got flashes in {len(tried)} streams: "
                f"{listed([stream.name for stream, _ in tried])}; expected one; set markers to "
                "its name, or to all of them"
            )
        if tried:
            ((stream, understood),) = tried
            others = [f"{s.name!r} ({len(s.events.labels)})" for s in used if s is not stream]
            notes = [f"Flashes come from the stream {stream.name!r}."]
            if others:
                notes.append(f"Markers of other streams are not used: {', '.join(others)}.")
            return stream.events, understood, notes
    found = "; ".join(f"{s.name}: {counted(s.events.labels)}" for s in used)
    every = [label for s in used for label in s.events.labels]
    raise no_flash(given, f"markers ({found or 'no marker stream'})", every)


def _joined(streams: Sequence[MarkerStream]) -> Events:
    seconds = np.concatenate([np.zeros(0), *(stream.events.seconds for stream in streams)])
    return Events.in_time(seconds, [label for s in streams for label in s.events.labels])
