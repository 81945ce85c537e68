import pytest

from p300.experiments.benchmark.paper import find_files, tables
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


def made_up(accuracy):
    spelling = [{"n_repetitions": n, "accuracy": accuracy} for n in range(1, 16)]
    detection = {"tp": 2000, "tn": 12000, "fp": 3000, "fn": 1000}
    test = {"detection": detection, "spelling": spelling}
    return {"test": test, "ch_names": ["Pz", "Cz"]}


def test_measured_figures_stand_beside_the_printed_ones_and_every_table_says_whose():
    experiments = ["cnn1", "cnn2b"]
    results = {(name, subject): made_up(0.5) for name in experiments for subject in "AB"}
    text = tables(results, experiments, "Recordings: SIMULATED.")
    assert text.count("Recordings: SIMULATED.") == text.count("## ") == 4
    assert "| A | cnn1 | printed | 2021 | 10645 | 4355 | 979 | 70.37 | 0.674 | 0.317 |" in text
    assert "| A | cnn1 | measured | 2000 | 12000 | 3000 | 1000 | 77.78 | 0.667 | 0.400 |" in text
    assert "| A | measured | Pz Cz |" in text
    rate = f"{float(bits_per_minute(0.5, 1)):.1f}"
    assert f"| cnn1 | measured | {rate} |" in text


def test_the_competitions_files_are_used_where_they_are(tmp_path):
    for subject in "AB":
        write_bci3_ii(tmp_path / "real", subject, n_train=1, n_test=1, n_repetitions=1)
    root, source = find_files(tmp_path / "real", tmp_path, {})
    assert root == tmp_path / "real" and "SIMULATED" not in source
    assert not (tmp_path / "simulated").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not spell the competition:UserWarning")
def test_without_them_simulated_files_are_made_once_and_named_as_such(p300, tmp_path):
    # whole training texts, so that the published test text may be used
    arguments = [
        "experiments=[lda]",
        "folder=out",
        "+simulated.n_repetitions=1",
        "+simulated.n_samples=720",
        "+simulated.ch_names=[Cz,Pz,Oz]",
        "overrides=['logger=csv','+data.read.ch_names=[Cz,Pz,Oz]']",
    ]
    status, printed, errors = p300("reproduce", *arguments)
    assert status == 0, errors
    assert printed.count("SIMULATED") >= 4
    written = (tmp_path / "out" / "simulated" / "Subject_A_Train.mat").stat().st_mtime_ns
    status, printed, errors = p300("reproduce", *arguments)
    assert status == 0 and "2 found finished" in printed
    assert (tmp_path / "out" / "simulated" / "Subject_A_Train.mat").stat().st_mtime_ns == written
