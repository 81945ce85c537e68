"""What the recommended stack does for simulated people whom a calibration says little about."""

import dataclasses

import numpy as np
import pytest

from p300.experiments.fitting.fit import fit_classical
from p300.metrics import roc_auc
from p300.preprocessing import Preprocessor
from p300.recording import concatenate_recordings
from p300.simulation import simulate_recording
from p300.training.stacking import Stack

LINEAR = {
    "ridge": {"_target_": "p300.baselines.GaussianProcessRidge"},
    "xdawn": {"_target_": "p300.baselines.XdawnLDA"},
    "lda": {"_target_": "p300.baselines.ShrinkageLDA"},
}
FOUR, EIGHT = ["Fz", "Cz", "Pz", "Oz"], ["Fz", "Cz", "Pz", "P3", "P4", "PO7", "PO8", "Oz"]


def simulate_person(seed, *, text="P3SPE", ch_names=EIGHT, **simulated):
    """A short calibration, and 16 characters to spell, of a weak P300."""
    brain = {"p300_uv": 5.0, "latency_s": 0.3 + 0.02 * seed}
    parts = [
        simulate_recording(spelled, n_repetitions=5, ch_names=ch_names, brain=brain, **one)
        for spelled, one in (
            (text, {"session": "train", "seed": 2 * seed, **simulated}),
            ("THEQUICKBROWNFOX", {"session": "test", "seed": 2 * seed + 1, **simulated}),
        )
    ]
    return concatenate_recordings(parts)


def with_drift(recording, channel, seed=0):
    """Add to one electrode a slow random walk over 70 mV."""
    segments = [segment.copy() for segment in recording.segments]
    for segment in segments:
        walk = np.cumsum(np.random.default_rng(seed).normal(size=segment.shape[1]))
        segment[channel] += 70_000 * walk / np.ptp(walk)
    return dataclasses.replace(recording, segments=segments)


def aucs_of(recording, members=LINEAR, scaling="median_epoch"):
    """AUC of the test session: by the stack, and by each member fitted to all of the training."""
    train = recording.flashes["session"].eq("train").to_numpy()
    preprocessor = Preprocessor(scaling=scaling).fit(recording, rows=train)
    epochs, stack = preprocessor.epochs(recording), Stack(members)
    planned = stack.plan(epochs, train)
    fitted = [(fit_classical(plan.model, epochs, plan.train), {}) for plan in planned]
    kept, offset, _ = stack.combine(epochs, train, planned, fitted)
    is_target = epochs.flashes["is_target"].to_numpy(bool)[~train]
    scores = {r["name"]: m.score(epochs.data[~train]) for m, r in kept}
    alone = {name: roc_auc(is_target, found) for name, found in scores.items()}
    return roc_auc(is_target, sum(m.weight * scores[r["name"]] for m, r in kept)), alone


def test_a_stack_is_nearly_as_good_as_its_best_linear_member_whoever_is_simulated():
    behind = []
    for seed in range(6):
        stacked, alone = aucs_of(simulate_person(seed))
        behind.append(max(alone["lda"], alone["xdawn"]) - stacked)
    assert np.mean(behind) < 0.01 and max(behind) < 0.03


@pytest.mark.parametrize("text", ["P3", "P"])
def test_one_or_two_characters_make_a_detector_that_is_better_than_chance(text):
    found = [aucs_of(simulate_person(seed, text=text, ch_names=FOUR))[0] for seed in range(4)]
    assert np.mean(found) > 0.55 and min(found) != 0.5


def test_an_electrode_that_drifts_by_70_mv_costs_little_more_than_the_electrode():
    for seed in range(3):
        person = simulate_person(seed)
        kept = [name for name in EIGHT if name != "Cz"]
        drifting, without = with_drift(person, EIGHT.index("Cz")), person.pick(kept)
        assert aucs_of(drifting)[0] > aucs_of(without)[0] - 0.03
