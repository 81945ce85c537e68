"""A data set of your own: `read` returns a Recording; data/mine.yaml names it."""

import numpy as np

import p300

WORDS = ["SPELLS", "BRAINS", "WAVES"]  # what was spelled in each run
CH_NAMES = ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]
SFREQ = 250.0  # Hz


def read(subject="1"):
    """Read all runs of a person, one continuous segment each."""
    runs = [load(subject, run) for run in range(len(WORDS))]
    signals = [eeg for eeg, _ in runs]
    tables = [flashes for _, flashes in runs]
    flashes = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    return p300.recording_from_arrays(
        signals,
        sfreq=SFREQ,
        ch_names=CH_NAMES,
        speller=p300.WADSWORTH,  # or p300.Speller.matrix(["ABC", "DEF"]); None for an oddball
        name=f"mine, person {subject}",
        subject=str(subject),
        segment=flashes["run"],
        **flashes,
    )


def load(subject, run):
    """Load a run: EEG in µV, (n_chans, n_samples), and what is known of each flash.

    Put the reading of your own files here: this simulates them, so that everything runs at once.
    """
    rng = np.random.default_rng([int(subject), run])
    word, codes = WORDS[run], p300.WADSWORTH.codes  # columns and rows of the screen
    shape = len(word), 6, len(codes)  # characters, repetitions, flashes of each repetition
    character, repetition, _ = np.indices(shape).reshape(3, -1)
    code = rng.permuted(np.broadcast_to(codes, shape), axis=-1).ravel()
    onsets = 1 + 0.2 * np.arange(code.size) + 2 * character  # s; 2 s between characters
    wanted = [p300.WADSWORTH.codes_of(symbol) for symbol in word]
    is_target = np.array([c in wanted[k] for c, k in zip(code, character, strict=True)])
    eeg = 25 * rng.normal(size=(len(CH_NAMES), round(SFREQ * (onsets[-1] + 2))))  # µV
    wave = 4 * np.hanning(round(0.3 * SFREQ))  # µV; the P300, 0.2 to 0.5 s after the flash
    for start in np.round(SFREQ * (onsets[is_target] + 0.2)).astype(int):
        eeg[:, start : start + wave.size] += wave
    flashes = {
        "onsets": onsets,
        "code": code,
        "character": character + 1,
        "repetition": repetition,
    }
    return eeg, {**flashes, "is_target": is_target, "run": np.full(code.size, run)}
