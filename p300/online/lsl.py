"""Lab Streaming Layer: the two streams that come in, and the one that goes out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.online.format import UNIT_NAMES, StreamFormat, unit_of
from p300.recording import UNITS

#: Name of the stream of decisions; spellers read it, p300 does not.
DECISIONS = "p300 decisions"

#: Least seconds that a second stream has to answer when one is found.
ALONE_S = 0.5

#: Seconds between two measurements of the offset between two machines' clocks.
CORRECTION_S = 5.0

#: Seconds of a stream that are buffered while we are busy.
BUFFERED_S = 600

#: Most samples pulled at once.
MAX_SAMPLES = 1024


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


def find_stream(kind: str, *, name=None, stype=None, timeout_s: float):
    """Find the stream with a name, or else with a type.

    Raises
    ------
    InputError
        If there is none; the message lists the streams found.
    """
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        if found := _resolve(min(left, 5.0), 1, name, stype):
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


class Listener:
    """The EEG stream and the marker stream, on one clock: that of the EEG stream.

    Parameters
    ----------
    eeg, markers : mapping
        ``name`` or ``stype`` of each stream; for the EEG also ``ch_names`` and ``unit`` where
        the stream does not say them, None otherwise.
    timeout_s : float
        How long to look for them.

    Attributes
    ----------
    format : StreamFormat
        Of the EEG stream.

    Raises
    ------
    InputError
        If a stream is not found, or the EEG stream does not say what its channels are.
    """

    def __init__(self, eeg, markers, *, timeout_s: float):
        self._wanted = {"EEG": eeg, "marker": markers}
        library()  # imported once, before there are threads
        with ThreadPoolExecutor(2 * len(self._wanted)) as pool:  # each waits for half a second
            jobs = {kind: pool.submit(self._open, kind, timeout_s, pool) for kind in self._wanted}
            opened = {kind: job.result() for kind, job in jobs.items()}
        self._inlets = {kind: inlet for kind, (inlet, _) in opened.items()}
        eeg_info, marker_info = (info for _, info in opened.values())
        if eeg_info.sfreq <= 0 or eeg_info.dtype == "string":
            raise InputError(
                f"stream {eeg_info.name!r} is no EEG: its rate is {eeg_info.sfreq:g} Hz; expected "
                "numbers at a fixed rate"
            )
        if marker_info.dtype != "string":
            raise InputError(
                f"stream {marker_info.name!r} holds {np.dtype(marker_info.dtype)}; expected text "
                "markers such as 'flash 7'"
            )
        self.format = self._describe(eeg_info)
        # all streams of one machine have one clock already
        is_one_clock = eeg_info.hostname == marker_info.hostname
        self._shift, self._shift_until = 0.0, np.inf if is_one_clock else 0.0
        self._n_chans = eeg_info.n_channels

    def _open(self, kind, timeout_s, pool):
        wanted = {what: self._wanted[kind].get(what) for what in ("name", "stype")}
        began = time.monotonic()
        info = find_stream(kind, **wanted, timeout_s=timeout_s)
        answer_s = min(time.monotonic() - began, 1.0)  # after longer, it was not there yet
        alone = pool.submit(check_alone, info, kind, **wanted, answer_s=answer_s)
        inlet = library().StreamInlet(info, max_buffered=BUFFERED_S)
        inlet.open_stream(timeout=timeout_s)
        alone.result()
        return inlet, inlet.get_sinfo(timeout=timeout_s)

    def _describe(self, info) -> StreamFormat:
        ch_names, unit = (self._wanted["EEG"].get(what) for what in ("ch_names", "unit"))
        names: Any = ch_names or info.get_channel_names() or []
        if None in names or len(names) != info.n_channels:
            raise InputError(
                f"stream {info.name!r} names {len(names)} of its {info.n_channels} channels; "
                "expected all, or eeg.ch_names=[…]"
            )
        said = info.get_channel_units() or [None] * len(names)
        units: list[Any] = [unit or unit_of(text) for text in said]
        if None in units:
            k = units.index(None)
            raise InputError(
                f"stream {info.name!r} gives {names[k]} in the unit {said[k]!r}; expected one "
                f"such as 'microvolts', or eeg.unit=uV ({', '.join(UNITS)})"
            )
        return StreamFormat(info.name, tuple(names), tuple(units), info.sfreq)

    def pull(self, timeout_s: float):
        """Wait for samples and return all that came, with the markers so far.

        Returns
        -------
        samples : ndarray, shape (n_chans, n_samples)
            No samples if none came in time.
        timestamps : ndarray, shape (n_samples,)
            As they came.
        markers : list of (str, float, float)
            Text, time by the EEG stream's clock, time by its own.

        Raises
        ------
        RuntimeError
            If a stream is lost that cannot be found again (it has no ``source_id``).
        """
        eeg, marker_inlet = self._inlets["EEG"], self._inlets["marker"]
        first, when = eeg.pull_sample(timeout=timeout_s)
        if when is None:
            samples, timestamps = np.empty((self._n_chans, 0), np.float32), np.empty(0)
        else:
            first = np.array(first)[:, None]  # a copy: the inlet reuses its memory
            more, times = eeg.pull_chunk(timeout=0.0, max_samples=MAX_SAMPLES)
            # float32 (24 bits) is exact for int8 and int16; other types need float64
            is_wide = more.dtype.itemsize > 2 and more.dtype != np.float32
            dtype = np.float64 if is_wide else np.float32
            samples = np.concatenate([first, more.T], axis=1, dtype=dtype)
            timestamps = np.concatenate([[when], times])
        # after the samples, so that a marker sent before them is never missed
        texts, raw = marker_inlet.pull_chunk(timeout=0.0, max_samples=MAX_SAMPLES)
        shift = self._clock_shift() if len(texts) else 0.0
        markers = [(row[0], t + shift, t) for row, t in zip(texts, raw.tolist(), strict=True)]
        return samples, timestamps, markers

    def reopen(self) -> bool:
        """Look for both streams again for one second; return whether both are back.

        Raises
        ------
        InputError
            If the EEG stream came back with another format.
        """
        try:
            with ThreadPoolExecutor(1) as pool:
                opened = {kind: self._open(kind, 1.0, pool) for kind in self._wanted}
        except (InputError, RuntimeError, TimeoutError):
            return False
        described = self._describe(opened["EEG"][1])
        if described != self.format:
            raise InputError(f"got {described} after a lost EEG stream; expected {self.format}")
        self._inlets = {kind: inlet for kind, (inlet, _) in opened.items()}
        return True

    def close(self) -> None:
        """Disconnect from the streams."""
        self._inlets.clear()

    def _clock_shift(self) -> float:
        """Return the seconds to add to the marker stream's times to get the EEG stream's."""
        if time.monotonic() > self._shift_until:
            eeg, markers = (self._inlets[k].time_correction(5.0) for k in ("EEG", "marker"))
            self._shift = markers - eeg
            self._shift_until = time.monotonic() + CORRECTION_S
        return self._shift


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
    info.set_channel_units([UNIT_NAMES[unit][-1 if unit == "AD" else 2] for unit in stream.units])
    return lsl.StreamOutlet(info)
