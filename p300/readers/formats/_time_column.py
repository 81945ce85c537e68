"""The rate of a table, from its column of time or its comments, and gaps in time."""

from __future__ import annotations

import re

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.formats._columns import Layout
from p300.readers.formats._segments import MAX_GAP_S, Stretches, continuous_from
from p300.recording import is_same_rate

#: Names of such a column, in lower case, and the unit behind it.
TIME = re.compile(
    r"(lsl[ _]?time|time[ _]?stamps?|time|zeit|temps|seconds?|secs?|t)"
    r"(?:[ _]*[(\[]?(s|sec|ms|msec|us|µs|ns|seconds|milliseconds)?[)\]]?)"
)

#: Units of time, in seconds.
TIME_UNITS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
TIME_UNITS |= {"seconds": 1.0, "milliseconds": 1e-3}

#: Longest step between two samples of EEG, in seconds.
MAX_STEP_S = 0.05

#: Largest difference of the rate that is given and that of the time column.
MAX_OFF = 0.05


def rate_of_comments(layout: Layout) -> float | None:
    """Return the rate in Hz that the comments of a file tell; None if not one."""
    text = " ".join(layout.comments)
    said = re.findall(r"(?i)sampl\w+ ?rate\D{0,4}(\d{1,6}(?:\.\d{1,6})?)", text)
    return float(said[0]) or None if len(said) == 1 else None


def cut(
    signal: np.ndarray,
    stamps: np.ndarray | None,
    name: str | None,
    given: float | None,
    layout: Layout,
) -> tuple[Stretches, float, list[str]]:
    """Find the rate, and cut the signal at gaps in time.

    Parameters
    ----------
    signal : ndarray, shape (n_chans, n_samples)
        Of the whole file.
    stamps : ndarray, shape (n_samples,), or None
        Values of the time column.
    name : str or None
        Of that column.
    given : float or None
        The rate that the user says.
    layout : Layout
        Of the file, whose comments may tell the rate.
    """
    where = layout.path.name
    if given is not None and not 0 < given < 1e6:
        raise InputError(f"{where}: got sfreq={given}; expected a rate in Hz")
    if stamps is None or name is None:
        rate = given or rate_of_comments(layout)
        if rate is None:
            raise InputError(
                f"{where}: got no column of time among {listed(layout.names, 40)}; expected one "
                "(time, timestamps), or the rate; set sfreq, or keys={time: …} to a name or number"
            )
        notes = [] if given else [f"The rate is {rate:g} Hz by a comment of the file."]
        return Stretches([signal], np.zeros(1), np.array([rate])), rate, notes
    shown = repr(name) if layout.has_names else f"column {name}"
    other = "; set keys={time: …} to another column, or to null" if name in layout.names else ""
    if not np.isfinite(stamps).all():
        n_wrong = int((~np.isfinite(stamps)).sum())
        raise InputError(
            f"{where}: got {n_wrong} of {len(stamps)} values of {shown} that are no finite "
            f"numbers; expected a time per row{other}"
        )
    step = float(np.median(np.diff(stamps)))
    step = step if step > 0 else float(stamps[-1] - stamps[0]) / (len(stamps) - 1)  # in bursts
    match = TIME.fullmatch(name.lower())
    written = TIME_UNITS.get(match[2] or "") if match else None
    likely = [s for s in (1.0, 1e-3, 1e-6, 1e-9) if 0 < step * s <= MAX_STEP_S]
    if step <= 0 or not (written or likely):
        raise InputError(
            f"{where}: got {shown} in steps of {step:g}; expected time that rises from row to row"
            f"{other}"
        )
    scale = written or likely[0]
    seconds = (stamps - stamps[0]) * scale
    starts = continuous_from(seconds, max(MAX_GAP_S, 3 * step * scale))
    stops = np.array([*starts[1:], len(seconds)])
    lengths, spans = stops - starts, seconds[stops - 1] - seconds[starts]
    rate = float((lengths - 1).sum() / spans.sum()) if spans.sum() > 0 else 0.0
    if not 1.0 < rate < 1e6:
        raise InputError(f"{where}: got {shown} with {rate:g} samples a second; expected a rate")
    if given is not None and abs(rate - given) > MAX_OFF * given:
        raise InputError(
            f"{where}: got sfreq={given:g}; expected {rate:.4g} Hz, by {shown}; leave out sfreq"
            f"{other.replace(';', ', or')}"
        )
    found, nominal = rate, given or (round(rate) if is_same_rate(rate, round(rate)) else rate)
    unit = next(u for u, s in TIME_UNITS.items() if s == scale)
    notes = [f"The rate is {nominal:g} Hz by {shown}, taken as {unit} ({found:.3f} Hz)."]
    segments = np.split(signal, starts[1:], axis=1)
    # the clock of the samples: stamps that jitter or drift move no sample out of its segment
    gaps = seconds[starts[1:]] - seconds[stops[:-1] - 1] - 1 / nominal
    begins = np.cumsum([0.0, *(lengths[:-1] / nominal + gaps)])
    return Stretches(segments, begins, np.full(len(starts), float(nominal))), float(nominal), notes
