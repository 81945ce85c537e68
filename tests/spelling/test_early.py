"""``p300 evaluate`` with stopping rules: chosen on held-out training flashes, read on others."""

import json

import pandas as pd
import pytest
from simulated import spelled_flashes

from p300.speller import WADSWORTH
from p300.spelling.early import ALL, HINDSIGHT, find_held_out, stop_early

#: As conf/stopping/all.yaml has it.
SETTINGS = {
    "goals": ["accuracy", "rate"],
    "idle_prior": 0.0,
    "text": None,
    "repetition_s": None,
    "pause_s": 2.5,
}
EVERY_ROW = {ALL, HINDSIGHT} | {
    f"{rule}, {goal}"
    for rule in ("fixed", "posterior", "margin", "expected")
    for goal in ("accuracy", "rate")
}


def only(folder, name):
    (path,) = folder.rglob(name)
    return path


@pytest.fixture
def trained(p300, small, tmp_path):
    status, _, errors = p300("train", "experiment=lda", *small, "data.read.n_repetitions=4")
    assert status == 0, errors
    return only(tmp_path, "checkpoint.pt").parent


def read(text, d, seed):
    """Flashes of a text, scored by a detector of this separation, six repetitions each."""
    options = {"soa_s": 0.1, "character_s": 60.0}
    return spelled_flashes(text, n_repetitions=6, d=d, seed=seed, **options)


def test_every_rule_stands_beside_the_fixed_numbers(p300, trained, tmp_path):
    status, printed, errors = p300("evaluate", f"run={trained}")
    assert status == 0, errors
    folder = only(tmp_path / "runs" / "evaluate", "stopping.csv").parent
    results = json.loads((folder / "results.json").read_text())
    rows = {row["rule"]: row for row in results["stopping"]}
    assert set(rows) == EVERY_ROW
    assert all(name in printed for name in EVERY_ROW)
    last = results["spelling"][-1]
    assert rows[ALL]["n_right"] == last["n_right"] and rows[ALL]["n_repetitions"] == 4
    assert rows[ALL]["bits_per_minute"] == pytest.approx(last["bits_per_minute"])
    best = max(row["bits_per_minute"] for row in results["spelling"])
    assert rows[HINDSIGHT]["bits_per_minute"] == pytest.approx(best)
    readings = pd.read_csv(folder / "stopping.csv")
    assert len(readings) == len(EVERY_ROW) * 2 and set(readings["wanted"]) == {"P", "3"}


@pytest.mark.slow
def test_the_rules_can_be_left_out(p300, trained, tmp_path):
    status, printed, errors = p300("evaluate", f"run={trained}", "stopping=none")
    assert status == 0, errors
    results = json.loads(only(tmp_path / "runs" / "evaluate", "results.json").read_text())
    assert "stopping" not in results and "posterior" not in printed


@pytest.mark.slow
def test_a_run_without_held_out_flashes_is_evaluated_without_rules(p300, trained, tmp_path):
    (trained / "held_out.csv").unlink()
    status, printed, errors = p300("evaluate", f"run={trained}")
    assert status == 0, errors
    assert "held_out.csv is not there" in printed + errors
    results = json.loads(only(tmp_path / "runs" / "evaluate", "results.json").read_text())
    assert "stopping" not in results and results["wanted"] == "P3"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["validation", "train", "all"])
def test_rules_are_not_judged_on_the_characters_they_were_chosen_on(p300, small, tmp_path, part):
    status, _, errors = p300("train", "calibration=platt", "experiment=lda", *small)
    assert status == 0, errors
    run = only(tmp_path, "checkpoint.pt").parent
    status, printed, errors = p300("evaluate", f"run={run}", f"part={part}")
    assert status == 0, errors
    assert "chosen on the characters to read; expected the test part" in printed + errors
    results = json.loads(only(tmp_path / "runs" / "evaluate", "results.json").read_text())
    assert "spelling" in results and "stopping" not in results


def test_rules_are_not_carried_to_another_screen(caplog):
    assert find_held_out("nowhere", seen=False, same_screen=False) is None
    assert "another screen" in caplog.text


def test_the_scores_that_are_read_choose_no_threshold():
    held_out = read("ABCDEFGH", 1.0, seed=0)
    limits = []
    for seed, d in ((1, 1.0), (2, 0.0)):
        new = read("THE_FOX", d, seed)
        rows, _ = stop_early(new["score"].to_numpy(), new, WADSWORTH, held_out, **SETTINGS)
        limits.append({row["rule"]: row["limit"] for row in rows if row["rule"] != HINDSIGHT})
    assert limits[0] == limits[1]


def test_time_is_measured_in_the_recording_or_given():
    held_out, new = read("ABCDEFGH", 1.5, seed=0), read("THE_FOX", 1.5, seed=1)
    scores = new["score"].to_numpy()
    rows, _ = stop_early(scores, new, WADSWORTH, held_out, **SETTINGS)
    given, _ = stop_early(scores, new, WADSWORTH, held_out, **SETTINGS | {"repetition_s": 2.1})
    assert rows[0]["seconds"] == pytest.approx(2.5 + 6 * 12 * 0.1)
    assert given[0]["seconds"] == pytest.approx(2.5 + 6 * 2.1)


def test_idle_characters_are_reported_where_they_may_occur():
    held_out, new = read("ABCDEFGH", 2.0, seed=0), read("THE_FOX" * 4, 2.0, seed=1)
    scores = new["score"].to_numpy()
    settings = SETTINGS | {"idle_prior": 0.5, "goals": ["accuracy"]}
    rows, readings = stop_early(scores, new, WADSWORTH, held_out, **settings)
    idle = {row["rule"]: row["idle_read"] for row in rows if "idle_read" in row}
    assert set(idle) == {"posterior, accuracy", "margin, accuracy", "expected, accuracy"}
    assert max(idle.values()) < 0.2
    assert readings["is_right"].mean() > 0.9


@pytest.mark.slow
def test_a_text_helps_to_read_its_own_words(tmp_path):
    (tmp_path / "words.txt").write_text("the fox and the dog\n" * 20, "utf-8")
    held_out = read("ABCDEFGH", 1.0, seed=0)
    new = read("THE_FOX_AND_THE_DOG", 1.0, seed=1)
    scores, plain_and_told = new["score"].to_numpy(), []
    for text in (None, tmp_path / "words.txt"):
        settings = SETTINGS | {"text": text, "goals": ["accuracy"]}
        rows, _ = stop_early(scores, new, WADSWORTH, held_out, **settings)
        plain_and_told.append({row["rule"]: row["n_repetitions"] for row in rows})
    plain, told = plain_and_told
    assert told["posterior, accuracy"] < 0.8 * plain["posterior, accuracy"]
    assert told[ALL] == plain[ALL]


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_user_spells_the_same_word_in_a_third_of_the_time(p300, data_root, tmp_path):
    status, _, errors = p300("train", "data=bci2_iib", "experiment=lda", "logger=csv")
    assert status == 0, errors
    run = only(tmp_path, "checkpoint.pt").parent
    status, _, errors = p300("evaluate", f"run={run}")
    assert status == 0, errors
    results = json.loads(only(tmp_path / "runs" / "evaluate", "results.json").read_text())
    rows = {row["rule"]: row for row in results["stopping"]}
    for rule in ("posterior, accuracy", "margin, accuracy", "expected, accuracy"):
        assert rows[rule]["text"] == rows[ALL]["text"] == "HAMPIE"
        assert rows[rule]["seconds"] < rows[ALL]["seconds"] / 3
        assert rows[rule]["over"][ALL]["low"] > 1.3
