"""One self-contained HTML page from plain blocks: nothing is loaded, all text is escaped."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.report.doubt import mark_figure
from p300.storage.files import atomic_write
from p300.storage.privacy import without_paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Dots per inch of figures stored as pixels, twice those of a usual screen.
PIXELS = 192

#: Figures of more pixels than this scroll sideways on a telephone, which their caption says.
WIDE = 420

#: Columns with a longer cell wrap their lines.
LONG = 48


@dataclass(frozen=True)
class Text:
    """A paragraph; `words` between backticks are code, a note explains what is missing."""

    text: str
    is_note: bool = False

    @property
    def parts(self) -> list[tuple[str, bool]]:
        """Pieces of the text, each with whether it is code."""
        return [(part, k % 2 == 1) for k, part in enumerate(self.text.split("`")) if part]


@dataclass(frozen=True)
class Listing:
    """Text with its own line ends, such as a file or a command; with ``title``, collapsed."""

    text: str
    title: str = ""
    is_command: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, text or :class:`Spelled`; with ``is_folded``, collapsed.

    Columns of numbers are right-aligned, with digits of equal width.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    is_folded: bool = False

    @property
    def looks(self) -> list[str]:
        """Class of each column: "number", "text", "long" or "spelled"."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        return [_look(column) for column in columns]


@dataclass(frozen=True)
class Spelled:
    """A text that was read, with wrong symbols marked."""

    text: str
    wanted: str = ""

    @property
    def symbols(self) -> list[tuple[str, bool]]:
        """Symbols, each with whether it is known to be wrong."""
        same = len(self.text) == len(self.wanted)
        wanted = self.wanted if same else self.text
        return [(s, w not in (s, "?")) for s, w in zip(self.text, wanted, strict=True)]


@dataclass(frozen=True)
class Numbers:
    """The main numbers of a page: value, name, and uncertainty."""

    items: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Picture:
    """A figure: its address is a data URL with the whole image, ``alt`` describes it."""

    address: str
    alt: str
    caption: str
    width: int
    height: int

    @property
    def is_wide(self) -> bool:
        """Whether it is wider than a telephone when its text is readable."""
        return self.width > WIDE


@dataclass
class Section:
    """A heading and its blocks; sections inside it have the next lower heading."""

    title: str
    blocks: list[Any] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    times_in_doubt: bool = False

    @property
    def anchor(self) -> str:
        """Identifier of the section in a link."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"

    def note(self, text: str) -> None:
        """Add a paragraph that explains what is missing."""
        self.blocks.append(Text(text, is_note=True))

    def draw(
        self, what: str, draw: Callable[[], Figure], caption: str, *, as_pixels: bool = False
    ) -> None:
        """Add a figure (see :func:`picture`), or a note with the reason why there is none.

        With ``times_in_doubt``, every time in the figure is marked.
        """
        try:
            figure = mark_figure(draw()) if self.times_in_doubt else draw()
            self.blocks.append(picture(figure, caption, as_pixels=as_pixels))
        except InputError as error:
            self.note(f"{what}: not drawn. {sentence(error)}")


def picture(figure: Figure, caption: str, *, as_pixels: bool = False) -> Picture:
    """Convert a figure to a data URL.

    Parameters
    ----------
    figure : Figure
        From :mod:`p300.figures`; its label becomes the alternative text.
    caption : str
        What the figure is and how to read it.
    as_pixels : bool
        PNG, smaller for scalp maps; otherwise SVG, sharp at any size.
    """
    import matplotlib
    from PIL import Image

    file, kind = io.BytesIO(), "png" if as_pixels else "svg+xml"
    if as_pixels:
        figure.savefig(file, format="png", dpi=PIXELS)
        image = Image.open(file).convert("RGB")
        file = io.BytesIO()  # with 256 colours: a third of the size, without a visible difference
        image.quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    else:
        with matplotlib.rc_context({"svg.hashsalt": "p300", "svg.fonttype": "path"}):
            figure.savefig(file, format="svg", dpi=PIXELS, metadata={"Date": None})
    code = base64.b64encode(file.getvalue()).decode("ascii")
    width, height = (math.ceil(96 * inches) for inches in figure.get_size_inches())
    address = f"data:image/{kind};base64,{code}"
    return Picture(address, str(figure.get_label()), caption, width, height)


def sentence(error: Exception | str) -> str:
    """Format a message as a sentence, with a capital and a full stop.

    Examples
    --------
    >>> sentence("no spatial filters")
    'No spatial filters.'
    """
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write a page atomically: the file is complete or not there.

    Parameters
    ----------
    path : Path
        An existing file is replaced.
    title : str
        The heading of the page.
    lead : str
        What was run, in one sentence.
    sections : sequence of Section
        In reading order.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("p300.report", "."),
        autoescape=True,
        finalize=without_paths,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    page = environment.get_template("page.html")
    with atomic_write(path) as file:
        file.write(page.render(title=title, lead=lead, sections=sections))


def number(value: float | None) -> str:
    """Format a measure; a dash where it is undefined."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _look(column: Sequence[Any]) -> str:
    if any(isinstance(cell, Spelled) for cell in column):
        return "spelled"
    if any(len(str(cell)) > LONG for cell in column):
        return "long"
    numbers = [cell for cell in column if cell not in ("", "–")]
    if all(re.match(r"[-+−]?\.?[0-9]", str(cell)) for cell in numbers):
        return "number"
    return "text"
