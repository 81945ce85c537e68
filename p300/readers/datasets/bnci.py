"""BNCI Horizon 2020 data set 003-2015: a 6 x 6 speller with eight electrodes.

The sampling rate is uncertain. The file's time row says 256 Hz, and at that rate a notch is at
50 Hz. But flashes are 20 samples apart (78 ms), and the paper says 160 ms, which would be 128 Hz.
Do not report latencies or bits per minute until this is resolved.

Source: Guger et al. (2009), How many people are able to control a P300-based brain-computer
interface (BCI)?, Neurosci Lett 462:94.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, listed, load_variables, require_numbers, to_single
from p300.readers.events.code_channels import flash_columns
from p300.recording import RateWarning, Recording, concatenate_recordings
from p300.speller import WADSWORTH

#: The electrodes in the reported order of the files; not verified.
CH_NAMES = ("Fz", "Cz", "P3", "Pz", "P4", "PO7", "Oz", "PO8")

#: Seconds from flash to flash, from the paper.
SOA_S = 0.160

SOURCE = (
    "Expected the files of BNCI Horizon 2020 data set 003-2015, such as s6.mat, from "
    "http://bnci-horizon-2020.eu/database/data-sets (see data/README.md)."
)


def read(
    root: str | Path,
    subject: int | str | Sequence[int] = "all",
    *,
    sfreq: float = 256.0,
) -> Recording:
    """Read subjects of BNCI Horizon 2020 data set 003-2015.

    Parameters
    ----------
    root : path
        Folder of the files ``s6.mat`` …
    subject : int, sequence of int, or "all"
        Numbers in the file names; "all" for all files in the folder.
    sfreq : float
        Sampling rate in Hz; see the top of this module.

    Returns
    -------
    Recording
        In µV; sessions "train" (spells LUKAS) and "test" (WATER), one segment each.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another layout.

    Warns
    -----
    RateWarning
        If, at ``sfreq``, flashes are not 160 ms apart (within 10%).
    """
    root = Path(root)
    there = sorted(int(p.stem[1:]) for p in root.glob("s*.mat") if p.stem[1:].isdigit())
    subjects = [_number(s) for s in chosen(subject, there)]
    if not subjects:
        raise InputError(f"There is no file such as s6.mat in {root}. {SOURCE}")
    parts = [part for number in subjects for part in _read_subject(root, number, sfreq)]
    recording = concatenate_recordings(parts)
    spacing = float(recording.flashes.groupby("segment")["onset"].diff().median())
    if abs(spacing - SOA_S) > 0.1 * SOA_S:
        warnings.warn(
            f"{recording.name}: at {sfreq:g} Hz the flashes are {spacing * 1e3:.0f} ms apart; "
            f"expected {SOA_S * 1e3:.0f} ms, as in the paper; the rate of these files is "
            "uncertain, so do not report latencies.",
            RateWarning,
            stacklevel=2,
        )
    return recording


def _number(subject: int | str) -> int:
    if not str(subject).isdecimal():
        raise InputError(
            f"got subject {str(subject)!r}; expected the number in a file name, such as 6, or "
            "'all'."
        )
    return int(subject)


def _read_subject(root: Path, number: int, sfreq: float) -> Iterator[Recording]:
    """Yield the recording of each part of a subject."""
    path = root / f"s{number}.mat"
    struct = load_variables(path, SOURCE, [f"s{number}"])[f"s{number}"]
    for part in ("train", "test"):
        if part not in (struct.dtype.names or ()):
            raise InputError(
                f"{path.name}: s{number} has the fields {listed(struct.dtype.names or ())}; "
                "expected train and test."
            )
        if struct.shape != (1, 1):
            raise InputError(
                f"{path.name}: s{number} is an array of {struct.shape} structs; expected one."
            )
        rows = struct[part][0, 0]
        if rows.ndim != 2 or len(rows) != len(CH_NAMES) + 3 or not rows.size:
            raise InputError(
                f"{path.name}: {part} has shape {rows.shape}; expected 11 rows: time, "
                f"{len(CH_NAMES)} channels, flash code, target."
            )
        require_numbers(path, part, rows)
        require_numbers(path, f"{part}, target", rows[-1], finite=True)
        channels = {"StimulusCode": rows[-2], "StimulusType": rows[-1]}
        columns = flash_columns(channels, sfreq, f"{path.name}, {part}, flash code", WADSWORTH)
        n_flashes, highest = len(columns["code"]), columns["code"].max(initial=0)
        if not 0 < highest <= max(WADSWORTH.codes):
            raise InputError(
                f"{path.name}: {part} has {n_flashes} flashes with codes up to {highest}; "
                f"expected those of rows and columns, 1 to {max(WADSWORTH.codes)}."
            )
        flashes = flash_table(**columns, subject=str(number), session=part)
        segment = to_single(rows[1:-2])
        yield Recording([segment], flashes, CH_NAMES, sfreq, "uV", WADSWORTH, "bnci_003_2015")
