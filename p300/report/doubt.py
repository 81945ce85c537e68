"""Mark the times, frequencies and rates of a recording whose sampling rate is in doubt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Stands behind everything that the sampling rate enters.
MARK = "(?)"

#: A number with a unit of time, the unit of an axis, or a rate, if it is not marked yet.
MEASURED = re.compile(
    r"(\d\s?(?:ms|s|Hz)\b|\((?:ms|s|Hz)\)|\bbits(?: per minute|/min)\b)(?! \(\?\))"
)


def marked(text: str) -> str:
    """Mark every time, frequency and rate of a text.

    Examples
    --------
    >>> marked("largest at Pz 0.31 s after the flash"), marked("time (s)"), marked("5 of 6")
    ('largest at Pz 0.31 s (?) after the flash', 'time (s) (?)', '5 of 6')
    """
    return MEASURED.sub(rf"\1 {MARK}", text)


def mark_figure(figure: Figure) -> Figure:
    """Mark every text of a figure and its label, and return the figure."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if (new := marked(text.get_text())) != text.get_text():
            text.set_text(new)
    figure.set_label(marked(str(figure.get_label())))
    return figure
