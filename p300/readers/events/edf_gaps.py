"""Times in a discontinuous EDF+ or BDF+ file: when its records begin, and its annotations.

MNE reads the records of such a file (``EDF+D``) as if they followed each other without a gap, and
leaves out the annotations that are then behind the end.

Source: Kemp & Olivan (2003), "European data format 'plus'", Clin Neurophysiol 114(9):1755,
section 2.2.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from p300.errors import InputError

#: A list of annotations: onset, and optionally a duration and texts.
TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14((?:[^\x00\x14]*\x14)*)\x00")


class Discontinuous(NamedTuple):
    """What a discontinuous file says of time, in seconds from its first record.

    Parameters
    ----------
    starts : ndarray, shape (n_records,)
        When each record begins.
    duration_s : float
        Seconds per record.
    annotations : list of (float, float, str)
        Onset, duration and text.
    """

    starts: np.ndarray
    duration_s: float
    annotations: list[tuple[float, float, str]]


def read_discontinuous(path: Path) -> Discontinuous | None:
    """Read the times of a discontinuous file; None if it is continuous, or neither EDF nor BDF.

    Raises
    ------
    InputError
        If the start of a record cannot be found.
    """
    if path.suffix.lower() not in (".edf", ".bdf") or not path.is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(256)
        if len(head) < 256 or head[192:197] not in (b"EDF+D", b"BDF+D"):
            return None
        try:
            n_header, n_records, n_signals = (
                int(head[a:b]) for a, b in ((184, 192), (236, 244), (252, 256))
            )
            duration_s = float(head[244:252])
            if n_header != 256 * (n_signals + 1) or not duration_s > 0:
                raise ValueError(n_header)
            about = file.read(n_header - 256)
            names = [about[16 * k :][:16].strip() for k in range(n_signals)]
            counts = [int(about[216 * n_signals + 8 * k :][:8]) for k in range(n_signals)]
            channels = [k for k, name in enumerate(names) if name.endswith(b"Annotations")]
            if not channels or min(counts) < 0:
                raise ValueError(names)
        except ValueError as error:
            raise InputError(
                f"{path.name}: got a discontinuous file (EDF+D) whose header cannot be read; "
                "expected a signal of annotations, which says when every record begins."
            ) from error
        width = 3 if head[192:195] == b"BDF" else 2
        record = sum(counts) * width
        in_file = (path.stat().st_size - n_header) // max(record, 1)
        n_records = in_file if n_records < 0 else min(n_records, in_file)
        starts, annotations = np.empty(n_records), []
        for k in range(n_records):
            file.seek(n_header + k * record)
            content = file.read(record)
            lists = []
            for channel in channels:
                begin = sum(counts[:channel]) * width
                lists += TAL.findall(content[begin : begin + counts[channel] * width])
            if not lists or lists[0][2][:1] != b"\x14":
                raise InputError(
                    f"{path.name}: got a discontinuous file (EDF+D) whose record {k + 1} of "
                    f"{n_records} says no time; expected one in each, because the time of all "
                    "records behind it is not known."
                )
            starts[k] = float(lists[0][0])
            annotations += [
                (float(onset) - starts[0], float(duration or 0), text.decode("utf-8", "replace"))
                for onset, duration, texts in lists
                for text in texts.split(b"\x14")
                if text
            ]
    if n_records == 0 or (np.diff(starts) <= 0).any():
        raise InputError(
            f"{path.name}: got {n_records} records that do not follow each other in time; "
            "expected ascending times."
        )
    return Discontinuous(starts - starts[0], duration_s, annotations)
