"""The two streams that come in, on one clock: each is watched, and looked for, for itself.

liblsl can reconnect a stream by itself, below Python, and then reads it as before. An amplifier
that was restarted with its channels in another order would be read in the old order. The EEG is
therefore opened without that (``recover=False``): a lost connection is told, the stream is
searched for again, and its description is compared before a sample of it is used. Markers are
texts, which cannot be misread; liblsl may reconnect them, so that a last marker is not dropped.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.online.streams.format import StreamFormat, describe_stream
from p300.online.streams.lsl import check_alone, find_stream, library

#: Seconds that a stream that was found has to answer.
OPEN_S = 10.0

#: Seconds that the clock of a machine has to answer, at first.
CLOCK_S = 5.0

#: Seconds between two measurements of the offset between two machines' clocks.
CORRECTION_S = 5.0

#: Seconds for which markers wait until a clock that was lost is known again.
HOLD_S = 2.0

#: Two clocks of one host name that differ by less are one. LSL's clocks count from the start of
#: a machine, so those of two machines are never that close by chance.
ONE_CLOCK_S = 0.01

#: Seconds of a stream that are buffered while we are busy.
BUFFERED_S = 600

#: Most samples pulled at once.
MAX_SAMPLES = 4096

#: What a firewall must let through, by default.
PORTS = "16572 to 16604"


@dataclass
class Link:
    """An open stream, and what is to be added to its timestamps to get this machine's clock."""

    inlet: Any
    info: Any
    correction_s: float | None = None
    is_clock_known: bool = False

    def measure_clock(self, timeout_s: float) -> bool:
        """Measure the correction; on failure, keep the last one and return False."""
        try:
            self.correction_s = self.inlet.time_correction(timeout_s)
        except (TimeoutError, RuntimeError):
            return False
        self.is_clock_known = True
        return True

    def __str__(self):
        return f"{self.info.name!r} on machine {self.info.hostname!r}"


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
    news : list of (str, str)
        What happened to the streams: a key, and a sentence. The reader empties it.

    Raises
    ------
    InputError
        If a stream is not found or cannot be reached, the EEG stream does not say what its
        channels are, or a clock cannot be compared.
    """

    def __init__(self, eeg, markers, *, timeout_s: float):
        self._wanted = {"EEG": eeg, "marker": markers}
        self.news: list[tuple[str, str]] = []
        self._closed = threading.Event()
        self._lost: set[str] = set()
        self._searches: dict[str, Future] = {}
        self._look_at = self._measure_at = 0.0
        self._held: list[tuple[str, float]] = []  # markers of an unknown clock
        self._held_since = 0.0
        library()  # imported once, before there are threads
        self._pool = ThreadPoolExecutor(2 * len(self._wanted))  # each waits for half a second
        try:
            jobs = {k: self._pool.submit(self._open, k, timeout_s) for k in self._wanted}
            self._links: dict[str, Link] = {k: job.result() for k, job in jobs.items()}
            self.format = self._describe(self._links["EEG"].info)
            marker_info = self._links["marker"].info
            if marker_info.dtype != "string":
                raise InputError(
                    f"stream {marker_info.name!r} holds {np.dtype(marker_info.dtype)}; expected "
                    "text markers such as 'flash 7'"
                )
            for link in self._links.values():
                if not link.is_clock_known:
                    raise InputError(
                        f"the clock of stream {link} did not answer within {CLOCK_S:g} s; "
                        f"expected an answer over UDP; open the UDP ports {PORTS} in the "
                        "firewalls of that machine and of this one"
                    )
        except BaseException:  # Ctrl-C too: no search may go on
            self.close()
            raise

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
        InputError
            If the EEG stream came back as another one.
        """
        self._take_up_found()
        samples, timestamps = self._pull_samples(timeout_s)
        return samples, timestamps, self._pull_markers()  # sent before them: none is missed

    def look_again(self) -> None:
        """Look whether the silent EEG stream is there as another one, every few seconds."""
        if time.monotonic() > self._look_at:
            self._look_at = time.monotonic() + CORRECTION_S
            self._search("EEG")

    def close(self) -> None:
        """Disconnect from the streams and end all searches."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._links = {}

    # -- one stream --------------------------------------------------------------------------

    def _open(self, kind: str, timeout_s: float, known: Link | None = None) -> Any:
        """Find and open a stream; None if it is the ``known`` one, which is open already."""
        wanted = {what: self._wanted[kind].get(what) for what in ("name", "stype")}
        if known is not None:
            wanted["name"] = known.info.name
        began = time.monotonic()
        info = find_stream(kind, **wanted, timeout_s=timeout_s, is_over=self._closed.is_set)
        if known is not None and info.uid == known.info.uid:
            return None
        answer_s = min(time.monotonic() - began, 1.0)  # after longer, it was not there yet
        alone = self._pool.submit(check_alone, info, kind, **wanted, answer_s=answer_s)
        inlet = library().StreamInlet(info, max_buffered=BUFFERED_S, recover=kind != "EEG")
        try:
            inlet.open_stream(timeout=OPEN_S)
            link = Link(inlet, inlet.get_sinfo(timeout=OPEN_S))
        except (TimeoutError, RuntimeError) as error:
            raise InputError(
                f"stream {info.name!r} was found on machine {info.hostname!r}, but not reached "
                f"({error}); open the TCP ports {PORTS} in the firewall there"
            ) from error
        alone.result()
        link.measure_clock(CLOCK_S)
        return link

    def _describe(self, info) -> StreamFormat:
        return describe_stream(info, *(self._wanted["EEG"].get(k) for k in ("ch_names", "unit")))

    def _lose(self, kind: str, error: Exception) -> None:
        text = f"the {kind} stream {self._links[kind]} is lost ({error}); looking for it again"
        self.news.append((f"{kind} lost", text))
        self._lost.add(kind)
        self._search(kind)

    def _search(self, kind: str) -> None:
        if kind not in self._searches:
            self._searches[kind] = self._pool.submit(self._find_again, kind, self._links[kind])

    def _find_again(self, kind: str, known: Link) -> Link | None:
        while not self._closed.is_set():
            link = None
            with suppress(InputError, RuntimeError):  # not there yet, or twice, or gone again
                link = self._open(kind, 2.0, known)
            if link is not None or kind not in self._lost:
                return link
            self._closed.wait(0.2)
        return None

    def _take_up_found(self) -> None:
        for kind in [kind for kind, job in self._searches.items() if job.done()]:
            link = self._searches.pop(kind).result()
            if link is None:
                continue
            if kind == "EEG":
                self.format.check_same(self._describe(link.info))
            if not link.is_clock_known:
                link.correction_s = self._links[kind].correction_s
                self._keep_clock(kind, link)
            self._links[kind] = link
            self._lost.discard(kind)
            self.news.append((f"{kind} back", f"the {kind} stream {link} is back, as it was"))

    # -- samples and markers -----------------------------------------------------------------

    def _pull_samples(self, timeout_s: float) -> tuple[np.ndarray, np.ndarray]:
        nothing = np.empty((len(self.format.ch_names), 0), np.float32), np.empty(0)
        if "EEG" in self._lost:
            time.sleep(timeout_s)
            return nothing
        inlet = self._links["EEG"].inlet
        try:
            first, when = inlet.pull_sample(timeout=timeout_s)
            if when is None:
                return nothing
            first = np.array(first)[:, None]  # a copy: the inlet reuses its memory
            more, times = inlet.pull_chunk(timeout=0.0, max_samples=MAX_SAMPLES)
        except RuntimeError as error:
            self._lose("EEG", error)
            return nothing
        # float32 (24 bits) is exact for int8 and int16; other types need float64
        is_wide = more.dtype.itemsize > 2 and more.dtype != np.float32
        dtype = np.float64 if is_wide else np.float32
        samples = np.concatenate([first, more.T], axis=1, dtype=dtype)
        return samples, np.concatenate([[when], times])

    def _pull_markers(self) -> list[tuple[str, float, float]]:
        if "marker" not in self._lost:
            try:
                rows, raw = self._links["marker"].inlet.pull_chunk(max_samples=MAX_SAMPLES)
            except RuntimeError as error:
                self._lose("marker", error)
            else:
                if len(rows) and not self._held:
                    self._held_since = time.monotonic()
                self._held += [(row[0], t) for row, t in zip(rows, raw.tolist(), strict=True)]
        if not self._held or not (self._compare_clocks() or self._is_held_long()):
            return []
        shift = self._shift()
        markers = [(text, t + shift, t) for text, t in self._held]
        self._held = []
        return markers

    def _compare_clocks(self) -> bool:
        """Measure both clocks now and then; return whether both are known."""
        links = [link for kind, link in self._links.items() if kind not in self._lost]
        for link in links:
            if link.inlet.was_clock_reset:  # liblsl reconnected it, perhaps elsewhere
                link.is_clock_known = False
        if time.monotonic() > self._measure_at or not all(k.is_clock_known for k in links):
            if all([link.measure_clock(0.0) for link in links]):
                self._measure_at = time.monotonic() + CORRECTION_S
        return all(link.is_clock_known for link in links)

    def _is_held_long(self) -> bool:
        if time.monotonic() - self._held_since < HOLD_S:
            return False
        for kind, link in self._links.items():
            if not link.is_clock_known:
                self._keep_clock(kind, link)
        return True

    def _keep_clock(self, kind: str, link: Link) -> None:
        link.is_clock_known = True
        text = (
            f"the clock of stream {link} does not answer any more; its last value is kept; check "
            f"the UDP ports {PORTS} in the firewalls"
        )
        self.news.append((f"{kind} clock", text))

    def _shift(self) -> float:
        """Return the seconds to add to the marker stream's times to get the EEG stream's."""
        eeg, markers = (self._links[kind] for kind in ("EEG", "marker"))
        shift = float(markers.correction_s or 0) - float(eeg.correction_s or 0)
        is_one_machine = eeg.info.hostname == markers.info.hostname
        return 0.0 if is_one_machine and abs(shift) < ONE_CLOCK_S else shift
