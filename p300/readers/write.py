"""Recordings written as BIDS data sets or as MNE's FIF files, which read back equal.

Source: https://bids-specification.readthedocs.io (EEG, task events), files by mne-bids,
https://mne.tools/mne-bids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.flashes import CHARACTER_KEY, LIT, fitting_symbols, with_lit_codes
from p300.readers._files import listed
from p300.readers.bids import SCREEN, mne_bids, quietly
from p300.readers.mne_epochs import plain
from p300.readers.mne_raw import describe_screen, to_raw
from p300.recording import Recording

if TYPE_CHECKING:
    import mne

#: Columns of the events that are written, and what they are.
COLUMNS = {
    "code": "Which group of symbols was lit",
    "character": "Act of spelling, from 1 within the run",
    "repetition": "Pass in which every group is lit once, from 0 within the character",
    "symbol": "The symbol that was to be spelled",
    LIT: "The symbols that were lit, separated by spaces",
}


def write_bids(
    recording: Recording,
    root: str | Path,
    *,
    task: str = "p300",
    line_freq: float | None = None,
    volts_per_unit: float | None = None,
) -> list[Path]:
    """Write a recording as a BIDS data set, in BrainVision's format.

    Parameters
    ----------
    recording : Recording
        One file is written per run. Segments of a run follow each other with a ``BAD boundary``.
    root : path
        The folder; files of the same names must not be there yet.
    task : str
        Name of the task, letters and digits.
    line_freq : float or None
        Frequency of the mains in Hz, which BIDS asks for; None if it is not known.
    volts_per_unit : float or None
        As for :func:`p300.readers.mne_raw.to_raw`.

    Returns
    -------
    list of Path
        The header files.

    Raises
    ------
    InputError
        If a file exists, segments of a run differ in rate, names of subjects are the same for
        BIDS, or the size of the unit is unknown.
    """
    bids = mne_bids()
    written = []
    names: dict[str, str] = {}
    for key, rows in _runs(recording):
        labels = [re.sub(r"[^A-Za-z0-9]", "", str(part)) for part in key[:2]]
        for label, part in zip(labels, key[:2], strict=True):
            if not label or names.setdefault(label, str(part)) != str(part):
                raise InputError(
                    f"{recording.name}: got {part!r}, which BIDS writes as {label!r}, the name of "
                    f"{names.get(label)!r} too; expected names that differ in letters and digits"
                )
        part = recording.select(rows)
        raw = joined(part, volts_per_unit)
        raw.info["line_freq"] = line_freq
        path = bids.BIDSPath(
            subject=labels[0],
            session=labels[1],
            task=task,
            run=str(key[2]),
            datatype="eeg",
            suffix="eeg",
            extension=".vhdr",
            root=root,
        )
        if path.fpath.exists():
            raise InputError(f"{path.fpath} exists; expected a folder without this run")
        with quietly():
            bids.write_raw_bids(
                raw, path, format="BrainVision", allow_preload=True, verbose="error"
            )
        _describe_events(path, part)
        written.append(path.fpath)
    return written


def write_fif(
    recording: Recording, path: str | Path, *, volts_per_unit: float | None = None
) -> list[Path]:
    """Write a recording as MNE's FIF, one file per run.

    Parameters
    ----------
    recording : Recording
        Segments of a run follow each other with a ``BAD boundary``.
    path : path
        Ends with ``-raw.fif``. Of several runs, subject, session and run are added to each name.
    volts_per_unit : float or None
        As for :func:`p300.readers.mne_raw.to_raw`.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If a file exists, segments of a run differ in rate, or the size of the unit is unknown.
    """
    path, runs = Path(path), list(_runs(recording))
    stem = path.name.removesuffix(".fif").removesuffix("-raw")
    files = [path]
    if len(runs) > 1:
        parts = ["_".join(re.sub(r"[^A-Za-z0-9]", "", str(one)) for one in key) for key, _ in runs]
        files = [path.with_name(f"{stem}_{part}-raw.fif") for part in parts]
    if there := [str(file) for file in files if file.exists()] or len({*files}) < len(files):
        raise InputError(f"{there} exists; expected new files, one per run")
    for file, (_, rows) in zip(files, runs, strict=True):
        raw = joined(recording.select(rows), volts_per_unit)
        raw.info["description"] = describe_screen(recording.speller)
        raw.save(file, verbose="error")
    return files


def joined(recording: Recording, volts_per_unit: float | None = None) -> mne.io.BaseRaw:
    """Return the segments of a recording as one MNE Raw, with the wanted symbols as extras.

    Raises
    ------
    InputError
        If the segments differ in rate.
    """
    import mne

    if len(set(recording.rates)) > 1:
        raise InputError(
            f"{recording.name}: got segments at {listed([f'{r:.4f}' for r in recording.rates])} "
            "Hz; expected one rate in a file; resample it first, by "
            "p300.preprocessing.resample_recording"
        )
    symbols, codes = wanted_symbols(recording), np.array(plain(recording.flashes["code"]), object)
    raws = to_raw(recording, volts_per_unit=volts_per_unit)
    for k, raw in enumerate(raws):
        rows = recording.flashes["segment"].eq(k).to_numpy()
        some = zip(raw.annotations.extras, symbols[rows], codes[rows], strict=True)
        for extra, symbol, code in some:
            extra["code"] = code
            for name in ("subject", "session", "run"):  # the name of the file has them
                extra.pop(name, None)
            if isinstance(symbol, str):
                extra["symbol"] = symbol
    return mne.concatenate_raws(raws, verbose="error") if len(raws) > 1 else raws[0]


def wanted_symbols(recording: Recording) -> Any:
    """Return the wanted symbol of each flash; None where it is not known, shape (n_flashes,)."""
    found = np.full(len(recording.flashes), None, object)
    if recording.speller is None:
        return found
    flashes, speller = with_lit_codes(recording.flashes, recording.speller)
    is_spelled = flashes["character"].notna().to_numpy()
    for rows, fitting in fitting_symbols(flashes, speller):
        if fitting is not None and len(fitting) == 1 and is_spelled[rows[0]]:
            found[rows] = fitting[0]
    return found


def _runs(recording: Recording) -> Iterator[tuple[tuple, Any]]:
    """Yield the name of each run, and its rows."""
    runs = recording.flashes.groupby(CHARACTER_KEY[:3], sort=False, dropna=False)
    yield from runs.indices.items()


def _describe_events(path: Any, recording: Recording) -> None:
    """Say in ``events.json`` what the columns hold and what the screen is."""
    file = path.copy().update(suffix="events", extension=".json").fpath
    content = json.loads(file.read_text("utf-8"))
    for name, text in COLUMNS.items():
        if name in content:
            content[name] = {"Description": text}
    if recording.speller is not None:
        speller = recording.speller
        levels = {str(code): " ".join(lit) for code, lit in speller.groups.items()}
        about = {"Description": COLUMNS["code"], "Levels": levels, SCREEN: speller.to_dict()}
        content["trial_type"] = {
            "Description": "target, nontarget or flash (unknown), and the code"
        }
        content["code"] = about
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
