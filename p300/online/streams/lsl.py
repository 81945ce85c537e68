"""Lab Streaming Layer: streams are found, and opened for sending."""

from __future__ import annotations

import time
from collections.abc import Callable

from p300.errors import InputError
from p300.online.streams.format import UNIT_NAMES, StreamFormat

#: Name of the stream of decisions; spellers read it, p300 does not.
DECISIONS = "p300 decisions"

#: Least seconds that a second stream has to answer when one is found.
ALONE_S = 0.5

#: Most seconds for which a search cannot be interrupted.
SEARCH_S = 1.0


def library():
    """Import mne-lsl, which is needed only here.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import mne_lsl.lsl
    except ImportError as error:
        raise InputError(
            "mne-lsl is not installed; install it with `pip install 'p300[realtime]'`"
        ) from error
    return mne_lsl.lsl


def find_stream(
    kind: str,
    *,
    name=None,
    stype=None,
    timeout_s: float,
    is_over: Callable[[], bool] = lambda: False,
):
    """Find the stream with a name, or else with a type, unless ``is_over()`` ends the search.

    Raises
    ------
    InputError
        If there is none; the message lists the streams found.
    """
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0 and not is_over():
        if found := _resolve(min(left, SEARCH_S), 1, name, stype):
            return found[0]
    raise InputError(_not_one([], kind, name, stype))


def check_alone(info, kind: str, *, name=None, stype=None, answer_s: float) -> None:
    """Check that there is no second stream with that name or type.

    ``answer_s`` is how long the first took to answer; the second has three times as long.

    Raises
    ------
    InputError
        If there is one; the message lists both.
    """
    # asks for three streams, so that it waits long enough for a second one
    found = _resolve(max(ALONE_S, 3 * answer_s), 3, name, stype)
    if len({i.uid for i in found} | {info.uid}) > 1:
        raise InputError(_not_one(found, kind, name, stype))


def _resolve(timeout_s, minimum, name, stype) -> list:
    found = library().resolve_streams(timeout_s, name, None if name else stype, minimum=minimum)
    return [info for info in found if info.name != DECISIONS]


def _not_one(found, kind, name, stype) -> str:
    wanted = f"name {name!r}" if name else f"type {stype!r}"
    listed = found or library().resolve_streams(timeout=0.5)
    shown = ", ".join(f"{i.name!r} of type {i.stype!r}" for i in listed) or "none"
    return f"got {len(found)} {kind} streams with {wanted}; expected one; streams found: {shown}"


def open_texts(name: str):
    """Open an outgoing stream of texts, of type "Markers"."""
    lsl = library()
    return lsl.StreamOutlet(lsl.StreamInfo(name, "Markers", 1, 0.0, "string", f"p300 {name}"))


def open_signal(stream: StreamFormat):
    """Open an outgoing stream of EEG, of type "EEG" and float32."""
    lsl, name, n_chans = library(), stream.name, len(stream.ch_names)
    info = lsl.StreamInfo(name, "EEG", n_chans, stream.sfreq, "float32", f"p300 {name}")
    info.set_channel_names(list(stream.ch_names))
    info.set_channel_types("eeg")
    named = {None: "unknown"} | {u: UNIT_NAMES[u][-1 if u == "AD" else 2] for u in UNIT_NAMES}
    info.set_channel_units([named[unit] for unit in stream.units])
    return lsl.StreamOutlet(info)
