"""Tests of this folder: run `pytest` in it."""

from pathlib import Path

import pytest
import torch
from mine_network import Network
from mine_reader import CH_NAMES, WORDS, read
from mine_split import split

import p300
from p300.splits import check_split


def test_the_recording_can_be_believed():
    assert not p300.check_recording(read()).at("refuse")


def test_all_words_are_wanted_and_one_flash_of_six_lights_the_wanted_symbol():
    is_target = read().flashes["is_target"].astype(float)
    assert len(is_target) == 6 * 12 * len("".join(WORDS))
    assert is_target.mean() == pytest.approx(1 / 6)


def test_no_character_and_no_sample_is_on_two_sides_of_the_split():
    recording = read()
    check_split(recording, split(recording.flashes), tmin=0, tmax=0.65)


def test_the_network_returns_two_logits_for_each_flash():
    network = Network(n_chans=len(CH_NAMES), n_outputs=2, n_times=78, sfreq=120)
    assert network(torch.zeros(5, len(CH_NAMES), 78)).shape == (5, 2)


def test_the_trained_network_tells_targets_from_nontargets(tmp_path, monkeypatch):
    monkeypatch.setenv("P300_CONF", str(Path(__file__).parent))
    results = p300.train(tmp_path / "run", "data=mine", "split=mine", "experiment=mine")
    assert results["test"]["detection"]["auc"] > 0.7
