"""The style of all figures: readable in print, in grey, and with any kind of colour vision.

Colours are those of Okabe & Ito (2008). Line styles or markers show every difference that colours
show. The style is set only while a figure is drawn; global settings are not changed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    #: One table, or several by the name of their detector.
    Tables: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]

P = ParamSpec("P")

#: Width in inches of a page of text (A4 or letter); nothing is below 8 pt at this size.
WIDTH = 7.0

#: What differs from the defaults of matplotlib.
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "figure.titlesize": 10.0,
    "figure.labelsize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "lines.markersize": 4.0,
    "errorbar.capsize": 2.0,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "0.4"

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

#: The two kinds of flash, the same in every figure.
TARGET: dict[str, Any] = {"color": VERMILION, "linestyle": "-"}
NONTARGET: dict[str, Any] = {"color": BLUE, "linestyle": "--"}

#: Axis labels of EEG by the unit of the epochs.
AMPLITUDES = {
    "uV": "amplitude (µV)",
    "mV": "amplitude (mV)",
    "V": "amplitude (V)",
    "AD": "amplitude (A/D units)",
    "sd": "amplitude (standard deviations)",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return the function with the style of this module, whatever style the caller has set."""

    @functools.wraps(draw)
    def draw_in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return draw(*args, **kwargs)

    return draw_in_style


def new_figure(height: float, width: float = WIDTH, *, heading: str = "") -> Figure:
    """Build an empty figure without a window; sizes in inches; the heading is on the left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if heading:
        figure.suptitle(heading, x=0.01, ha="left")
    return figure


def grid_of_axes(figure: Figure, n_panels: int, n_columns: int, **kwargs: Any) -> list[Axes]:
    """Build panels in reading order; empty cells of the grid are removed.

    Examples
    --------
    >>> len(grid_of_axes(new_figure(3.0), 5, 3))
    5
    """
    n_columns = min(n_columns, n_panels)
    n_rows = math.ceil(n_panels / n_columns)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **kwargs)
    for axis in axes.flat[n_panels:]:
        axis.remove()
    for column in range(n_columns):  # with a shared axis, the lowest panel has the labels
        last = (n_panels - 1 - column) // n_columns
        axes[last, column].xaxis.set_tick_params(labelbottom=True)
    return list(axes.flat[:n_panels])


def look(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th item of a comparison.

    Examples
    --------
    >>> look(1)
    {'color': '#D55E00', 'linestyle': '--', 'marker': 's'}
    >>> len({tuple(look(k).values()) for k in range(28)})
    28
    """
    looks = {"color": COLOURS, "linestyle": LINE_STYLES, "marker": MARKERS}
    return {name: choices[k % len(choices)] for name, choices in looks.items()}


def named(tables: Any, name: str = "detector") -> dict[str, Any]:
    """Return tables by name; a single table gets the default name."""
    return dict(tables) if isinstance(tables, Mapping) else {name: tables}


def count(n: int, noun: str) -> str:
    """Format a number with its noun.

    Examples
    --------
    >>> count(1, "flash"), count(1080, "flash"), count(3, "character")
    ('1 flash', '1,080 flashes', '3 characters')
    """
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun.

    Examples
    --------
    >>> plural("flash"), plural("own character"), plural("other person")
    ('flashes', 'own characters', 'other people')
    """
    if noun.endswith("person"):
        return noun.removesuffix("person") + "people"
    return f"{noun}{'es' if noun.endswith('sh') else 's'}"


def significant(value: float, n_digits: int = 2) -> str:
    """Format a number with at least ``n_digits`` significant digits, without an exponent.

    Examples
    --------
    >>> significant(249.3), significant(-0.0312), significant(8.0), significant(0.0)
    ('249', '-0.031', '8.0', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.{max(0, n_digits - 1 - math.floor(math.log10(abs(value))))}f}"
