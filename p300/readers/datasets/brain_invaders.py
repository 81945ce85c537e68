"""Brain Invaders of GIPSA-lab: 36 aliens that flash in groups; 2012, 2013a, 2014a and 2015a.

In a repetition each alien is lit twice, in groups of six that are drawn anew. The published
matrices say only whether the alien that was attended to was among the lit ones. So these are read
as an oddball: no alien can be told from the others. A file holds one matrix (samples, columns):

========= ======================================== ========== ====== ================ ============
edition   files                                    variable   Hz     EEG columns      marks
========= ======================================== ========== ====== ================ ============
2012      subject_01/training.mat, online.mat      training…  128    2 to 18          19 + 20
2013a     subject01…/Session1/1.mat …              data       512    1 to 16          17
2014a     subject_01.mat                           samples    512    2 to 17          the last
2015a     subject_01_session_01.mat …              DATA       512    2 to 33          the last two
========= ======================================== ========== ====== ================ ============

Marks are 1 (nontarget) and 2 (target), or OpenViBE's 33286 and 33285 in 2013a, whose other marks
are left out. Of 2013a the unit is not published as text, so its samples are amplifier steps until
``unit`` is set. Channels 3 and 5 of 2014a are F3 and F4 in MOABB's reader, but F5 and F6 in the
description of the cap: MOABB's names are taken. In 2012 Fz is the ground; it is left out. Marks
were set by software: they jitter, so do not report latencies (Van Veen et al. 2019).

Source: https://zenodo.org/record/2649069 (2012), 2669187 (2013a), 3266223 (2014a) and 3266930
(2015a), all by GIPSA-lab; columns as in MOABB's reader, https://github.com/NeuroTechX/moabb
(moabb/datasets/braininvaders.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, listed, load_variables, require_numbers, to_single
from p300.readers.events.code_channels import find_onsets
from p300.recording import Recording, concatenate_recordings

NONTARGET, TARGET = 1, 2


@dataclass(frozen=True)
class Edition:
    """The layout of one year's files.

    Parameters
    ----------
    record : int
        Number of the record at Zenodo.
    pattern : str
        Path of a file below the root: ``n`` is the subject; ``session``, ``run`` and ``part``
        where there are several.
    variable : str or None
        Name of the matrix; None for that of the file.
    sfreq : float
        Sampling rate in Hz.
    ch_names : sequence of str
        EEG channels; "" for a column that is none.
    first : int
        First column of the EEG.
    marks : sequence of int
        Columns of the marks, which are added.
    unit : str
        Of the samples.
    codes : (int, int)
        Marks of a nontarget and of a target.
    """

    record: int
    pattern: str
    variable: str | None
    sfreq: float
    ch_names: Sequence[str]
    first: int
    marks: Sequence[int]
    unit: str = "uV"
    codes: tuple[int, int] = (NONTARGET, TARGET)


EDITIONS = {
    "2012": Edition(
        record=2649069,
        pattern=r"subject_?(?P<n>\d+)/(?P<part>training|online)\.mat",
        variable=None,
        sfreq=128.0,
        ch_names=["F7", "F3", "", *"F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2".split()],
        first=1,
        marks=(18, 19),
    ),
    "2013a": Edition(
        record=2669187,
        pattern=r"subject_?(?P<n>\d+)\w*/Session(?P<session>\d+)/(\w*_)?(?P<run>\d+)\.mat",
        variable="data",
        sfreq=512.0,
        ch_names="Fp1 Fp2 F5 AFz F6 T7 Cz T8 P7 P3 Pz P4 P8 O1 Oz O2".split(),
        first=0,
        marks=(16,),
        unit="AD",
        codes=(33286, 33285),
    ),
    "2014a": Edition(
        record=3266223,
        pattern=r"(.*/)?subject_?(?P<n>\d+)\.mat",
        variable="samples",
        sfreq=512.0,
        ch_names="Fp1 Fp2 F3 AFz F4 T7 Cz T8 P7 P3 Pz P4 P8 O1 Oz O2".split(),
        first=1,
        marks=(-1,),
    ),
    "2015a": Edition(
        record=3266930,
        pattern=r"(.*/)?subject_?(?P<n>\d+)_session_?(?P<session>\d+)\.mat",
        variable="DATA",
        sfreq=512.0,
        ch_names=(
            "Fp1 Fp2 AFz F7 F3 F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 CP5 CP1 CP2 CP6 P7 P3 Pz P4 "
            "P8 PO7 O1 Oz O2 PO8 PO9 PO10"
        ).split(),
        first=1,
        marks=(-2, -1),
    ),
}


def read(
    root: str | Path,
    edition: str = "2014a",
    subject: int | str | Sequence[int] = 1,
    *,
    unit: str | None = None,
) -> Recording:
    """Read subjects of one edition of Brain Invaders.

    Parameters
    ----------
    root : path
        Folder of the unpacked archives.
    edition : {"2012", "2013a", "2014a", "2015a"}
        Which experiment.
    subject : int, sequence of int, or "all"
        Numbers in the names of files or folders.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for that of the edition.

    Returns
    -------
    Recording
        Without a speller; codes are 1 (nontarget) and 2 (target). One segment per file. Sessions
        are "training" and "online" (2012), or numbers.

    Raises
    ------
    InputError
        If there is no file of a subject, or one is damaged or of another layout.
    """
    if edition not in EDITIONS:
        raise InputError(f"got edition {edition!r}; expected one of {', '.join(EDITIONS)}.")
    root = Path(root)
    found = _find(root, EDITIONS[edition])
    there = sorted({n for n, *_ in found})
    subjects = chosen(subject, there)
    missing = [str(number) for number in subjects if str(number) not in map(str, there)]
    if missing or not subjects:
        raise InputError(
            f"There is no file of subject {listed(missing)} in {root} (there: "
            f"{listed(list(map(str, there)))}). {_source(edition)}"
        )
    recordings = [
        _read_file(path, edition, unit, {"subject": f"{n:02d}", "session": session, "run": run})
        for number in subjects
        for n, session, run, path in found
        if str(n) == str(number)
    ]
    return concatenate_recordings(recordings, name=f"brain_invaders {edition}")


def _find(root: Path, layout: Edition) -> list[tuple[int, str, int, Path]]:
    """Find the files: subject, session, run and path, in this order."""
    found = []
    for path in root.glob("**/*.mat"):
        if match := re.fullmatch(layout.pattern, path.relative_to(root).as_posix()):
            parts = match.groupdict()
            session = parts.get("part") or str(int(parts.get("session") or 1))
            found.append((int(parts["n"]), session, int(parts.get("run") or 1), path))
    return sorted(found, key=lambda f: (f[0], f[1] == "online", f[1], f[2]))  # after "training"


def _source(edition: str) -> str:
    return (
        f"Expected the files of Brain Invaders {edition}, from https://zenodo.org/record/"
        f"{EDITIONS[edition].record} (see data/README.md)."
    )


def _read_file(path: Path, edition: str, unit: str | None, labels: dict[str, Any]) -> Recording:
    layout = EDITIONS[edition]
    variable = layout.variable or path.stem
    matrix = load_variables(path, _source(edition), [variable])[variable]
    n_columns = layout.first + len(layout.ch_names) + len(layout.marks)
    if matrix.ndim != 2 or matrix.shape[1] < n_columns or not matrix.size:
        raise InputError(
            f"{path.name}: {variable} has shape {matrix.shape}; expected (samples, {n_columns} "
            "columns or more)."
        )
    require_numbers(path, variable, matrix)
    marks = matrix[:, list(layout.marks)].sum(axis=1)
    require_numbers(path, "column of marks", marks, finite=True)
    (at,) = find_onsets(marks)
    is_flash = np.isin(marks[at], layout.codes)
    other = [f"{mark:g}" for mark in np.unique(marks[at][~is_flash])]
    if not is_flash.any() or (other and layout.codes == (NONTARGET, TARGET)):
        raise InputError(
            f"{path.name}: {int(is_flash.sum())} flashes and {int((~is_flash).sum())} other marks "
            f"({listed(other, 4)}); expected {layout.codes[0]} (nontarget) and "
            f"{layout.codes[1]} (target), and 0 between."
        )
    notes = ["Which aliens were lit is not in the files: read as an oddball."]
    if other:
        n_other = int((~is_flash).sum())
        notes.append(f"{n_other} marks are no flashes: {listed(other)}.")
    at = at[is_flash]
    is_target = marks[at] == layout.codes[1]
    columns = {"onset": at / layout.sfreq, "code": np.where(is_target, TARGET, NONTARGET)}
    flashes = flash_table(**columns, is_target=is_target, **labels)
    picked = [k for k, name in enumerate(layout.ch_names) if name]
    signal = to_single(matrix[:, [layout.first + k for k in picked]].T)
    names = [layout.ch_names[k] for k in picked]
    unit = unit or layout.unit
    return Recording([signal], flashes, names, layout.sfreq, unit, None, path.stem, notes=notes)
