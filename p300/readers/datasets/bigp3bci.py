"""bigP3BCI: 20 studies of spellers, 6 x 6 and 9 x 8, rows and columns, checkerboard and others.

A file is, for example, ``StudyA/A_01/SE001/Train/CB/A_01_SE001_CB_Train01.edf``: study, person,
session, phase, condition. It holds EEG channels (``EEG_Fz``), one channel per cell of the screen
(``A_1_1``: symbol, row, column; not 0 while the cell is lit) and the states of BCI2000:
``StimulusBegin`` (1 where a flash begins), ``StimulusCode``, ``StimulusType`` (1 for a target),
``PhaseInSequence`` (1 before, 2 during, 3 after the flashes of a character) and ``CurrentTarget``
(the wanted cell, counted from 1 along the rows).

What a flash lights is taken from the cells, since the groups of a checkerboard change with every
sequence: no code has a meaning of its own there. Where every code always lights the same cells,
these make the screen; elsewhere the column ``lit`` of the flash table says what each flash lit.

Source: Mainsah et al. (2025), bigP3BCI 1.0.0, PhysioNet, https://doi.org/10.13026/0byy-ry86;
paths and states as in MOABB's reader (https://github.com/NeuroTechX/moabb,
moabb/datasets/mainsah2025.py). That the channel of a cell is not 0 while it is lit, and how
CurrentTarget counts, is what others found in the files, not a sentence of the owners: so labels
are checked against both.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, listed
from p300.readers.events.code_channels import MAX_CODE
from p300.readers.events.edf_gaps import read_discontinuous
from p300.readers.events.numbering import number_repetitions
from p300.recording import Recording, concatenate_recordings
from p300.speller import Speller

if TYPE_CHECKING:
    import pandas as pd

SFREQ = 256.0

STATES = ("StimulusBegin", "StimulusType", "StimulusCode", "PhaseInSequence", "CurrentTarget")

#: PhaseInSequence while a character flashes.
FLASHING = 2

#: Name of a cell's channel: symbol, row and column.
CELL = re.compile(r"(.+)_(\d{1,2})_(\d{1,2})")

SOURCE = (
    "Expected folders such as StudyA/A_01/SE001/Train with EDF files of bigP3BCI, from "
    "https://physionet.org/content/bigp3bci/1.0.0/ (see data/README.md)."
)


class _Run(NamedTuple):
    """What is read of a file."""

    recording: Recording
    cells: tuple[str, ...]
    lit: np.ndarray  # (n_flashes, n_cells)


def read(
    root: str | Path,
    study: str = "A",
    subject: int | str | Sequence[int] = 1,
    *,
    session: int | str | Sequence[int] = 1,
    conditions: Sequence[str] | None = None,
) -> Recording:
    """Read people of one study of bigP3BCI.

    Parameters
    ----------
    root : path
        Folder of the folders ``StudyA`` …
    study : str
        "A" to "R", "S1" or "S2".
    subject : int, sequence of int, or "all"
        Numbers in the folder names: 1 for ``A_01``.
    session : int, sequence of int, or "all"
        Numbers in the folder names: 1 for ``SE001``.
    conditions : sequence of str or None
        Names of folders below ``Train`` and ``Test``, such as "CB"; None for all.

    Returns
    -------
    Recording
        In µV, one segment per file. ``session`` is such as "1-train" or "1-test"; ``run`` counts
        the files of each, by the number in their names.

    Raises
    ------
    InputError
        If a folder is missing, or a file is damaged or of another layout.

    Warns
    -----
    UserWarning
        If flashes are left out because they lie between characters, lit no cell, or have a label
        that contradicts the lit cells; or files because they have another screen than the most.
    """
    folder = Path(root) / f"Study{study}"
    if not re.fullmatch(r"[A-Z]\d?", study) or not folder.is_dir():
        raise InputError(f"There is no study {study!r} in {root}. {SOURCE}")
    runs: list[_Run] = []
    for number in chosen(subject, _numbers(folder, f"{study}_")):
        person = f"{study}_{int(number):02d}" if str(number).isdecimal() else str(number)
        for part in chosen(session, _numbers(folder / person, "SE")):
            name = f"SE{int(part):03d}" if str(part).isdecimal() else str(part)
            for phase in ("Train", "Test"):
                paths = _files(folder / person / name / phase, conditions)
                labels = {"subject": person, "session": f"{part}-{phase.lower()}"}
                runs += [_read_run(p, labels | {"run": k}) for k, p in enumerate(paths, start=1)]
    if not runs:
        raise InputError(
            f"There is no EDF file of subject {subject}, session {session} in {folder}, "
            f"conditions {'all' if conditions is None else listed(conditions)}. {SOURCE}"
        )
    return _together(runs, f"bigp3bci {study}")


def _numbers(folder: Path, start: str) -> list[int]:
    found = (re.fullmatch(rf"{re.escape(start)}(\d+)", p.name) for p in folder.glob(f"{start}*"))
    return sorted(int(match[1]) for match in found if match)


def _files(folder: Path, conditions: Sequence[str] | None) -> list[Path]:
    """Find the files of a phase, in the order of the numbers in their names."""
    paths = [p for p in folder.glob("**/*.edf") if not p.name.startswith("._")]
    if conditions is not None:
        paths = [p for p in paths if set(p.relative_to(folder).parts[:-1]) & set(conditions)]
    return sorted(paths, key=lambda p: (int((re.findall(r"\d+", p.stem) or [0])[-1]), p.name))


def _together(runs: Sequence[_Run], name: str) -> Recording:
    """Concatenate the runs that have the same screen, and find out what its codes light."""
    cells, _ = Counter(run.cells for run in runs for _ in run.lit).most_common(1)[0]
    other = [run.recording.name for run in runs if run.cells != cells]
    runs = [run for run in runs if run.cells == cells]
    recording = concatenate_recordings([run.recording for run in runs], name=name)
    lit = np.concatenate([run.lit for run in runs])
    flashes, speller, notes = _screen(recording.flashes, cells, lit)
    if other:
        notes.append(f"{len(other)} files are left out: another screen ({listed(other, 3)}).")
        warnings.warn(f"{name}: {notes[-1]}", UserWarning, stacklevel=3)
    return dataclasses.replace(
        recording, flashes=flashes, speller=speller, notes=[*recording.notes, *notes]
    )


def _screen(
    flashes: pd.DataFrame, cells: Sequence[str], lit: np.ndarray
) -> tuple[pd.DataFrame, Speller | None, list[str]]:
    """Build the screen from what was lit, and say it in the flash table where groups change."""
    if not cells:
        return flashes, None, ["Letters cannot be read: no cell of the screen is in the files."]
    codes, texts = flashes["code"].to_numpy(int), [list(np.array(cells)[on]) for on in lit]
    groups = {code: texts[k] for k, code in enumerate(codes.tolist())}
    is_fixed = all(groups[code] == text for code, text in zip(codes.tolist(), texts, strict=True))
    is_told_apart = len({tuple(column) for column in lit.T.tolist()}) == len(cells)
    name = f"{len(cells)} cells"
    if is_fixed and is_told_apart:
        return flashes, Speller(cells, groups, name), []
    note = "Codes light changing cells: each flash says which."
    speller = Speller.changing(cells, len(groups), name)
    return flashes.assign(lit=[" ".join(text) for text in texts]), speller, [note]


def _read_run(path: Path, labels: dict[str, Any]) -> _Run:
    """Read a file."""
    eeg, states, found, shown, sfreq = _channels(path)
    is_state = (states >= 0) & (states <= MAX_CODE)
    if not is_state.all():
        raise InputError(
            f"{path.name}: {int((~is_state).sum())} values of {', '.join(STATES)} are no state; "
            f"expected whole numbers up to {MAX_CODE}."
        )
    begin, kind, code, phase, current = states.astype(int)
    at = np.flatnonzero((begin > 0) & (np.diff(begin, prepend=0) > 0))
    block = np.cumsum((phase == FLASHING) & (np.diff(phase, prepend=0) != 0))[at]
    n_columns = max((int(match[3]) for match in found), default=0)
    places = [(int(match[2]) - 1) * n_columns + int(match[3]) for match in found]
    cells, lit = _symbols(found), np.rint(shown[:, at]).T != 0
    is_target, is_within = kind[at] > 0, phase[at] == FLASHING
    contradicts, text = _contradictions(block, current[at], places, lit, is_target)
    spelled = "".join("?" if k is None else cells[k] for k in text)
    notes = [f"{path.name}: session {labels['session']}, run {labels['run']}, spells {spelled!r}."]
    is_dark = ~lit.any(axis=1) & is_within & bool(cells)
    contradicts &= is_within & ~is_dark
    for is_lost, why in (
        (~is_within, "between characters"),
        (is_dark, "no cell was lit"),
        (contradicts, "StimulusType contradicts the cells that were lit"),
    ):
        if n_lost := int(is_lost.sum()):
            notes.append(f"{path.name}: {n_lost} of {len(at)} flashes are left out: {why}.")
            warnings.warn(notes[-1], UserWarning, stacklevel=3)
    keep = is_within & ~is_dark & ~contradicts
    if not keep.any():
        raise InputError(
            f"{path.name}: none of {len(at)} flashes can be used; expected some in phase "
            f"{FLASHING} whose StimulusType fits the cells that were lit."
        )
    codes, character = code[at[keep]], np.unique(block[keep], return_inverse=True)[1] + 1
    flashes = flash_table(
        onset=at[keep] / sfreq,
        code=codes,
        is_target=is_target[keep],
        character=character,
        repetition=number_repetitions(codes, character),
        **labels,
    )
    recording = Recording(
        [np.stack(list(eeg.values()))],
        flashes,
        list(eeg),
        SFREQ,
        name=path.name,
        segment_sfreq=[sfreq],
        notes=notes,
    )
    return _Run(recording, cells, lit[keep])


def _channels(
    path: Path,
) -> tuple[dict[str, np.ndarray], np.ndarray, list[re.Match[str]], np.ndarray, float]:
    """Read EEG in µV by name, states, the names of cells and when each was lit, and the rate."""
    import mne

    try:
        raw = mne.io.read_raw_edf(path, stim_channel=None, preload=False, verbose="error")
        n_values = raw.n_times * len(raw.ch_names)
        if 2 * n_values > path.stat().st_size:  # MNE makes channels of a lower rate longer
            raise ValueError(f"{n_values} values of 2 bytes; expected one rate for all channels")
        if read_discontinuous(path) is not None:
            raise ValueError("a discontinuous file (EDF+D)")
        sfreq = float(raw.info["sfreq"])
        with path.open("rb") as file:
            head = file.read(252)[236:]
        said_s, found_s = int(head[:8]) * float(head[8:]), raw.n_times / sfreq
        if said_s > found_s + 1e-3:  # MNE reads what there is
            raise ValueError(f"{found_s:g} s of signal; expected {said_s:g} s, as its header says")
        names = [name for name in raw.ch_names if name.startswith("EEG_")]
        if missing := [name for name in STATES if name not in raw.ch_names]:
            raise ValueError(f"no channels {', '.join(missing)}")
        found = [match for name in raw.ch_names if (match := CELL.fullmatch(name))]
        found = sorted(found, key=lambda match: (int(match[2]), int(match[3])))
        if len({match.groups()[1:] for match in found}) < len(found):
            raise ValueError("two channels of one cell")
        cells = [match[0] for match in found]
        shown = raw.get_data(cells) if cells else np.zeros((0, raw.n_times))
        states = np.rint(raw.get_data(list(STATES)))
        eeg = (1e6 * raw.get_data(names)).astype(np.float32)
        plain = [re.sub(r"^FP", "Fp", name.removeprefix("EEG_")) for name in names]
        return dict(zip(plain, eeg, strict=True)), states, found, shown, sfreq
    except Exception as error:  # MNE raises a dozen kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name} ({path.stat().st_size} bytes) cannot be read: got {reason}; expected a "
            "file of bigP3BCI as it was downloaded."
        ) from error


def _symbols(found: Sequence[re.Match[str]]) -> tuple[str, ...]:
    """Return the symbols of cells; the names of channels where two cells have one symbol."""
    symbols = ["_" if match[1] == "Sp" else match[1] for match in found]
    pairs = zip(symbols, found, strict=True)
    return tuple(s if symbols.count(s) == 1 else match[0] for s, match in pairs)


def _contradictions(
    block: np.ndarray,
    current: np.ndarray,
    places: Sequence[int],
    lit: np.ndarray,
    is_target: np.ndarray,
) -> tuple[np.ndarray, list[int | None]]:
    """Find flashes whose label is not whether the wanted cell was lit, and each wanted cell."""
    contradicts, text = np.zeros(len(block), bool), []
    for number in np.unique(block):
        rows = block == number
        wanted = set(current[rows].tolist()) - {0}
        k = places.index(min(wanted)) if len(wanted) == 1 and wanted <= set(places) else None
        text.append(k)
        if k is not None:
            contradicts[rows] = lit[rows, k] != is_target[rows]
    return contradicts, text
