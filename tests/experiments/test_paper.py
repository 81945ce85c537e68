import hashlib
from pathlib import Path

import pytest

from p300.errors import InputError
from p300.experiments.benchmark.paper import tables
from p300.experiments.benchmark.sources import Source, find_files
from p300.metrics import bits_per_minute
from p300.metrics.published import CHARACTERS, DETECTION
from p300.simulation import write_bci3_ii


def test_published_counts_are_those_of_18000_flashes_and_3000_targets():
    for counts in DETECTION.values():
        assert sum(counts.values()) == 18_000
        assert counts["tp"] + counts["fn"] == 3_000


def test_the_published_means_after_15_repetitions_are_the_papers():
    for name, mean in (("cnn1", 94.5), ("mcnn1", 95.5)):
        assert (CHARACTERS[name, "A"][-1] + CHARACTERS[name, "B"][-1]) / 2 == mean


def made_up(accuracy, n=15):
    spelling = [{"n_repetitions": k, "accuracy": accuracy} for k in range(1, n + 1)]
    detection = {"tp": 2000, "tn": 12000, "fp": 3000, "fn": 1000}
    test = {"detection": detection, "spelling": spelling}
    return {"test": test, "ch_names": ["Pz", "Cz"]}


SIMULATED = Source(Path("/eeg"), "Recordings: SIMULATED.", '{"n_test": 100}', {"A.mat": "5a"}, {})


def written(results, left_out=None):
    return tables(results, SIMULATED, {"seed": "0", "p300": "1.2"}, left_out or {})


def test_measured_figures_of_each_protocol_stand_beside_the_printed_ones_and_say_whose_they_are():
    results = {
        (protocol, name, subject): made_up(accuracy)
        for protocol, accuracy in (("paper", 0.5), ("modern", 0.8), ("mine", 0.6))
        for name in ("cnn1", "cnn2b")
        for subject in "AB"
    }
    text = written(results)
    assert text.count("Recordings: SIMULATED.") == 4 and text.count("## ") == 5
    assert "| A | cnn1 | printed | 2021 | 10645 | 4355 | 979 | 70.37 | 0.674 | 0.317 |" in text
    counts = "2000 | 12000 | 3000 | 1000 | 77.78 | 0.667 | 0.400 |"
    for kind in ("paper's protocol", "modern protocol", "protocol mine"):
        assert f"| A | cnn1 | measured, {kind} | {counts}" in text
        assert f"| A | measured, {kind} | Pz Cz |" in text
    for kind, accuracy in (("paper's", 0.5), ("modern", 0.8)):
        rate = f"{float(bits_per_minute(accuracy, 1)):.1f}"
        assert f"| cnn1 | measured, {kind} protocol | {rate} |" in text
        assert f"| B | cnn2b | measured, {kind} protocol | {100 * accuracy:.0f} |" in text
    for fact in ("| seed | 0 |", "| p300 | 1.2 |", "| SHA-256 of A.mat | 5a |", '"n_test": 100'):
        assert fact in text
    assert "Left out" not in text


@pytest.mark.parametrize("n", [1, 4, 15, 20])
def test_fewer_or_more_repetitions_than_were_printed_make_whole_rows(n):
    text = written({("paper", "cnn1", s): made_up(0.5, n) for s in "AB"})
    for part in text.split("## ")[1:5]:
        rows = [line.count("|") for line in part.splitlines() if line.startswith("|")]
        assert len(set(rows)) == 1
    assert f" {n} |\n" in text.split("## ")[2]


def test_an_experiment_that_the_paper_lacks_and_one_that_is_not_run_leave_no_row_behind():
    text = written({("paper", "lda", s): made_up(0.5) for s in "AB"})
    assert "| A | lda | measured, paper's protocol |" in text and "lda | printed" not in text
    assert "cnn2b" not in text and "| A | cnn1 | printed | 16 |" in text


def test_runs_without_labels_or_text_are_left_out_with_a_reason():
    results = {("paper", "cnn1", s): made_up(0.5) for s in "AB"}
    results["modern", "cnn1", "A"] = {"test": {"n_flashes": 12}, "ch_names": ["Pz"]}
    results["modern", "cnn1", "B"] = made_up(0.5, 0)
    results["modern", "cnn3", "A"] = made_up(None)
    text = written(results, {("modern", "cnn2a", "A"): "it ran out of memory"})
    assert "| A | cnn1 | measured, modern" not in text
    assert "| B | cnn1 | measured, modern protocol | 2000 |" in text
    assert "* cnn1, subject A, measured, modern protocol: its test flashes have no labels" in text
    assert "* cnn1, subject B, measured, modern protocol: it read no text" in text
    assert "* cnn3, subject A, measured, modern protocol: it read no text" in text
    assert "* cnn2a, subject A, measured, modern protocol: it ran out of memory" in text


def test_a_detector_that_calls_nothing_a_target_has_no_precision():
    found = made_up(0.5)
    found["test"]["detection"] = {"tp": 0, "tn": 5, "fp": 0, "fn": 1}
    text = written({("paper", "cnn1", s): found for s in "AB"})
    assert "| A | cnn1 | measured, paper's protocol | 0 | 5 | 0 | 1 | 83.33 | 0.000 | – |" in text


SHORT = {"n_train": 1, "n_test": 1, "n_repetitions": 1, "n_samples": 700, "ch_names": ["Cz", "Pz"]}


def test_the_competitions_files_are_used_where_they_are_and_named_by_their_content(tmp_path):
    for subject in "AB":
        write_bci3_ii(tmp_path / "real", subject, n_train=1, n_test=1, n_repetitions=1)
    source = find_files(tmp_path / "real", tmp_path, {})
    assert source.root == tmp_path / "real" and "SIMULATED" not in source.sentence
    assert source.made_by == "" and not (tmp_path / "simulated").exists()
    content = (tmp_path / "real" / "Subject_B_Test.mat").read_bytes()
    assert source.sha256["Subject_B_Test.mat"] == hashlib.sha256(content).hexdigest()


def test_other_arguments_of_the_simulation_make_other_files_and_the_same_ones_are_kept(tmp_path):
    first = find_files(tmp_path / "none", tmp_path, SHORT)
    again = find_files(tmp_path / "none", tmp_path, dict(reversed(SHORT.items())))
    other = find_files(tmp_path / "none", tmp_path, SHORT | {"brain": {"p300_uv": 1.0}})
    assert first == again and first.root != other.root
    assert first.sha256 != other.sha256 and '"p300_uv": 1.0' in other.made_by
    assert first.sha256["Subject_A_Test.mat"] != first.sha256["Subject_B_Test.mat"]
    with pytest.raises(InputError, match="simulated: .*n_words.*; expected arguments of"):
        find_files(tmp_path / "none", tmp_path, SHORT | {"n_words": 3})


def test_simulated_files_that_were_written_by_half_are_written_again(tmp_path):
    first = find_files(tmp_path / "none", tmp_path, SHORT)
    (first.root / "texts.json").unlink()
    (first.root / "Subject_B_Test.mat").write_bytes(b"half")
    assert find_files(tmp_path / "none", tmp_path, SHORT) == first


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("protocols=[papper]", "unknown protocol 'papper'; expected one of adamw, modern, paper"),
        ("experiments=[cnn9]", "unknown experiment 'cnn9'; expected one of"),
        ("overrides=['protocol=paper']", "expected protocols=[paper]"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_simulated(p300, tmp_path, typed, words):
    status, _, errors = p300("reproduce", typed, "folder=out")
    assert status == 1 and words in errors and "Traceback" not in errors
    assert not list(tmp_path.rglob("*.mat"))


@pytest.mark.slow
def test_a_part_of_the_text_and_of_the_experiments_is_measured_by_both_protocols(p300, tmp_path):
    arguments = [
        "experiments=[lda]",
        "folder=out",
        "root=nowhere",
        "simulated.n_train=6",
        "simulated.n_test=3",
        "+simulated.n_repetitions=1",
        "+simulated.n_samples=720",
        "+simulated.ch_names=[Cz,Pz,Oz]",
        "overrides=['logger=csv']",
    ]
    status, printed, errors = p300("reproduce", *arguments)
    assert status == 0, errors
    assert printed.count("SIMULATED") >= 4
    for kind in ("paper's protocol", "modern protocol"):
        assert f"| B | lda | measured, {kind} |" in printed
    (first,) = (tmp_path / "out" / "simulated").iterdir()
    status, printed, errors = p300("reproduce", *arguments, "protocols=[modern]")
    assert status == 0 and "2 taken from before" in printed and "paper's" not in printed
    status, printed, errors = p300("reproduce", *arguments, "simulated.brain.p300_uv=9")
    assert status == 0 and "4 finished" in printed and '"p300_uv": 9' in printed
    assert len(list((tmp_path / "out" / "simulated").iterdir())) == 2 and first.exists()
