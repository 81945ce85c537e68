"""BCI Competition II data set IIb: continuous runs of the Wadsworth speller.

The file ``AAS010R01.mat`` means subject AA, session 10, run 1. Sessions 10 and 11 are labelled,
for training. Session 12 is the competition's test, labelled from its published words.

Source: Blankertz et al. (2004), IEEE Trans Biomed Eng 51(6):1044; Schalk et al. (2004), ibid.
51(6):1034.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from p300.errors import InputError
from p300.flashes import flash_table, label_flashes
from p300.readers._files import load_variables, require_numbers, to_single
from p300.readers.datasets.bci3_ii import CH_NAMES
from p300.readers.events.code_channels import flash_columns
from p300.recording import Recording, concatenate_recordings
from p300.speller import WADSWORTH

SFREQ = 240.0

#: Published words of test runs, whose files have no StimulusType.
TEST_WORDS = {"AAS012R03": "HAM", "AAS012R04": "PIE"}

SOURCE = (
    "Expected the files of BCI Competition II data set IIb, such as AAS010R01.mat, from "
    "https://www.bbci.de/competition/ii/ (see data/README.md)."
)


def read(
    root: str | Path,
    runs: Sequence[str] | None = None,
    *,
    words: Mapping[str, str] | None = None,
) -> Recording:
    """Read continuous runs of BCI Competition II data set IIb.

    Parameters
    ----------
    root : path
        Folder of the ``.mat`` files.
    runs : sequence of str or None
        Such as "AAS010R01"; None for all runs in the folder.
    words : mapping of str to str or None
        The words of runs without labels, in addition to :data:`TEST_WORDS`.

    Returns
    -------
    Recording
        In A/D steps, one segment per run; ``session`` is "10", "11" or "12", and ``is_target`` is
        <NA> in runs that have neither labels nor a known word.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another layout, or a word does not fit its run.
    """
    root = Path(root)
    if runs is None:
        runs = sorted(p.stem for p in root.glob("AAS0*R*.mat"))
    if not runs:
        raise InputError(f"There is no run AAS0..R...mat in {root}. {SOURCE}")
    words = {**TEST_WORDS, **(words or {})}
    return concatenate_recordings([_read_run(root, run, words.get(run)) for run in runs])


def _read_run(root: Path, run: str, word: str | None) -> Recording:
    if not (name := re.fullmatch(r"([A-Z]{2})S(\d{3})R(\d{2})", run)):
        raise InputError(
            f"Run {run!r} is no name of this data set; expected a name such as 'AAS010R01'."
        )
    path = root / f"{run}.mat"
    required, optional = ("signal", "StimulusCode"), ("Flashing", "StimulusType")
    variables = load_variables(path, SOURCE, required, optional)
    signal = variables.pop("signal")
    if signal.ndim != 2 or signal.shape[1] != len(CH_NAMES):
        raise InputError(
            f"{path.name}: signal has shape {signal.shape}; expected (samples, {len(CH_NAMES)})."
        )
    require_numbers(path, "signal", signal)
    for key, value in variables.items():
        require_numbers(path, key, value, finite=key != "StimulusCode")
        if value.size != len(signal):
            raise InputError(
                f"{path.name}: {key} has {value.size} values; expected {len(signal)}, as signal."
            )
    channels = {key: value.ravel() for key, value in variables.items()}
    columns = flash_columns(channels, SFREQ, f"{path.name}, StimulusCode", WADSWORTH)
    if not len(columns["code"]):
        raise InputError(f"{path.name}: no flash; expected codes above 0 in StimulusCode.")
    subject, session, number = name.groups()
    flashes = flash_table(**columns, subject=subject, session=str(int(session)), run=int(number))
    if word is not None and "is_target" not in columns:
        flashes = label_flashes(flashes, word, WADSWORTH, path.name)
    # (n_samples, n_chans) → (n_chans, n_samples); MATLAB's order makes this one block per channel
    segment = to_single(signal.T)
    return Recording([segment], flashes, CH_NAMES, SFREQ, "AD", WADSWORTH, "bci2_iib")
