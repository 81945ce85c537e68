"""The characters of a session: which flash belongs to which, and when one is over."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from p300.errors import InputError
from p300.online.events import Noted
from p300.online.markers import Marker, parse_marker
from p300.speller import Speller
from p300.spelling import SymbolPosterior

#: A second flash of the same code within so many seconds is the same flash, sent twice.
TWICE_S = 0.02

#: Most seconds by which a flash may be ahead of its samples; beyond, it has another clock.
AHEAD_S = 60.0


@dataclass
class Character:
    """One act of spelling while it goes on.

    Parameters
    ----------
    number : int
        From 1.
    begin : float
        Time of its marker.
    target : str or None
        What the person was told to spell.
    end : float
        Time of its end; infinite while it goes on.
    is_broken : bool
        Whether the session ended within it.
    """

    number: int
    begin: float
    target: str | None = None
    end: float = np.inf
    is_broken: bool = False
    announced: Counter = field(default_factory=Counter)  # flashes by code
    done: Counter = field(default_factory=Counter)  # those of them that were scored or lost
    posterior: SymbolPosterior | None = None
    is_decided: bool = False
    decided_after: int = 0
    symbol: str | None = None  # what was typed
    log_prior: np.ndarray | None = None  # of the symbols, if a language model knows it

    def n_repetitions(self, codes: Sequence[int]) -> int:
        """Count the repetitions of which every flash was scored or lost."""
        return min(self.done[code] for code in codes)

    def n_shown(self, codes: Sequence[int]) -> int:
        """Count the repetitions of which at least one flash was sent."""
        return max(self.announced[code] for code in codes)

    @property
    def n_waiting(self) -> int:
        """Flashes that are neither scored nor lost yet."""
        return self.announced.total() - self.done.total()


@dataclass(frozen=True)
class Flash:
    """A flash that a marker has announced."""

    number: int
    time: float
    code: int
    character: Character | None
    repetition: int | None

    def __str__(self):
        return f"flash of code {self.code} at {self.time:.3f} s"


class MarkerDesk:
    """The open characters, and the flashes that are not scored yet, as the markers announce them.

    A marker may come late. A flash therefore belongs to the character during which it happened,
    not to the newest one.

    Parameters
    ----------
    speller : Speller
        The screen.
    parse : callable
        Translates a marker: text, time and speller to a :class:`Marker`, or an InputError.

    Attributes
    ----------
    open : deque of Character
        In order of time. The session removes the first one when it has read it.
    stop : float
        Time of the marker that ends the session; infinite before it.
    """

    def __init__(
        self, speller: Speller, parse: Callable[[str, float, Speller], Marker] = parse_marker
    ):
        self.speller = speller
        self._parse = parse
        self.open: deque[Character] = deque()
        self.stop = np.inf
        self._n_begun = self._n_flashes = 0
        self._waiting: dict[int, Flash] = {}
        self._recent: deque[tuple[int, float]] = deque(maxlen=64)  # codes and times, as sent

    def take(
        self, markers: Sequence[tuple[str, float]], now: float
    ) -> tuple[list[Flash], list[Noted]]:
        """Process markers in order of time.

        Parameters
        ----------
        markers : sequence of (str, float)
            Texts with times.
        now : float
            Time of the newest sample.

        Returns
        -------
        flashes : list of Flash
            To be cut and scored.
        doubts : list of Noted
            One for each marker that does not fit.
        """
        doubts: list[Noted] = []
        parsed = []
        for text, time in markers:
            try:
                parsed.append(self._parse(text, time, self.speller))
            except InputError as error:
                doubts.append(Noted(time, str(error), "markers that are not understood"))
        flashes = []
        for marker in sorted(parsed, key=lambda marker: marker.time):
            doubt, kind = marker.doubt, "markers out of place"
            if marker.kind == "flash":
                flash, doubt, kind = self._take_flash(marker, now)
                flashes += [flash] if flash else []
            elif marker.kind == "begin":
                doubt = self._begin(marker) or doubt
            elif not self._end(marker) and marker.kind == "end":
                doubt = "marker 'end' came without an open character; expected 'begin' before it"
            if marker.kind == "stop":
                self.stop = marker.time
            if doubt:
                doubts.append(Noted(marker.time, doubt, kind))
        return flashes, doubts

    def pop(self, number: int) -> Flash:
        """Remove and return a flash that was scored or lost."""
        return self._waiting.pop(int(number))

    def _begin(self, marker: Marker) -> str | None:
        if self.open and self.open[-1].end == np.inf:
            last = self.open[-1]
            if not last.announced and last.target == marker.target:
                return "marker 'begin' came twice"
            last.end = marker.time
        self._n_begun += 1
        self.open.append(Character(self._n_begun, marker.time, marker.target))
        return None

    def _end(self, marker: Marker) -> bool:
        if not self.open or self.open[-1].end < np.inf:
            return False
        last = self.open[-1]
        last.end = max(marker.time, last.begin)
        last.is_broken = marker.kind == "stop"
        return True

    def _take_flash(self, marker: Marker, now) -> tuple[Flash | None, str | None, str]:
        code, time = marker.code, marker.time
        assert code is not None
        character = self._at(time)
        repetition = None if character is None else character.announced[code]
        flash = Flash(self._n_flashes + 1, time, code, character, repetition)
        if any(code == c and abs(time - t) < TWICE_S for c, t in self._recent):
            return None, f"{flash} came twice", "flashes sent twice"
        if np.isfinite(now) and time - now > AHEAD_S:
            text = (
                f"{flash} is {time - now:.1f} s ahead of the signal; expected at most "
                f"{AHEAD_S:g} s; check that both streams have one clock"
            )
            return None, text, "flashes by another clock"
        self._recent.append((code, time))
        self._n_flashes = flash.number
        self._waiting[flash.number] = flash
        if character is None:
            text = f"{flash} is in no open character; it is scored, but not used to spell"
            return flash, text, "flashes outside of a character"
        character.announced[code] += 1
        return flash, None, ""

    def _at(self, time) -> Character | None:
        last = next((c for c in reversed(self.open) if c.begin <= time), None)
        return last if last is not None and time <= last.end else None
