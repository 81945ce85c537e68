"""Simulated files in the exact layout of BCI Competition III data set II."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.recording import Recording
from p300.simulation.recordings import seed_of, simulate_recording
from p300.speller import WADSWORTH
from p300.storage.files import atomic_write

#: Seconds for which a group is lit.
LIT_S = 0.1

#: Written where SciPy writes the time of day.
DESCRIPTION = b"MATLAB 5.0 MAT-file, simulated by p300".ljust(116)


def write_bci3_ii(
    root: str | Path,
    subject: str = "A",
    *,
    n_train: int = 85,
    n_test: int = 100,
    n_samples: int = 7794,
    ad_per_uv: float = 10.0,
    seed: int = 0,
    **recording_arguments: Any,
) -> dict[str, str]:
    """Write simulated files in the exact layout of BCI Competition III data set II.

    Both parts are in amplifier steps and single precision. Each character epoch begins at its
    first flash. The epochs are in random order, and the test file has no labels. Subjects A and B
    spell the competition's characters, which its reader knows; others spell random ones.

    Parameters
    ----------
    root : path
        Folder for ``Subject_{subject}_Train.mat`` and ``…_Test.mat``.
    subject : str
        Subject in the file names.
    n_train, n_test : int
        Characters in each file.
    n_samples : int
        Samples per character epoch.
    ad_per_uv : float
        Amplifier steps per µV.
    seed : int
        Random seed.
    **recording_arguments
        Further arguments of :func:`simulate_recording`, such as ``n_repetitions`` (15).

    Returns
    -------
    dict
        The true text of each part, "train" and "test", in file order.
    """
    from scipy.io import savemat

    from p300.readers.datasets.bci3_ii import CH_NAMES, TRAIN_TEXT, TRUE_TEST_TEXT

    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {"ch_names": CH_NAMES, "n_repetitions": 15, "speller": WADSWORTH}
    arguments |= recording_arguments
    symbols = arguments["speller"].symbols
    texts = {}
    parts = (("train", n_train, TRAIN_TEXT), ("test", n_test, TRUE_TEST_TEXT))
    for k, (part, n_characters, published) in enumerate(parts):
        rng = np.random.default_rng([seed, k])
        text = list(published.get(subject, "")[:n_characters])
        text += rng.choice(symbols, n_characters - len(text)).tolist()
        order = rng.permutation(n_characters)  # of the characters in time, within the file
        recording = simulate_recording(
            [text[i] for i in order],
            n_runs=-(-n_characters // 17),
            seed=seed_of(seed, k, 2),
            **arguments,
        )
        spacing = float(recording.flashes.groupby("character")["onset"].diff().min())
        lasts = float(recording.flashes.groupby("character")["onset"].agg(np.ptp).max())
        if spacing <= LIT_S or (lasts + LIT_S) * recording.sfreq > n_samples:
            raise InputError(
                f"got flashes {spacing:g} s apart over {lasts:.2f} s per character; expected more "
                f"than {LIT_S:g} s apart, which is how long each is lit, within {n_samples} "
                f"samples at {recording.sfreq:g} Hz; change soa_s, n_repetitions or n_samples"
            )
        content = _character_epochs(recording, np.argsort(order), n_samples, ad_per_uv)
        texts[part] = "".join(text)
        if part == "train":
            content["TargetChar"] = texts[part]
        else:
            del content["StimulusType"]
        with atomic_write(root / f"Subject_{subject}_{part.capitalize()}.mat", "wb") as file:
            savemat(file, content)
            file.seek(0)  # SciPy writes the time of day here: the same recording, the same bytes
            file.write(DESCRIPTION)
    return texts


def _character_epochs(
    recording: Recording, order: np.ndarray, n_samples: int, ad_per_uv: float
) -> dict[str, Any]:
    """Cut a recording into the competition's character epochs, in the order of the file."""
    shape = (len(order), n_samples)
    signal = np.zeros((*shape, recording.n_chans), np.float32)
    marks = np.zeros((3, *shape), np.float32)
    characters = [c for _, c in recording.flashes.groupby(["run", "character"], sort=False)]
    n_lit = round(LIT_S * recording.sfreq)
    for row, k in enumerate(order):
        flashes = characters[k]
        onsets = np.round(flashes["onset"].to_numpy() * recording.sfreq).astype(int)
        segment = recording.segments[flashes["segment"].iloc[0]]
        epoch = segment[:, onsets[0] : onsets[0] + n_samples]
        signal[row, : epoch.shape[1]] = epoch.T * ad_per_uv
        columns = (onsets - onsets[0], flashes["code"], flashes["is_target"])
        for onset, code, is_target in zip(*columns, strict=True):
            marks[:, row, onset : onset + n_lit] = [[1], [code], [is_target]]
    names = ("Flashing", "StimulusCode", "StimulusType")
    return {"Signal": signal, **dict(zip(names, marks, strict=True))}
