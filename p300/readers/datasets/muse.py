"""Oddball recordings with a Muse headband: a plain oddball, no speller.

A file is, for example, ``visual/P300/subject1/session1/data_2017-02-04-15_45_13.csv``. There is
one file per run. The samples are evenly spaced, but their time stamps are not. They jitter by up
to 47 ms and, in the auditory files, step backwards. Onsets are therefore counted in samples.

Source: https://github.com/alexandrebarachant/muse-lsl (BSD-3-Clause), folder data at commit
2ba1e4c.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, listed, to_single
from p300.readers.events.words import parse_label
from p300.readers.formats._segments import MAX_GAP_S, continuous_from
from p300.recording import Recording, concatenate_recordings

if TYPE_CHECKING:
    import pandas as pd

SFREQ = 256.0

EXPERIMENTS = ("visual", "auditory")

CH_NAMES = ("TP9", "AF7", "AF8", "TP10")

#: An unconnected input of the headband; in some runs it has an extra electrode.
AUX = "Right AUX"

#: Names of the column of markers, and that of a last column without a name.
MARKER = re.compile(
    r"(event|stim(ulus)?)?[ _-]?(markers?|code|label|type)[ _-]?\d*|events?|labels?|stim(ulus)?"
    r"|triggers?|unnamed: \d+",
    re.IGNORECASE,
)
NO_NAME = "column without a name"

#: Names of the column of time stamps, and what some recorders write before a channel's name.
TIME = re.compile(r"time[ _-]?stamps?|times?|lsl[ _]time", re.IGNORECASE)
BEFORE_NAME = re.compile(r"^(raw|eeg)[ _.:-]+", re.IGNORECASE)

#: Values of the marker column.
NONTARGET, TARGET = 1, 2

SOURCE = (
    "Expected folders such as visual/P300/subject1/session1 with CSV files of the Muse P300 "
    "recordings (see data/README.md)."
)


def read(
    root: str | Path,
    experiment: str = "visual",
    subject: int | str | Sequence[int] = "all",
    *,
    aux: bool = False,
) -> Recording:
    """Read the Muse oddball recordings.

    Parameters
    ----------
    root : path
        Folder that holds ``visual`` and ``auditory``.
    experiment : {"visual", "auditory"}
        Which oddball experiment.
    subject : int, sequence of int, or "all"
        Numbers in the folder names; "all" for all folders.
    aux : bool
        Whether to include the channel "Right AUX".

    Returns
    -------
    Recording
        In µV, without a speller. ``session`` is from the folder name; ``run`` counts from 1, in
        order of the time in the file name. One segment per run, or more if samples were lost.

    Raises
    ------
    InputError
        If a folder is missing, or a file is damaged or of another layout.

    Warns
    -----
    UserWarning
        If samples were lost within a run; the run is cut there.
    """
    if experiment not in EXPERIMENTS:
        raise InputError(f"got experiment {experiment!r}; expected {' or '.join(EXPERIMENTS)}.")
    folder = Path(root) / experiment / "P300"
    recordings = []
    for name in map(str, chosen(subject, sorted(p.name[7:] for p in folder.glob("subject*")))):
        sessions = sorted((folder / f"subject{name}").glob("session*"))
        if not sessions:
            raise InputError(f"There is no session in {folder / f'subject{name}'}. {SOURCE}")
        for session in sessions:
            paths = sorted(session.glob("*.csv"), key=lambda p: re.findall(r"\d+", p.name))
            labels = {"subject": name, "session": session.name[7:]}
            recordings += [
                _read_run(path, (*CH_NAMES, AUX) if aux else CH_NAMES, run=run, **labels)
                for run, path in enumerate(paths, start=1)
            ]
    if not recordings:
        raise InputError(f"There is no CSV file below {folder}. {SOURCE}")
    return concatenate_recordings(recordings, name=f"muse {experiment}")


def _read_run(path: Path, ch_names: Sequence[str], **labels: Any) -> Recording:
    table, marker = _read_table(path, ch_names)
    odd = ~table[marker].isin([0, NONTARGET, TARGET])
    text = [c for c in ("timestamps", *ch_names) if table[c].dtype.kind not in "fiu"]
    if odd.any() or text:
        raise InputError(
            f"{path}: {odd.sum()} of {len(table)} markers are not 0, {NONTARGET} (nontarget) or "
            f"{TARGET} (target), and the columns {text} are not numbers; is the file truncated?"
        )
    timestamps = table["timestamps"].to_numpy(float)
    lost = int((~np.isfinite(timestamps)).sum())
    if lost or not len(table):
        raise InputError(
            f"{path}: {lost} of {len(table)} time stamps are NaN or infinite; expected a "
            "finite one per sample, and at least one sample."
        )
    code = table[marker].to_numpy(int)
    sample = np.flatnonzero(code)
    starts = continuous_from(timestamps)
    if len(starts) > 1:
        warnings.warn(
            f"{path}: samples were lost at {len(starts) - 1} places (time stamps jump by more "
            f"than {MAX_GAP_S} s), the first after sample {starts[1] - 1}; the run is cut there.",
            UserWarning,
            stacklevel=3,
        )
    segment = np.searchsorted(starts, sample, side="right") - 1
    onset = (sample - starts[segment]) / SFREQ
    columns = {"onset": onset, "code": code[sample], "segment": segment}
    signal = to_single(table[list(ch_names)].to_numpy().T)
    segments = np.split(signal, starts[1:], axis=1)
    flashes = flash_table(**columns, is_target=code[sample] == TARGET, **labels)
    return Recording(segments, flashes, ch_names, SFREQ, "uV", None, path.stem)


def _read_table(path: Path, ch_names: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Read a file's columns, and find that of the markers.

    muse-lsl writes ``Marker0``; other recorders ``Marker``, ``stim`` or no name at all, and leave
    out the marker of rows before the first stimulus. Names are compared whatever their case.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            line = file.readline()
            delimiter = max(",;\t", key=line.count)
            head = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
            widest = max((len(row) for row in csv.reader(file, delimiter=delimiter)), default=0)
        names = [_known_name(name.strip(), ch_names) for name in head]
        names += [NO_NAME] * max(0, min(widest - len(names), 1))
        table = pd.read_csv(path, names=names, sep=delimiter, skiprows=1, skipinitialspace=True)
    except (ValueError, csv.Error) as error:  # not UTF-8, or rows longer than that
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    known = [c for c in names if MARKER.fullmatch(c) or c == NO_NAME]
    if len(known) != 1 or not {"timestamps", *ch_names} <= set(names):
        raise InputError(
            f"{path} has the columns {listed(list(table))}; expected timestamps, "
            f"{', '.join(ch_names)} and one of markers (Marker, Marker0, stim, or without a name)."
        )
    (marker,) = known
    markers = table[marker]
    if markers.dtype.kind not in "fiu" and not markers.isna().all():  # words, none between them
        numbers = markers.map(_number, na_action="ignore").mask(markers.isna(), 0)
        return table.assign(**{marker: numbers}), marker
    is_before = markers.isna().cummin()  # a later row without a marker is damaged
    return table.assign(**{marker: markers.mask(is_before, 0)}), marker


def _known_name(name: str, ch_names: Sequence[str]) -> str:
    """Return the name of a column as muse-lsl writes it, if it is one of those."""
    if TIME.fullmatch(name):
        return "timestamps"
    plain = BEFORE_NAME.sub("", name).lower()
    return next((c for c in (*ch_names, *CH_NAMES, AUX) if c.lower() == plain), name)


def _number(word: Any) -> float:
    """Return the number of a marker that may be a word; NaN for another one."""
    meaning = parse_label(word)
    if meaning is None:
        return np.nan
    if meaning.is_target is not None:
        return TARGET if meaning.is_target else NONTARGET
    return np.nan if meaning.code is None else float(meaning.code)
