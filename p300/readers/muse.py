"""Oddball recordings with a Muse headband: a plain oddball, no speller.

A file is, for example, ``visual/P300/subject1/session1/data_2017-02-04-15_45_13.csv``. There is
one file per run. The samples are evenly spaced, but their time stamps are not. They jitter by up
to 47 ms and, in the auditory files, step backwards. Onsets are therefore counted in samples.

Source: https://github.com/alexandrebarachant/muse-lsl (BSD-3-Clause), folder data at commit
2ba1e4c.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import chosen, listed, to_single
from p300.recording import Recording, concatenate_recordings, flash_table

SFREQ = 256.0

EXPERIMENTS = ("visual", "auditory")

CH_NAMES = ("TP9", "AF7", "AF8", "TP10")

#: An unconnected input of the headband; in some runs it has an extra electrode.
AUX = "Right AUX"

#: Longer gaps in the time stamps are lost samples, shorter ones are jitter of the clock.
MAX_GAP_S = 0.1

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
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    marker = next((c for c in table if c.startswith("Marker")), None)
    if marker is None or not {"timestamps", *ch_names} <= set(table):
        raise InputError(
            f"{path} has the columns {listed(list(table))}; expected timestamps, "
            f"{', '.join(ch_names)} and Marker."
        )
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
    starts = _continuous_from(timestamps)
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


def _continuous_from(timestamps: np.ndarray) -> np.ndarray:
    """Find the samples, including 0, at which an interval without lost samples begins.

    Temporary jitter does not count as a gap: a gap is measured from the latest time before it to
    the earliest time after it.
    """
    latest_before = np.maximum.accumulate(timestamps)[:-1]
    earliest_after = np.minimum.accumulate(timestamps[::-1])[::-1][1:]
    return np.concatenate([[0], np.flatnonzero(earliest_after - latest_before > MAX_GAP_S) + 1])
