"""BNCI Horizon 2020 data sets 008-2014 (ALS patients) and 009-2014 (overt and covert attention).

A file holds the variable ``data``: a struct (008), or one struct per session (009), with ``X``
(samples, channels), ``y`` (1 while a nontarget is lit, 2 a target), ``y_stim`` (the code that is
lit), ``trial`` (the sample of the first flash of each character, from 1) and ``classes_stim`` (the
name of each code, such as Row1 and Col1, from which the screen is built). All at 256 Hz.

* 008: ``A01.mat`` to ``A08.mat``; 8 electrodes; 7 words of 5 letters, 10 repetitions. Words 1 to 3
  calibrated the speller, words 4 to 7 tested it. The words follow each other in one signal; where
  one ends is not marked.
* 009: ``A01S.mat`` … (6 x 6 matrix, overt attention) and ``A01G.mat`` … (GeoSpell, covert); 16
  electrodes; 8 repetitions. Its samples are about ten times too large for EEG in µV and are
  divided by ten, as MOABB does (https://github.com/NeuroTechX/moabb/issues/275); no owner of the
  data has confirmed the factor.

Which letter stands where is shown by a figure of the descriptions alone: the letters are those of
BCI2000's matrix and were not verified. Which symbols GeoSpell lights is not published as text. If
its codes have other names than rows and columns, it is read as an oddball with its codes.

Source: http://bnci-horizon-2020.eu/database/data-sets (description.pdf of both); MOABB's reader
https://github.com/NeuroTechX/moabb (moabb/datasets/bnci); Riccio et al. (2013), Front Hum Neurosci
7:732; Aricò et al. (2014), J Neural Eng 11:035008.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, listed, load_variables, require_numbers, to_single
from p300.readers.events.code_channels import flash_columns
from p300.readers.events.numbering import number_repetitions
from p300.recording import Recording, concatenate_recordings
from p300.speller import WADSWORTH, Speller

SFREQ = 256.0

#: Electrodes; those of 008 are the first eight.
CH_NAMES = tuple("Fz Cz Pz Oz P3 P4 PO7 PO8 F3 F4 FCz C3 C4 CP3 CPz CP4".split())

#: Kind to the end of its file names, its number of electrodes, and µV per unit of ``X``.
KINDS = {"als": ("", 8, 1.0), "overt": ("S", 16, 0.1), "covert": ("G", 16, 0.1)}

#: Letters per word, and words that calibrated the speller, of 008.
N_LETTERS, N_CALIBRATION = 5, 3

FIELDS = ("X", "y", "y_stim", "trial", "classes_stim", "channels")

SOURCE = (
    "Expected the files of BNCI Horizon 2020 data set 008-2014 (A01.mat …) or 009-2014 (A01S.mat, "
    "A01G.mat …), from http://bnci-horizon-2020.eu/database/data-sets (see data/README.md)."
)


def read(
    root: str | Path,
    subject: int | str | Sequence[int] = "all",
    *,
    kind: str = "als",
    scale: float | None = None,
) -> Recording:
    """Read subjects of BNCI Horizon 2020 data set 008-2014 or 009-2014.

    Parameters
    ----------
    root : path
        Folder of the ``.mat`` files.
    subject : int, sequence of int, or "all"
        Numbers in the file names; "all" for all files of the kind in the folder.
    kind : {"als", "overt", "covert"}
        Data set 008-2014, or the matrix or GeoSpell of 009-2014.
    scale : float or None
        µV per unit of ``X``; None for that of :data:`KINDS`.

    Returns
    -------
    Recording
        In µV. Of "als" the sessions are "train" (words 1 to 3) and "test", runs are words, and a
        subject is one segment; of the others the sessions are "1", "2", …, one segment each.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another layout.

    Warns
    -----
    UserWarning
        If flashes before the first character are left out.
    """
    if kind not in KINDS:
        raise InputError(f"got kind {kind!r}; expected one of {', '.join(KINDS)}.")
    root, (end, n_chans, factor) = Path(root), KINDS[kind]
    names = (re.fullmatch(rf"A(\d\d){end}\.mat", path.name) for path in root.glob("A*.mat"))
    there = sorted(int(name[1]) for name in names if name)
    subjects = chosen(subject, there)
    if not subjects or any(not str(number).isdecimal() for number in subjects):
        raise InputError(
            f"got subjects {listed(subjects)} of {root}; expected numbers in file names such as "
            f"A01{end}.mat. {SOURCE}"
        )
    parts = []
    for number in map(int, subjects):
        path = root / f"A{number:02d}{end}.mat"
        for k, fields in enumerate(_structs(path), start=1):
            where = f"{path.name}, data {k}"
            labels = {"subject": f"{number:02d}"} | ({} if kind == "als" else {"session": str(k)})
            scaled = factor if scale is None else scale
            parts.append(_read_part(path, where, fields, n_chans, scaled, labels))
    return concatenate_recordings(parts, name=f"bnci_2014 {kind}")


def _structs(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield the fields of each struct of ``data``: an array of structs, or cells with one each."""
    data = load_variables(path, SOURCE, ["data"])["data"]
    cells: list[Any] = list(data.ravel())
    if data.dtype.names is None:
        arrays = [cell for cell in cells if isinstance(cell, np.ndarray) and cell.dtype.names]
        cells = [one for array in arrays for one in array.ravel()]
    if not len(cells):
        raise InputError(f"{path.name}: data holds no struct; expected one or several.")
    for struct in cells:
        if missing := [name for name in FIELDS if name not in struct.dtype.names]:
            raise InputError(
                f"{path.name}: data has the fields {listed(struct.dtype.names)}; it lacks "
                f"{listed(missing)}."
            )
        yield {name: np.asarray(struct[name]) for name in struct.dtype.names}


def _read_part(
    path: Path,
    where: str,
    fields: Mapping[str, np.ndarray],
    n_chans: int,
    scale: float,
    labels: dict[str, Any],
) -> Recording:
    """Read one struct."""
    signal, ch_names = fields["X"], _texts(fields["channels"])
    if sorted(ch_names) != sorted(CH_NAMES[:n_chans]) or signal.shape[1:] != (n_chans,):
        raise InputError(
            f"{where}: X has shape {signal.shape} and channels are {listed(ch_names)}; expected "
            f"(samples, {n_chans}) of {', '.join(CH_NAMES[:n_chans])}."
        )
    require_numbers(path, "X", signal)
    rows: dict[str, np.ndarray] = {}
    for name in ("y", "y_stim", "trial"):
        require_numbers(path, name, fields[name], finite=True)
        rows[name] = fields[name].ravel().astype(float)
        if name != "trial" and rows[name].size != len(signal):
            raise InputError(
                f"{where}: {name} has {rows[name].size} values; expected {len(signal)}, as X."
            )
    sfreq = fields.get("fs", np.array(SFREQ)).ravel()
    if sfreq.dtype.kind not in "fiu" or sfreq.tolist() != [SFREQ]:
        raise InputError(f"{where}: fs is {listed(sfreq.tolist())}; expected {SFREQ:g} Hz.")
    channels = {"StimulusCode": rows["y_stim"], "StimulusType": rows["y"] == 2}
    columns = flash_columns(channels, SFREQ, f"{where}, y_stim")
    at = np.rint(columns["onset"] * SFREQ).astype(int)
    n_without = int((~np.isin(rows["y"][at], (1, 2))).sum())
    if n_without or not len(at):
        raise InputError(
            f"{where}: {n_without} of {len(at)} flashes have a y that is neither 1 nor 2; "
            "expected at least one flash, and a label of each."
        )
    columns["character"] = _characters(where, rows["trial"], at, len(signal))
    is_within = columns["character"] > 0
    if n_lost := int((~is_within).sum()):
        lost = f"{n_lost} of {len(at)} flashes are left out: before the first character."
        warnings.warn(f"{where}: {lost}", UserWarning, stacklevel=3)
    columns = {name: values[is_within] for name, values in columns.items()}
    speller, notes = _screen(fields["classes_stim"], columns["code"], where)
    columns["repetition"] = number_repetitions(columns["code"], columns["character"])
    if "session" not in labels:
        word = 1 + (columns["character"] - 1) // N_LETTERS
        columns |= {"run": word, "session": np.where(word > N_CALIBRATION, "test", "train")}
        notes.append(f"The words follow each other in one signal of {len(signal) / SFREQ:.0f} s.")
    if scale != 1.0:
        notes.append(f"X was multiplied by {scale:g} to be in µV.")
    if n_lost:
        notes.append(lost)
    if speller is None:
        del columns["character"], columns["repetition"]
    table = flash_table(**columns, **labels)
    segment = to_single(signal.T * np.float64(scale))  # (samples, channels) → (channels, samples)
    return Recording([segment], table, ch_names, SFREQ, "uV", speller, where, notes=notes)


def _characters(where: str, trial: np.ndarray, at: np.ndarray, n_samples: int) -> np.ndarray:
    """Return the character of each flash, from 1; 0 before the first."""
    is_usable = (trial >= 1) & (trial <= n_samples) & (trial == np.round(trial))
    if (
        not len(trial)
        or not is_usable.all()
        or (np.diff(trial) <= 0).any()
        or trial[0] - 1 > at[-1]
    ):
        raise InputError(
            f"{where}: trial has {len(trial)} values, {int((~is_usable).sum())} of them no sample "
            f"of X; expected ascending whole numbers from 1 to {n_samples}, with flashes behind."
        )
    return np.searchsorted(trial - 1, at, side="right")


def _screen(
    classes_stim: np.ndarray, codes: np.ndarray, where: str
) -> tuple[Speller | None, list]:
    """Build the screen from the names of the codes; None where these are not rows and columns."""
    names = _texts(classes_stim)
    if max(codes) > len(names):
        raise InputError(
            f"{where}: y_stim has codes up to {max(codes)}; expected up to {len(names)}, as "
            "classes_stim has names."
        )
    parsed = [re.fullmatch(r"(row|col)[a-z]*[ _]*([1-6])", name, re.IGNORECASE) for name in names]
    lines = [(m[1].lower(), int(m[2])) if m else None for m in parsed]
    if sorted(filter(None, lines)) != [(k, n) for k in ("col", "row") for n in range(1, 7)]:
        return None, [
            f"Codes are named {listed(names)}, which does not say what each lights: an oddball."
        ]
    known = WADSWORTH.groups  # columns 1 to 6, rows 7 to 12
    groups = {
        code: known[line[1] + (6 if line[0] == "row" else 0)]
        for code, line in enumerate(lines, start=1)
        if line
    }
    note = f"Codes are {listed(names)}; the letters of the screen are BCI2000's, not verified."
    return Speller(WADSWORTH.symbols, groups, "6x6 matrix"), [note]


def _texts(cells: np.ndarray) -> list[str]:
    """Read a cell array of names."""
    return [str(np.squeeze(cell)) for cell in np.asarray(cells).ravel()]
