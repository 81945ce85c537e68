"""For tests of learning while spelling: sources, characters, and a pool of people."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from p300 import Preprocessor
from p300.baselines import GaussianProcessRidge
from p300.learning import LearningSettings, Source, spell_and_learn
from p300.learning.linear import smooth_basis, usual_basis
from p300.simulation import simulate_data_set


@dataclass
class Pool:
    """Epochs of the pool and of the new person, and a ridge of the pool."""

    ridge: GaussianProcessRidge
    source: Source
    epochs: np.ndarray
    flashes: Any
    speller: Any

    def static(self, epochs=None):
        return self.ridge.decision_function(self.epochs if epochs is None else epochs)

    def spell(self, flashes=None, epochs=None, **settings):
        """Read the new person's flashes while learning from them."""
        epochs = self.epochs if epochs is None else epochs
        flashes = self.flashes if flashes is None else flashes
        given = self.static(epochs), epochs, flashes, self.speller
        return spell_and_learn(*given, LearningSettings(**settings), self.source)


@cache
def pool(n_repetitions=6, seed=0, **options) -> Pool:
    """Simulate four people; the fourth, whose P300 differs, is new."""
    recording = simulate_data_set(
        "BRAIN",
        "SPELLINGWORKS",
        subjects=4,
        subject_spread=0.8,
        ch_names=("Fz", "Cz", "Pz", "P3", "P4", "Oz"),
        n_repetitions=n_repetitions,
        seed=seed,
        **options,
    )
    epochs = Preprocessor(scaling="rms_epoch").fit(recording).epochs(recording)
    flashes, is_new = epochs.flashes, (epochs.flashes["subject"] == "4").to_numpy()
    is_target = flashes["is_target"].to_numpy(bool)
    ridge = GaussianProcessRidge(penalty=0.05).fit(epochs.data[~is_new], is_target[~is_new])
    source = Source.of_epochs(
        epochs.data[~is_new],
        is_target[~is_new],
        flashes["subject"].to_numpy(str)[~is_new],
        basis=usual_basis(6, 78, 120.0),
        penalty=0.05,
    )
    new = flashes[is_new].reset_index(drop=True)
    return Pool(ridge, source, epochs.data[is_new], new, recording.speller)


SYMBOLS = "ABCDEF"


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3, 40))


def source_of(n=400, people=("1",), seed=0):
    """A source whose targets differ at the first of three electrodes."""
    epochs, is_target = noise(n, seed), np.arange(n) % 6 == 0
    epochs[is_target, 0, 10:20] += 0.7
    subject = np.array(people)[np.arange(n) % len(people)]
    basis = smooth_basis(40, 3.0)
    return Source.of_epochs(epochs, is_target, subject, basis=basis, penalty=0.1)


def character(symbol, n_repetitions=5, size=0.7, seed=0, n_symbols=6):
    """Flashes of single keys: epochs, what they lit, and which are targets."""
    lit = np.tile(np.eye(n_symbols, dtype=bool), (n_repetitions, 1))
    epochs, is_target = noise(len(lit), seed), lit[:, symbol]
    epochs[is_target, 0, 10:20] += size
    return epochs, lit, is_target
