"""The lines that a session prints: each character when it is read, and a summary."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from p300.online.events import UNDONE, Decided, Ended, Learned, Noted, Scored


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
        self._decided: dict[int, Decided] = {}  # by character
        self._shown: dict[int, int] = {}  # flashes by character, when it has ended
        self._last: tuple[int | None, float] = (None, 0.0)  # of the newest flash, and its onset
        self._again: str | None = None  # the text as estimated last, if it learns
        self._steps: deque[float] = deque(maxlen=500)  # seconds from flash to flash

    def take(self, event) -> str | None:
        """Count an event of a session; return the line to print, or None."""
        if isinstance(event, Scored):
            if event.character is not None and event.character == self._last[0]:
                self._steps.append(event.onset - self._last[1])
            self._last = event.character, event.onset
        elif isinstance(event, Learned):
            self._again = event.text
        elif isinstance(event, Noted) and event.kind == UNDONE:
            self._again = None
        elif isinstance(event, Ended) and event.character in self._decided:
            self._shown[event.character] = event.n_shown * self._n_codes
        elif isinstance(event, Decided):
            self._decided[event.character] = event
            is_wrong = event.target not in (None, event.symbol)
            wrong = f"   ({event.target} was wanted)" if is_wrong else ""
            s = "" if event.n_repetitions == 1 else "s"
            return (
                f"{event.symbol or '(none)':3} after {event.n_repetitions} repetition{s} "
                f"({event.n_flashes} flashes), p = {event.probability:.3f}{wrong}"
            )
        return None

    def summary(self) -> str:
        """Summarise the text, the repetitions per character, and the time saved."""
        decided, n_shown = self._decided.values(), sum(self._shown.values())
        if not decided:
            return "no character was read"
        text = "".join(one.symbol or "" for one in decided)
        per_character = self._n_codes * len(decided)
        mean = sum(one.n_flashes for one in decided) / per_character
        lines = [f"{text}: {len(decided)} characters, {mean:.1f} repetitions each"]
        known = [one.symbol == one.target for one in decided if one.target is not None]
        if known:
            lines[0] += f", {sum(known)} of {len(known)} as wanted"
        saved = n_shown - sum(self._decided[k].n_flashes for k in self._shown)
        if saved > 0 and self._steps:
            step_s = float(np.median(self._steps))
            lines.append(
                f"against all {n_shown / per_character:.4g} repetitions that were shown: "
                f"{saved * step_s:.0f} of {n_shown * step_s:.0f} s of flashing saved "
                f"({saved / n_shown:.0%})"
            )
        if self._again is not None:
            lines.append(f"read again with what was learned: {self._again}")
        return "\n".join(lines)


class Tally:
    """Counts what is noted: the first of a kind is shown, then the tenth, the hundredth, ….

    Examples
    --------
    >>> tally = Tally()
    >>> shown = [tally.take(Noted(k / 10, "flash lost", "flashes lost")) for k in range(12)]
    >>> [line for line in shown if line]
    ['0.000 s: flash lost', '0.900 s: flash lost (10 flashes lost so far)']
    >>> tally.summary()
    'noticed: 12 flashes lost'
    """

    def __init__(self):
        self._counts: Counter[str] = Counter()

    def take(self, note: Noted) -> str | None:
        """Count a note; return the line to show, or None."""
        self._counts[note.kind] += 1
        n = self._counts[note.kind]
        line = f"{note.time:.3f} s: {note.text}"
        if n == 1:
            return line
        is_power = str(n).strip("0") == "1"
        return f"{line} ({n} {note.kind} so far)" if is_power else None

    def summary(self) -> str:
        """Return what was noted more than once, in one line; an empty text if nothing was."""
        counts = ", ".join(f"{n} {kind}" for kind, n in self._counts.items() if n > 1)
        return f"noticed: {counts}" if counts else ""
