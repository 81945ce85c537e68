"""BCI Competition III data set II (Wadsworth speller), and files of the same layout.

Each character is a segment. The character epochs of a file are in random order, so two
neighbours are not continuous in time. Each begins exactly at its first flash.

Source: Krusienski & Schalk (2004), Documentation Wadsworth BCI Dataset (P300 Evoked Potentials),
BCI Competition III Challenge. True test characters as published by the organisers after the
competition (true_labels_a.txt, true_labels_b.txt).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table, label_flashes
from p300.readers._files import load_variables, require_numbers, to_single
from p300.readers.events.code_channels import flash_columns
from p300.recording import Recording, concatenate_recordings
from p300.speller import WADSWORTH, Speller

#: The 64 electrodes in the order of the files (eloc64.txt).
CH_NAMES = tuple(
    "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6 Fp1 Fpz Fp2 AF7 "
    "AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 Pz P2 P4 "
    "P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz".split()
)

#: The characters of the training files, in file order.
TRAIN_TEXT = {
    "A": "EAEVQTDOJG8RBRGONCEDHCTUIDBPUHMEM6OUXOCFOUKWA4VJEFRZROLHYNQDW_EKTLBWXEPOUIKZERYOOTHQI",
    "B": "VGREAAH8TVRHBYN_UGCOLO4EUERDOOHCIFOMDNU6LQCPKEIREKOYRQIDJXPBKOJDWZEUEWWFOEBHXTQTTZUMO",
}

#: The characters of the test files, in file order; the files do not contain them.
TRUE_TEST_TEXT = {
    "A": "WQXPLZCOMRKO97YFZDEZ1DPI9NNVGRQDJCUVRMEUOOOJD2UFYP"
    "OO6J7LDGYEGOA5VHNEHBTXOO1TDOILUEE5BFAEEXAW_K4R3MRU",
    "B": "MERMIROOMUHJPXJOHUVLEORZP3GLOO7AUFDKEFTWEOOALZOP9R"
    "OCGZET1Y19EWX65QUYU7NAK_4YCJDVDNGQXODBEV2B5EFDIDNR",
}

SOURCE = (
    "Expected the files of BCI Competition III data set II, such as Subject_A_Train.mat, from "
    "https://www.bbci.de/competition/iii/ (see data/README.md)."
)


def read(
    root: str | Path,
    subject: str = "A",
    *,
    parts: Sequence[str] = ("train", "test"),
    ch_names: Sequence[str] = CH_NAMES,
    sfreq: float = 240.0,
    speller: Speller | None = WADSWORTH,
    unit: str = "AD",
    test_text: Sequence[str] | None = None,
    file_pattern: str = "Subject_{subject}_{Part}.mat",
) -> Recording:
    """Read one subject of BCI Competition III data set II, or of files with the same layout.

    ``Signal`` is (characters, samples, channels). ``StimulusCode`` and, if present, ``Flashing``
    and ``StimulusType`` are (characters, samples). ``TargetChar`` has one symbol per character.
    In the flash table, ``session`` is the part. ``character`` counts from 1 in file order, which
    is not the order of recording.

    Labels come from ``StimulusType``. If a file has none (the competition's test files), they
    come from the text: ``test_text``, else ``TargetChar``, else the published text. The published
    text is not used if the training file in the folder has another text. Without a text, labels
    are <NA>.

    Parameters
    ----------
    root : path
        Folder of the ``.mat`` files.
    subject : str
        "A" or "B", or the name in other file names.
    parts : sequence of str
        Which of "train" and "test" to read.
    ch_names : sequence of str
        The channels in file order.
    sfreq : float
        Sampling rate in Hz.
    speller : Speller or None
        The screen; None for a plain oddball.
    unit : {"AD", "uV", "mV", "V"}
        Unit of ``Signal``; the competition's files are in amplifier steps of unpublished size.
    test_text : sequence of str or None
        The wanted symbols of the test file, one per character.
    file_pattern : str
        File names, with ``{subject}`` and ``{part}`` ("train") or ``{Part}`` ("Train").

    Returns
    -------
    Recording
        One segment per character: contiguous float32, shape (n_chans, n_samples).

    Raises
    ------
    InputError
        If a file is missing, damaged or of another layout, or ``StimulusType`` and the text
        contradict each other.

    Warns
    -----
    UserWarning
        If the published test text is not used because the training file has another text.
    """
    if not parts or set(parts) - {"train", "test"}:
        raise InputError(f"got parts {list(parts)}; expected some of 'train' and 'test'.")

    paths = {
        part: Path(root) / file_pattern.format(subject=subject, part=part, Part=part.capitalize())
        for part in ("train", "test")
    }
    recordings = []
    for part in parts:
        path, text = paths[part], test_text if part == "test" else None
        segments, columns = _read_part(path, ch_names, sfreq, speller, text)
        published = TRUE_TEST_TEXT.get(subject, "") if part == "test" else ""
        if "is_target" not in columns and speller == WADSWORTH and len(published) == len(segments):
            if _spells(paths["train"], TRAIN_TEXT[subject]):
                columns["is_target"] = _targets(columns, published, speller, path.name)
            else:
                warnings.warn(
                    f"{paths['train']} does not spell the competition's training text, so the "
                    f"published test text of subject {subject} is not used and the test flashes "
                    "have no labels; set test_text.",
                    UserWarning,
                    stacklevel=2,
                )
        flashes = flash_table(**columns, subject=str(subject), session=part)
        name = f"bci3_ii {subject}"
        recordings.append(Recording(segments, flashes, ch_names, sfreq, unit, speller, name))
    return concatenate_recordings(recordings)


def _read_part(
    path: Path,
    ch_names: Sequence[str],
    sfreq: float,
    speller: Speller | None,
    text: Sequence[str] | None,
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Read one file: its segments and the columns of its flash table."""
    required, optional = ("Signal", "StimulusCode"), ("Flashing", "StimulusType", "TargetChar")
    variables = load_variables(path, SOURCE, required, optional)
    signal = variables.pop("Signal")
    _check_shapes(path, signal, variables, ch_names)
    columns = flash_columns(variables, sfreq, f"{path.name}, StimulusCode")
    silent = np.setdiff1d(np.arange(len(signal)), columns["segment"])
    if len(silent):
        raise InputError(
            f"{path.name}: {len(silent)} of {len(signal)} characters have no flash (the first: "
            f"{silent[0] + 1}); expected codes above 0 in StimulusCode where a group is lit."
        )
    if text is None and "TargetChar" in variables:
        text = _symbols(variables["TargetChar"])
    if speller is not None and text is not None:
        wanted = _targets(columns, text, speller, path.name)
        marked = columns.setdefault("is_target", wanted)
        contradicted = np.unique(columns["segment"][marked != wanted])
        if len(contradicted):
            k = contradicted[0]
            codes = sorted(set(columns["code"][(columns["segment"] == k) & marked].tolist()))
            raise InputError(
                f"{path.name}: StimulusType contradicts the text in {len(contradicted)} of "
                f"{len(signal)} characters: the first, character {k + 1}, is {text[k]!r}, lit by "
                f"codes {list(speller.codes_of(text[k]))}, but codes {codes} are marked; "
                "expected the same; check speller."
            )
    if speller is None:
        del columns["character"], columns["repetition"]
    return list(_by_character(signal)), columns


def _targets(
    columns: Mapping[str, np.ndarray], text: Sequence[str], speller: Speller, where: str
) -> np.ndarray:
    """Return the labels of a known text."""
    table = flash_table(**{name: columns[name] for name in ("onset", "code", "character")})
    return label_flashes(table, text, speller, where)["is_target"].to_numpy(bool)


def _check_shapes(
    path: Path, signal: np.ndarray, variables: Mapping[str, np.ndarray], ch_names: Sequence[str]
) -> None:
    if signal.ndim != 3 or signal.dtype.kind not in "fiu" or not signal.size:
        raise InputError(
            f"{path.name}: Signal has shape {signal.shape} and type {signal.dtype}; expected "
            "numbers, (characters, samples, channels)."
        )
    for name in sorted({"StimulusCode", "Flashing", "StimulusType"} & set(variables)):
        if variables[name].shape != signal.shape[:2]:
            raise InputError(
                f"{path.name}: {name} has shape {variables[name].shape}; expected "
                f"{signal.shape[:2]}, (characters, samples) as in Signal."
            )
        require_numbers(path, name, variables[name], finite=name != "StimulusCode")
    if signal.shape[2] != len(ch_names):
        raise InputError(
            f"{path.name}: Signal has {signal.shape[2]} channels; expected {len(ch_names)}, as "
            f"ch_names ({', '.join(ch_names[:3])} …); name the {signal.shape[2]} in ch_names."
        )


def _by_character(signal: np.ndarray) -> np.ndarray:
    """Copy MATLAB's order in memory, channel by channel, to one block per character.

    (n_characters, n_samples, n_chans) → (n_characters, n_chans, n_samples), C order. A copy
    of one channel at a time stays in the processor's cache: 0.1 s for 85 x 7794 x 64, not 0.6 s.
    """
    n_characters, n_samples, n_chans = signal.shape
    segments = np.empty((n_characters, n_chans, n_samples), np.float32)
    for channel in range(n_chans):
        segments[:, channel] = to_single(signal[:, :, channel])
    return segments


def _symbols(target_char: np.ndarray) -> list[str]:
    """Read TargetChar: one string, a column of letters, or a cell array of names."""
    strings = [str(np.squeeze(s)) for s in target_char.ravel()]
    return list(strings[0]) if len(strings) == 1 else strings


def _spells(path: Path, text: str) -> bool:
    """Check whether a training file's TargetChar is this text; True if there is no file."""
    if not path.is_file():
        return True
    variables = load_variables(path, SOURCE, [], ["TargetChar"])
    return "TargetChar" in variables and _symbols(variables["TargetChar"]) == list(text)
