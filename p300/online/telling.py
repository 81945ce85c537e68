"""The lines that a session prints: each character when it is read, and a summary."""

from __future__ import annotations

from collections import deque

import numpy as np

from p300.online.events import Decided, Ended, Scored


class Telling:
    """The lines that a session prints.

    Parameters
    ----------
    n_codes : int
        Flashes per repetition.

    Examples
    --------
    >>> telling = Telling(n_codes=12)
    >>> telling.take(Decided(1, "H", "H", 0.991, 4, 53, 12.5, True))
    'H   after 4 repetitions (53 flashes), p = 0.991'
    """

    def __init__(self, n_codes: int):
        self._n_codes = n_codes
        self._n_characters = self._n_known = self._n_right = 0
        self._n_flashes = self._n_used = self._n_shown = 0
        self._decided: dict[int, int] = {}  # flashes by character, until it has ended
        self._text = ""
        self._last = (None, 0.0)  # character and onset of the newest flash
        self._steps: deque[float] = deque(maxlen=500)  # seconds from flash to flash

    def take(self, event) -> str | None:
        """Count an event of a session; return the line to print, or None."""
        if isinstance(event, Scored):
            if event.character is not None and event.character == self._last[0]:
                self._steps.append(event.onset - self._last[1])
            self._last = event.character, event.onset
        elif isinstance(event, Ended) and event.character in self._decided:
            self._n_used += self._decided.pop(event.character)
            self._n_shown += event.n_shown * self._n_codes
        elif isinstance(event, Decided):
            return self._line(event)
        return None

    def _line(self, event: Decided) -> str:
        self._n_characters += 1
        self._n_flashes += event.n_flashes
        self._decided[event.character] = event.n_flashes
        self._text += event.symbol or ""
        wrong = ""
        if event.target is not None:
            self._n_known += 1
            self._n_right += event.symbol == event.target
            wrong = "" if event.symbol == event.target else f"   ({event.target} was wanted)"
        s = "" if event.n_repetitions == 1 else "s"
        return (
            f"{event.symbol or '(none)':3} after {event.n_repetitions} repetition{s} "
            f"({event.n_flashes} flashes), p = {event.probability:.3f}{wrong}"
        )

    def summary(self) -> str:
        """Summarise the text, the repetitions per character, and the time saved."""
        if not self._n_characters:
            return "no character was read"
        mean = self._n_flashes / self._n_codes / self._n_characters
        lines = [f"{self._text}: {self._n_characters} characters, {mean:.1f} repetitions each"]
        if self._n_known:
            lines[0] += f", {self._n_right} of {self._n_known} as wanted"
        saved = self._n_shown - self._n_used
        if saved > 0 and self._steps:
            step_s = float(np.median(self._steps))
            shown = self._n_shown / self._n_codes / self._n_characters
            lines.append(
                f"against all {shown:.4g} repetitions that were shown: {saved * step_s:.0f} of "
                f"{self._n_shown * step_s:.0f} s of flashing saved ({saved / self._n_shown:.0%})"
            )
        return "\n".join(lines)
