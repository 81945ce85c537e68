"""``p300 replay``: play a recording, or a session, as live streams."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.export.onnx_detector import OnnxDetector
from p300.integrity.levels import segment_digests
from p300.online.events import Learned
from p300.online.journal import TABLES, as_row, count_lost, read_rows
from p300.online.live import tell
from p300.online.markers import markers_of
from p300.online.setup import (
    NONE,
    choose_rule,
    fingerprint,
    make_speller,
    open_detector,
    sha256_of,
)
from p300.online.streams.format import StreamFormat
from p300.online.streams.lsl import library, open_signal, open_texts
from p300.online.telling import Tally, Telling
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.online.session import OnlineSpeller
    from p300.recording import Recording


log = logging.getLogger("p300.online.playback")

#: Seconds of signal sent at once, as amplifiers do.
CHUNK_S = 1 / 30

#: Seconds between the segments of a recording, so that no filter runs across their ends.
PAUSE_S = 2.0

#: Seconds from the connection of a listener to its first sample; mne-lsl needs 0.5 s.
SETTLE_S = 1.0

#: Seconds that a listener has to receive the last samples.
DRAIN_S = 10.0

#: Samples, timestamps and markers of one push.
Input = tuple[np.ndarray, np.ndarray, list[tuple[str, float]]]


def format_of(recording: Recording) -> StreamFormat:
    """Return the format of the stream that a recording is played as."""
    units = (recording.unit,) * recording.n_chans
    return StreamFormat("p300 replay", recording.ch_names, units, recording.sfreq)


def recording_inputs(recording: Recording, *, start=0.0, chunk_s=CHUNK_S) -> Iterator[Input]:
    """Cut a recording into the chunks and markers of a live session.

    Parameters
    ----------
    recording : Recording
        With a speller.
    start : float
        Time of its first sample.
    chunk_s : float
        Seconds per chunk.

    Yields
    ------
    samples : ndarray, shape (n_chans, n_samples)
        Between two segments there is a pause of :data:`PAUSE_S`.
    timestamps : ndarray, shape (n_samples,)
    markers : list of (str, float)
        Those whose time has come; "stop" with the last chunk.
    """
    assert recording.speller is not None
    n = max(1, round(chunk_s * recording.sfreq))
    for k, (segment, rate) in enumerate(zip(recording.segments, recording.rates, strict=True)):
        flashes = recording.flashes[recording.flashes["segment"] == k]
        waiting = deque(markers_of(flashes, recording.speller, start))
        n_samples = segment.shape[1]
        is_last = k == len(recording.segments) - 1
        for begin in range(0, n_samples, n):
            stop = min(begin + n, n_samples)
            # of the nominal clock, without the rounding error of a sum of steps
            timestamps = start + np.arange(begin, stop) / rate
            due = []
            while waiting and waiting[0][1] <= timestamps[-1]:
                due.append(waiting.popleft())
            if is_last and stop == n_samples:
                due += [*waiting, ("stop", float(timestamps[-1]))]
            yield segment[:, begin:stop], timestamps, due
        start += n_samples / rate + PAUSE_S


def events_of(speller: OnlineSpeller, inputs: Iterable[Input]) -> Iterator:
    """Run a session on inputs and yield all of its events."""
    for samples, timestamps, markers in inputs:
        yield from speller.push(samples, timestamps, markers)
    yield from speller.finish()


def spell_at_once(cfg: DictConfig, about: dict | None, stream: StreamFormat, inputs) -> None:
    """Run a session on inputs without streams; compare with the recorded session, if any."""
    from omegaconf import OmegaConf

    settings: Any = OmegaConf.to_container(cfg) if about is None else about["settings"]
    detector = open_detector(cfg.detector, stream, settings)
    if about is not None and fingerprint(cfg.detector, detector) != about["model_sha256"]:
        raise InputError(
            f"got detector={cfg.detector}; expected the model of this session, {about['model']} "
            "(the SHA-256 differs)"
        )
    if about is not None:
        check_language(about)
    speller = make_speller(detector, stream, settings, choose_rule(detector, settings["rule"]))
    telling, tally = Telling(len(speller.speller.codes)), Tally()
    found: dict[type, list[list[str]]] = {kind: [] for kind in TABLES}
    started, n_samples = time.perf_counter(), 0

    def counted():
        nonlocal n_samples
        for samples, timestamps, markers in inputs:
            n_samples += len(timestamps)
            yield samples, timestamps, markers

    for event in events_of(speller, counted()):
        if type(event) in found and about is not None:
            found[type(event)].append(as_row(event))
        tell(telling, tally, event)
    took = time.perf_counter() - started
    show(telling.summary())
    if noticed := tally.summary():
        log.warning("%s", noticed)
    recorded_s = n_samples / stream.sfreq
    log.info("%.0f s of EEG in %.1f s: %.0f times as fast", recorded_s, took, recorded_s / took)
    if about is not None:
        show(compare(cfg.session, found))


def tell_trained_on(detector: str | Path, recording: Recording) -> None:
    """Warn if a recording holds what a detector was trained on: it reads that too well."""
    if detector == NONE:
        return
    trained = set(OnnxDetector.load(detector).trained_on)
    n_known = sum(digest in trained for digest in segment_digests(recording))
    if n_known:
        log.warning(
            "the detector was trained on %d of the %d segments that are played: it reads them "
            "better than it would read new ones",
            *(n_known, len(recording.segments)),
        )


def check_language(about: dict[str, Any]) -> None:
    """Check that the language file of a session is what it was then.

    Raises
    ------
    InputError
        If its SHA-256 differs.
    """
    path, then = about["settings"]["language"], about.get("language_sha256")
    if path is None or then is None:
        return  # without one, or of a version that did not keep it
    try:
        now = sha256_of(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror}") from error
    if now != then:
        raise InputError(
            f"{path} has changed since the session: its SHA-256 is {now[:12]}…; expected "
            f"{then[:12]}…; put the text of then there, from which letters were predicted"
        )


def compare(folder: str | Path, found: Mapping[type, list[list[str]]]) -> str:
    """Compare the output of a replayed session with the recorded one, to the last digit.

    If the session was killed, what it had not processed yet is not compared.

    Raises
    ------
    InputError
        With the first difference. If the session could not write all records, that is named as
        the reason, since a session that is not complete cannot be compared.
    """
    n_lost, counts = count_lost(folder), []
    for kind, name in TABLES.items():
        now, path = found[kind], Path(folder) / name
        if kind is Learned and not path.exists():
            continue  # it did not learn
        counts.append(f"{len(now)} {path.stem if kind is not Learned else 'updates'}")
        for k, (a, b) in enumerate(itertools.zip_longest(read_rows(path), now), start=1):
            if a is not None and a != b:
                differs = f"{folder}/{name}, row {k}: got {b} now; expected {a}, as then"
                if n_lost:
                    differs = (
                        f"this session lost {n_lost} records that could not be written; what is "
                        f"left of it gives other results, whatever the program: {differs}"
                    )
                raise InputError(differs)
    missing = f"; {n_lost} records could not be written then" if n_lost else ""
    return f"identical: {', '.join(counts)}{missing}"


def play(
    stream: StreamFormat, inputs: Iterable[Input], *, speed: float, wait_s: float, names
) -> None:
    """Send inputs as two streams of Lab Streaming Layer.

    The timestamps are those of the recording at any speed, so that the recording itself is
    received.

    Parameters
    ----------
    stream : StreamFormat
        Of the EEG.
    inputs : iterable of Input
        What is sent.
    speed : float
        How many times as fast as recorded.
    wait_s : float
        How long to wait for a listener to both streams.
    names : (str, str)
        Of the EEG stream and of the marker stream.

    Raises
    ------
    InputError
        If nobody listens in time.
    """
    eeg = open_signal(replace(stream, name=names[0]))
    texts = open_texts(names[1])
    log.info("waiting for somebody to listen to %r and %r", *names)
    deadline = time.monotonic() + wait_s
    while not (eeg.has_consumers and texts.has_consumers):
        if time.monotonic() > deadline:
            raise InputError(
                f"nobody listened to both streams within {wait_s:g} s; start `p300 online`, or "
                "raise wait_s"
            )
        time.sleep(0.05)
    time.sleep(SETTLE_S)
    log.info("playing at %g times the speed", speed)
    started = library().local_clock()
    first, shift, text, last = None, 0.0, "", 0.0
    for samples, timestamps, markers in inputs:
        if len(timestamps):
            last = timestamps[-1]
            if first is None:
                first, shift = timestamps[0], started - timestamps[0]
            time.sleep(max(0.0, started + (last - first) / speed - library().local_clock()))
        for text, at in markers:
            texts.push_sample([text], timestamp=at + shift)
        if len(timestamps):
            for_sending = np.array(samples.T, np.float32, order="C")  # a copy: it is written to
            if len(for_sending) == 1:
                eeg.push_sample(for_sending[0], timestamp=timestamps[0] + shift)
            else:
                eeg.push_chunk(for_sending, timestamp=timestamps + shift)
    if text != "stop":
        texts.push_sample(["stop"], timestamp=last + shift)
    log.info("played; waiting for the listener to finish")
    deadline = time.monotonic() + DRAIN_S
    while eeg.has_consumers and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(SETTLE_S)  # a listener that is still disconnecting would report a lost stream
