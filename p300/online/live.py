"""``p300 online``: listen, spell, publish and record."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.online.events import Decided, Noted
from p300.online.journal import Journal
from p300.online.session import OnlineSpeller
from p300.online.supervisor import SHIFTS
from p300.online.telling import Tally, Telling
from p300.terminal import show

log = logging.getLogger("p300.online")

#: Seconds that one call of ``pull`` waits for samples.
PULL_S = 0.05

#: Seconds without EEG after which the stream counts as silent.
STALL_S = 2.0

#: Seconds of the stream in a second, beyond which it is caught up with, or is a fast replay.
FAST = 1.5

#: Least seconds between two remarks about the same problem.
REMARK_S = 10.0


@dataclass
class Run:
    """One live session: streams in; files, screen and the stream of decisions out.

    Parameters
    ----------
    speller : OnlineSpeller
        Reads the characters.
    journal : Journal
        Records input and output.
    telling : Telling
        Writes the lines for the screen.
    publish : callable
        Called with ``"symbol H"`` or ``"no symbol"``.
    """

    speller: OnlineSpeller
    journal: Journal
    telling: Telling
    publish: Callable[[str], Any]

    def __post_init__(self):
        # from the arrival of the last sample to the published decision
        self.latencies_s: deque[float] = deque(maxlen=10_000)
        self.tally = Tally()
        self._pace: deque[tuple[float, float]] = deque(maxlen=100)  # our time, and the stream's
        self._remarked: dict[str, float] = {}

    def listen(self, listener, *, give_up_s: float) -> None:
        """Process the streams until the session is over.

        Raises
        ------
        InputError
            If no EEG came for ``give_up_s`` seconds, or the stream came back with another format.
        """
        heard = time.monotonic()
        while not self.speller.is_over:
            samples, timestamps, markers = listener.pull(PULL_S)
            for what, text in listener.news:
                self.remark(what, text)
            listener.news.clear()
            now = time.monotonic()
            if len(timestamps):
                if now - heard > STALL_S:
                    self.remark("back", f"EEG again after {now - heard:.1f} s")
                heard = now
            elif now - heard > STALL_S:
                if self.speller.is_stopping:
                    return
                self.remark("silent", f"no EEG for {now - heard:.1f} s; waiting for it")
                listener.look_again()
                if now - heard > give_up_s:
                    raise InputError(
                        f"got no EEG for {now - heard:.0f} s; expected some within "
                        f"{give_up_s:g} s; check the amplifier, or raise give_up_s"
                    )
            if len(timestamps) or markers:
                self.push(samples, timestamps, markers)

    def push(self, samples, timestamps, markers) -> None:
        """Record new input, then process it, so that no decision is ahead of the record."""
        arrived, journal = time.perf_counter(), self.journal
        self._pace.append((arrived, self.speller.now))
        for text, at, raw in markers:
            journal.marker(text, at, raw)
        journal.chunk(samples, timestamps)
        self.take(self.speller.push(samples, timestamps, [m[:2] for m in markers]), arrived)
        missing = f"{journal.n_lost} records are missing"
        if journal.failure:
            missing += f" from {journal.folder}"
            self.remark("disk", f"NOT RECORDED: {journal.failure}; spelling goes on, {missing}")
        elif self._remarked.pop("disk", None):
            self.remark("disk again", f"recording again; {missing}")

    def take(self, events, arrived: float | None = None) -> None:
        """Publish, record and show events of a chunk that came at ``arrived``, if of one."""
        for event in events:
            if isinstance(event, Decided):
                self.publish("no symbol" if event.symbol is None else f"symbol {event.symbol}")
                if arrived is not None:
                    self.latencies_s.append(time.perf_counter() - arrived)
        for event in events:
            if isinstance(event, Noted) and event.kind == SHIFTS and self._is_fast():
                continue  # the delays of the two streams count that much more
            self.journal.event(event)
            tell(self.telling, self.tally, event)

    def _is_fast(self) -> bool:
        (ours, theirs), (ours_now, theirs_now) = self._pace[0], self._pace[-1]
        return not theirs_now - theirs <= FAST * (ours_now - ours)  # at first, nothing is known

    def remark(self, what: str, text: str) -> None:
        """Log and record a problem of streams or disk, at most once per :data:`REMARK_S`."""
        now = time.monotonic()
        if now - self._remarked.get(what, -np.inf) > REMARK_S:
            self._remarked[what] = now
            log.warning("%s", text)
            self.journal.event(Noted(self.speller.now, text))

    def report(self) -> None:
        """Log how often what was noticed, and how long decisions took."""
        if summary := self.tally.summary():
            log.warning("%s", summary)
        if self.latencies_s:
            median, worst = np.percentile(self.latencies_s, [50, 99]) * 1e3
            log.info("from a chunk's arrival to its decision: %.1f ms, p99 %.1f ms", median, worst)


def tell(telling: Telling, tally: Tally, event) -> None:
    """Show what a session prints of an event, if anything."""
    if (line := telling.take(event)) is not None:
        show(line)
        sys.stdout.flush()
    elif isinstance(event, Noted) and (line := tally.take(event)) is not None:
        log.warning("%s", line)
