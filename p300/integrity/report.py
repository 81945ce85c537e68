"""Checks of a recording, to run before a detector is trained on it.

Training raises no error on swapped or shifted labels, a stimulus channel among the EEG, NaNs or
epochs that reach past the end, but its results then mean nothing. :func:`check_recording` finds
them and gives each a level: "refuse" (results would mean nothing), "warn" (look at it) or "note"
(a fact).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.integrity.finding import Finding
from p300.integrity.flashes import check_flashes
from p300.integrity.response import check_response
from p300.integrity.signal import check_signal
from p300.recording import ABOUT, RateWarning, Recording

#: Name of the check that a reader fails whose sampling rate is in doubt.
RATE = "sampling rate"

#: Names of the checks.
CHECKS = (
    *("flashes", "onsets", "epochs", "codes", "characters", "repetitions", "labels"),
    *("target ratio", "response", "symbols", "channels", "segments", "non-finite samples"),
    *("flat channels", "saturated channels", "unit", "stimulus channel", "reader", RATE),
)

LEVELS = ("refuse", "warn", "note")


@dataclass(frozen=True)
class IntegrityReport:
    """Findings in a recording, worst first.

    Parameters
    ----------
    name : str
        Name of the recording.
    findings : tuple of Finding
        Empty only if there was nothing to note.
    """

    name: str
    findings: tuple[Finding, ...]

    def at(self, level: str) -> tuple[Finding, ...]:
        """Return the findings of one level."""
        return tuple(f for f in self.findings if f.level == level)

    def raise_if_refused(self) -> None:
        """Raise an error if the recording cannot be used.

        Raises
        ------
        InputError
            If there is a finding of level "refuse"; the message contains all of them.
        """
        if refused := self.at("refuse"):
            raise InputError(f"{self.name} cannot be used: " + " ".join(f.text for f in refused))

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, for results.json."""
        return {"name": self.name, "findings": [dataclasses.asdict(f) for f in self.findings]}

    def __str__(self) -> str:
        rows = [("level", "check", "count", "finding")]
        rows += [(f.level, f.check, str(f.count), f.text) for f in self.findings]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [
            f"{level:<{widths[0]}}  {check:<{widths[1]}}  {count:>{widths[2]}}  {text}"
            for level, check, count, text in rows
        ]
        return "\n".join([f"Integrity of {self.name}", *lines])


def check_recording(
    recording: Recording,
    *,
    tmin: float = 0.0,
    tmax: float = 0.0,
    fits: Callable[[Recording], np.ndarray] | None = None,
    doubts: Sequence[Warning] = (),
    accept: Collection[str] = (),
) -> IntegrityReport:
    """Check that signal, flashes and labels of a recording fit one another and the paradigm.

    Parameters
    ----------
    recording : Recording
        Not changed.
    tmin, tmax : float
        Seconds from the flash to the ends of the epochs that will be cut, ``[tmin, tmax)``.
        Flashes whose epochs do not fit into their segment will be left out, which is a finding
        of level "warn", or "refuse" if these are more than half of all.
    fits : callable or None
        Returns for each flash whether its epoch fits; None for :meth:`Recording.fits`.
    doubts : sequence of Warning
        What its reader warned of; a :class:`p300.recording.RateWarning` makes all times doubtful.
        Notes of the recording that are among them are not repeated.
    accept : collection of str
        Names of checks whose findings are known and become notes, such as "unit".

    Returns
    -------
    IntegrityReport

    Raises
    ------
    InputError
        If ``accept`` names no check.

    Examples
    --------
    >>> from p300.simulation import simulate_recording
    >>> report = check_recording(simulate_recording("P3", n_repetitions=2), tmax=0.65)
    >>> report.at("refuse")
    ()
    """
    if unknown := sorted(set(accept) - set(CHECKS)):
        raise InputError(f"got accept={unknown}; expected some of {', '.join(CHECKS)}")
    found = [*check_flashes(recording, tmin, tmax, fits), *check_signal(recording)]
    if not any(finding.level == "refuse" for finding in found):
        found += check_response(recording)
    warned = ""
    for doubt in doubts:
        check = RATE if isinstance(doubt, RateWarning) else "reader"
        text = " ".join(str(doubt).split())
        found.append(Finding("warn", check, text, 1))
        warned += f"{text}\n"
    told = [ABOUT[key].format(value) for key, value in recording.about.items()]
    notes = [note for note in (*recording.notes, *told) if f"{note}\n" not in warned]
    found += [Finding("note", "reading", note, 1) for note in notes]
    found = [
        dataclasses.replace(f, level="note", text=f"{f.text} (accepted)")
        if f.check in accept and f.level != "note"
        else f
        for f in found
    ]
    worst_first = sorted(found, key=lambda finding: LEVELS.index(finding.level))
    return IntegrityReport(recording.name, tuple(worst_first))
