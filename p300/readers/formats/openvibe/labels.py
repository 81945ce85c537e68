"""Names of OpenViBE's stimulations, and of the columns of its tables.

Source: http://openvibe.inria.fr/stimulation-codes/,
http://openvibe.inria.fr/csv-file-format-description/
"""

from __future__ import annotations

import re
from pathlib import Path

from p300.readers.events.marks import OPENVIBE_NONTARGET, OPENVIBE_TARGET

#: The first column of a table of OpenViBE, and the last three.
TIME = re.compile(r"Time:(\d{1,7})Hz")
EVENTS = ("Event Id", "Event Date", "Event Duration")

PREFIX = "OVTK_StimulationId_"

#: Labels: Label_00 to Label_FF.
LABELS = range(0x8100, 0x8200)

#: Lowest number of OpenViBE's own stimulations; smaller ones are an amplifier's triggers.
FIRST = 0x300

NAMES = {
    **dict(
        enumerate(
            (
                *("ExperimentStart", "ExperimentStop", "SegmentStart", "SegmentStop"),
                *("TrialStart", "TrialStop", "BaselineStart", "BaselineStop", "RestStart"),
                *("RestStop", "VisualStimulationStart", "VisualStimulationStop"),
            ),
            start=0x8001,
        )
    ),
    0x8010: "VisualSteadyStateStimulationStart",
    0x8011: "VisualSteadyStateStimulationStop",
    **{
        0x8012 + 2 * k + n: f"Button{k + 1}_{what}"
        for k in range(4)
        for n, what in enumerate(("Pressed", "Released"))
    },
    **{number: f"Label_{number - LABELS.start:02X}" for number in LABELS},
    OPENVIBE_TARGET: "Target",
    OPENVIBE_NONTARGET: "NonTarget",
}


def label_of(number: int) -> str | int:
    """Return the name of a stimulation; the number itself where it is a trigger.

    Examples
    --------
    >>> label_of(0x8101), label_of(33285), label_of(0x8F01), label_of(7)
    ('OVTK_StimulationId_Label_01', 'OVTK_StimulationId_Target', 'OVTK_StimulationId_0x8f01', 7)
    """
    if number < FIRST:
        return number
    return PREFIX + NAMES.get(number, f"{number:#x}")


def is_openvibe_csv(path: Path) -> bool:
    """Return whether a table begins as OpenViBE's do."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.readline(1_000_000).decode("utf-8-sig", "replace")
    return bool(TIME.match(head)) and all(name in head for name in EVENTS)
