"""Simulated recordings with a known P300, for tests, tutorials and the first run.

The ground truth is known: the latency, amplitude, jitter and scalp map of the P300, the noise
and the spelled text. The same seed gives the same recording, sample by sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from p300.errors import InputError
from p300.flashes import flash_table
from p300.recording import Recording, concatenate_recordings
from p300.simulation.brain import Brain, head_signal
from p300.speller import WADSWORTH, Speller

#: Eight electrodes that many spellers use, those of CNN-2a.
EIGHT_CHANNELS = ("Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz")


def simulate_recording(
    text: str | Sequence[str] | None = "P3_WAVE",
    *,
    speller: Speller | None = WADSWORTH,
    n_repetitions: int = 10,
    ch_names: Sequence[str] = EIGHT_CHANNELS,
    sfreq: float = 240.0,
    soa_s: float = 0.175,
    pause_s: float = 2.5,
    n_runs: int = 1,
    n_flashes: int = 200,
    target_ratio: float = 1 / 6,
    brain: Brain | Mapping[str, float] | None = None,
    subject: str = "1",
    session: str = "1",
    seed: int = 0,
) -> Recording:
    """Simulate a person who spells a text, or who counts the targets of a plain oddball.

    Parameters
    ----------
    text : str or sequence of str, or None
        The wanted symbols; not used without a speller.
    speller : Speller or None
        The screen; None for an oddball of ``n_flashes`` flashes per run, with codes 1
        (nontarget) and 2 (target).
    n_repetitions : int
        Repetitions per character; each lights all codes in a new random order.
    ch_names : sequence of str
        Electrodes of the international 10-05 system, which defines their positions.
    sfreq : float
        Sampling rate in Hz.
    soa_s, pause_s : float
        Seconds from flash to flash, and between two characters.
    n_runs : int
        Number of runs, one segment each; the characters are divided among them.
    n_flashes, target_ratio : int, float
        Flashes per run of the oddball, and the fraction of targets.
    brain : Brain, mapping of its fields, or None
        Parameters of the simulated signals.
    subject, session : str
        Values of these columns of the flash table.
    seed : int
        Random seed.

    Returns
    -------
    Recording
        In µV; one segment per run.

    Examples
    --------
    >>> round(float(simulate_recording("EEG").flashes["is_target"].mean()), 3)
    0.167
    """
    rng = np.random.default_rng(seed)
    brain = brain if isinstance(brain, Brain) else Brain(**(brain or {}))
    if speller is None:
        runs = [_oddball_flashes(n_flashes, target_ratio, soa_s, rng) for _ in range(n_runs)]
    else:
        parts = [part.tolist() for part in np.array_split(list(text or ""), n_runs)]
        if not all(parts):
            raise InputError(
                f"got {len(text or '')} characters for {n_runs} runs; expected one per run or more"
            )
        runs = [_spelling_flashes(p, speller, n_repetitions, soa_s, pause_s, rng) for p in parts]
    import pandas as pd

    segments, tables = [], []
    for k, flashes in enumerate(runs):
        # flashes start at whole samples, as a real screen is recorded
        flashes["onset"] = np.round(flashes["onset"] * sfreq) / sfreq
        n_samples = int(round((flashes["onset"][-1] + pause_s + 1.0) * sfreq))
        segments.append(head_signal(flashes, n_samples, ch_names, sfreq, brain, rng))
        labels = {"segment": k, "run": k + 1, "subject": subject, "session": session}
        tables.append(flash_table(**flashes, **labels))
    table = pd.concat(tables, ignore_index=True)
    return Recording(segments, table, ch_names, sfreq, "uV", speller, "simulation")


def simulate_data_set(
    train_text: str = "THE_QUICK_BROWN_FOX_JUMPS",
    test_text: str = "HELLO_P3_WAVE",
    *,
    subjects: int | Sequence[str] = 1,
    subject_spread: float = 0.0,
    ch_names: Sequence[str] | None = None,
    n_runs: int = 2,
    seed: int = 0,
    brain: Mapping[str, float] | None = None,
    **recording_arguments: Any,
) -> Recording:
    """Simulate a session "train" and a session "test" of one or more subjects.

    Parameters
    ----------
    train_text, test_text : str
        The spelled texts.
    subjects : int or sequence of str
        Number of subjects, or their codes.
    subject_spread : float
        Standard deviation between subjects: of the P300 latency in units of 0.1 s, and of its
        amplitude relative to the mean amplitude.
    ch_names : sequence of str or None
        None for the 64 electrodes of the Wadsworth recordings.
    n_runs : int
        Runs of the training session.
    seed, brain
        As for :func:`simulate_recording`.
    **recording_arguments
        Further arguments of :func:`simulate_recording`.

    Returns
    -------
    Recording
    """
    from p300.readers.datasets.bci3_ii import CH_NAMES

    if isinstance(subjects, int):
        subjects = [str(k) for k in range(1, subjects + 1)]
    person = Brain(**(brain or {}))
    parts = []
    for k, subject in enumerate(subjects):
        differ = subject_spread * np.random.default_rng([seed, k]).standard_normal(2)
        own = dataclasses.replace(
            person,
            latency_s=person.latency_s + 0.1 * differ[0],
            p300_uv=person.p300_uv * max(0.2, 1 + differ[1]),
        )
        common = dict(
            ch_names=ch_names or CH_NAMES, brain=own, subject=str(subject), **recording_arguments
        )
        parts += [
            simulate_recording(
                train_text, n_runs=n_runs, session="train", seed=seed_of(seed, k, 0), **common
            ),
            simulate_recording(test_text, session="test", seed=seed_of(seed, k, 1), **common),
        ]
    return concatenate_recordings(parts)


def _spelling_flashes(
    symbols: list[str],
    speller: Speller,
    n_repetitions: int,
    soa_s: float,
    pause_s: float,
    rng: Generator,
) -> dict[str, np.ndarray]:
    """Build the columns of the flash table of one run."""
    n_codes = speller.n_per_repetition
    codes = speller.codes or range(1, n_codes + 1)
    order = [rng.permutation(codes) for _ in range(len(symbols) * n_repetitions)]
    code = np.reshape(order, (len(symbols), n_repetitions, n_codes))
    character, repetition, flash = np.indices(code.shape)
    start = pause_s + character * (n_repetitions * n_codes * soa_s + pause_s)
    columns: dict[str, Any] = {
        "onset": start + soa_s * (repetition * n_codes + flash),
        "character": character + 1,
        "repetition": repetition,
        "code": code,
    }
    if speller.codes:
        wanted = [speller.codes_of(s) for s in symbols]
        columns["is_target"] = np.stack([np.isin(c, w) for c, w in zip(code, wanted, strict=True)])
        return {name: values.ravel() for name, values in columns.items()}
    groups = [_random_groups(speller, rng) for _ in order]
    lit = [some[c - 1] for some, c_of in zip(groups, order, strict=True) for c in c_of]
    columns = {name: values.ravel() for name, values in columns.items()}
    shown = zip(lit, columns["character"], strict=True)
    columns["is_target"] = np.array([symbols[c - 1] in one for one, c in shown])
    columns["lit"] = lit
    return columns


def _random_groups(speller: Speller, rng: Generator) -> list[tuple[str, ...]]:
    """Draw the rows and columns of a matrix with the symbols in random places.

    G. Townsend et al., Clin Neurophysiol 121:1109 (2010), put two such matrices on the white
    and black squares of a checkerboard.
    """
    n_rows = speller.n_per_repetition // 2
    n_columns, n_symbols = speller.n_per_repetition - n_rows, len(speller.symbols)
    if not max(n_rows - 1, 0) * n_columns < n_symbols <= n_rows * n_columns:
        raise InputError(
            f"got {n_symbols} symbols in {n_rows} rows and {n_columns} columns "
            f"({speller.n_per_repetition} flashes in a repetition); expected a matrix that they "
            "fill"
        )
    places = np.full(n_rows * n_columns, -1)
    places[:n_symbols] = rng.permutation(n_symbols)
    matrix = places.reshape(n_rows, n_columns)
    return [tuple(speller.symbols[k] for k in line if k >= 0) for line in (*matrix, *matrix.T)]


def _oddball_flashes(
    n_flashes: int, target_ratio: float, soa_s: float, rng: Generator
) -> dict[str, np.ndarray]:
    is_target = rng.permutation(np.arange(n_flashes) < round(target_ratio * n_flashes))
    onset = 1.0 + soa_s * np.arange(n_flashes)
    return {"onset": onset, "code": 1 + is_target.astype(int), "is_target": is_target}


def seed_of(*parts: int) -> int:
    """Compute one random seed from several numbers, a different one for every combination."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
