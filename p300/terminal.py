"""The output of a command: progress bars with the time left, messages, results.

Bars are shown only on a terminal, and only for work that takes longer than :data:`DELAY_S`.
Elsewhere (a pipe, a batch system, a cell of a benchmark) there are only plain lines. A quiet
command prints only warnings, errors and its result. All that is printed, and every warning and
error, is in its log too.

Other modules call :func:`step`, whether or not bars are shown.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from p300.errors import InputError

log = logging.getLogger("p300")

#: Seconds that a step lasts before it gets a bar.
DELAY_S = 1.0

#: Redraws per second; one takes a millisecond.
REFRESH_HZ = 2

#: ``extra`` of a log record whose text is on the console already.
SHOWN = {"is_shown": True}


class Screen:
    """Whether this command shows bars, and the bars that it shows now."""

    def __init__(self) -> None:
        self.is_on = False
        self.n_commands = 0  # a sweep and its current run count as two
        self.bars: Any = None


_screen = Screen()


class Step:
    """A part of the work, with a bar that shows how much of it is done, or without a bar."""

    def __init__(self, bars=None, task=None):
        self._bars, self._task = bars, task
        self._n_skipped = 0.0

    @property
    def has_bar(self) -> bool:
        """Whether a bar shows this step."""
        return self._bars is not None

    def advance(self, n: float = 1) -> None:
        """Add ``n`` to what is done."""
        self._update(advance=n)

    def update(self, note: str) -> None:
        """Set the note beside the bar."""
        self._update(note=note)

    def skip(self, n: float = 1) -> None:
        """Add ``n`` that was done before; the estimate of the time left ignores it."""
        self._n_skipped += n
        self._update(advance=n, skipped=self._n_skipped)

    def watch(self, look: Callable[[], tuple[float, str]]) -> None:
        """Call ``look`` for the amount done and a note whenever the bar is drawn."""
        self._update(look=look)

    def _update(self, **values) -> None:
        if self._bars is not None:
            self._bars.update(self._task, **values)


@contextlib.contextmanager
def step(what: str, total: float | None = None, unit: str = "%", *, at_most: bool = False):
    """Show the progress of a part of the work; nested parts have their bars below one another.

    Parameters
    ----------
    what : str
        Stands before the bar.
    total : float or None
        Amount of work; None if it is not known, and then no time left is shown.
    unit : str
        Of ``total``, such as "cells"; "%" shows percent.
    at_most : bool
        Whether it may end before all is done, as training does.

    Yields
    ------
    Step

    Examples
    --------
    >>> with step("reading", total=3, unit="files") as reading:
    ...     reading.advance()
    """
    outermost = _screen.bars is None
    if outermost and not (_screen.is_on and is_terminal(sys.stdout)):
        yield Step()
        return
    with contextlib.ExitStack() as stack:
        if outermost:
            _screen.bars = stack.enter_context(_shown_bars())
            stack.callback(setattr, _screen, "bars", None)
        fields = {"unit": unit, "note": "", "skipped": 0, "at_most": at_most, "look": None}
        task = _screen.bars.add_task(what, total=total, **fields)
        stack.callback(_screen.bars.remove_task, task)
        yield Step(_screen.bars, task)


def show(result) -> None:
    """Print a command's result, quiet or not, and write it into the log as plain text.

    Parameters
    ----------
    result : str or rich renderable
        Text is printed as it is.
    """
    if isinstance(result, str):
        print(result)
        text = result
    else:
        from rich.console import Console

        terminal = None if is_terminal(sys.stdout) else False
        console = Console(force_terminal=terminal, force_jupyter=False, record=True)
        console.print(result)
        text = console.export_text().rstrip("\n")
    log.info("%s", text, extra=SHOWN)


@contextlib.contextmanager
def messages(*, progress: bool = True, quiet: bool = False) -> Iterator[None]:
    """Set whether a command shows bars or is quiet, and log all that it prints."""
    for handler in console_handlers():
        handler.addFilter(not_shown_yet)
        if quiet:
            handler.setLevel(logging.WARNING)
    _screen.is_on = progress and not quiet
    _screen.n_commands += 1
    try:
        with warnings_in_one_line():
            yield
    except Exception as error:
        cause = error.__cause__ if isinstance(error.__cause__, InputError) else error
        is_bug = not isinstance(cause, InputError | OSError)
        log.error("%s", cause, exc_info=error if is_bug else None, extra=SHOWN)
        raise
    finally:
        _screen.n_commands -= 1
        if not _screen.n_commands:
            _screen.is_on = False


@contextlib.contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Log warnings as :func:`log_warning` does, instead of printing a line of source code."""
    before, warnings.showwarning = warnings.showwarning, log_warning
    try:
        yield
    finally:
        warnings.showwarning = before


def log_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Log a warning as one line; with its place in the code unless it is meant for the user."""
    text = " ".join(str(message).split())
    if not issubclass(category, UserWarning):
        text += f" ({category.__name__}, {filename}:{lineno})"
    log.warning("%s", text)


@contextlib.contextmanager
def quietly(path: Path, append: bool = False):
    """Redirect what a run prints and logs, and its traceback if it fails, into a file."""
    logger = logging.getLogger("p300")
    with path.open("a" if append else "w", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.addFilter(not_shown_yet)  # printed text is in the file already
        propagated, level = logger.propagate, logger.level
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        except Exception:
            logger.exception("the run failed")
            raise
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagated
            logger.setLevel(level)


def not_shown_yet(record: logging.LogRecord) -> bool:
    """Return whether a log record is not on the console yet; a filter of :mod:`logging`."""
    return not getattr(record, "is_shown", False)


def console_handlers() -> list[logging.StreamHandler]:
    """List the handlers that write log records to the console."""
    streams = [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]
    return [handler for handler in streams if handler.stream in (sys.stdout, sys.stderr)]


def is_terminal(stream) -> bool:
    """Return whether a stream is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def duration(seconds: float) -> str:
    """Format a duration as minutes and seconds, or as hours, minutes and seconds.

    Examples
    --------
    >>> duration(7.6), duration(83), duration(3 * 3600 + 62)
    ('0:08', '1:23', '3:01:02')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def time_left(task) -> str:
    """Format the time that a task of rich still takes at its mean speed, or else took so far.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fields = {"skipped": 10, "at_most": False}
    >>> time_left(SimpleNamespace(elapsed=20.0, completed=12, total=17, fields=fields))
    '0:50 left'
    """
    done = task.completed - task.fields["skipped"]
    if task.total is None or done <= 0:
        return f"for {duration(task.elapsed or 0)}"
    left = (task.elapsed or 0) * max(0, task.total - task.completed) / done
    return f"{'up to ' * task.fields['at_most']}{duration(left)} left"


def amount_done(task) -> str:
    """Format how much of a task of rich is done, in its unit."""
    if task.total is None:
        return ""
    if task.fields["unit"] == "%":
        return f"{task.percentage:.0f} %"
    return f"{int(task.completed)}/{int(task.total)} {task.fields['unit']}"


@contextlib.contextmanager
def _shown_bars():
    """Show bars below all that is printed and logged meanwhile."""
    bars, console = _build_bars(), sys.stdout
    handlers = [h for h in console_handlers() if h.stream is console]
    with bars:
        for handler in handlers:
            handler.setStream(sys.stdout)  # now the bars' own stream, which prints above them
        try:
            yield bars
        finally:
            for handler in handlers:
                handler.setStream(console)


def _build_bars():
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Label(ProgressColumn):
        def __init__(self, text_of, style):
            super().__init__(Column(no_wrap=True))
            self.text_of, self.style = text_of, style

        def render(self, task):
            return Text(self.text_of(task), style=self.style)

    class Bars(Progress):
        def make_tasks_table(self, tasks):
            shown = [task for task in tasks if (task.elapsed or 0) >= DELAY_S]
            for task in shown:
                if task.fields["look"] is not None:
                    task.completed, task.fields["note"] = task.fields["look"]()
            return super().make_tasks_table(shown)

    return Bars(
        Label(lambda task: task.description, ""),
        BarColumn(bar_width=12),
        Label(amount_done, "progress.percentage"),
        Label(time_left, "progress.remaining"),
        Label(lambda task: task.fields["note"], ""),
        console=Console(file=sys.stdout),
        refresh_per_second=REFRESH_HZ,
        transient=True,
        redirect_stderr=sys.stderr.isatty(),
    )
