"""What of each kind of detector learns while it spells, and the part `session` of a run."""

import json

import numpy as np
import pandas as pd
import pytest

from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.fitting.learning import inputs_of
from p300.experiments.train import train
from p300.learning import Learner, read_source
from p300.simulation import simulate_data_set

SMALL = (
    "data.read.ch_names=[Fz,Cz,Pz,Oz]",
    "data.read.train_text=BRAINS",
    "data.read.test_text=SPELL",
    "data.read.n_repetitions=5",
    "logger=csv",
    "progress=false",
)


def trained(folder, *overrides):
    train(folder, *SMALL, *overrides)
    return Detector.load(folder), json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize(
    "experiment", ["ridge", "lda", "xdawn", "swlda", "light", "eegnet", "unsupervised"]
)
def test_a_run_that_learns_has_a_part_session_of_the_same_form(tmp_path, experiment):
    quick = ["protocol.max_epochs=3"] if experiment == "eegnet" else []
    _, results = trained(
        tmp_path / "run", f"experiment={experiment}", *quick,
        *(["learning=while_spelling"] if experiment != "unsupervised" else []),
    )  # fmt: skip
    test, session = results["test"], results["session"]
    assert set(test) - {"probability"} < set(session)
    assert session["detection"].keys() == test["detection"].keys()
    numbers = [[row["n_repetitions"] for row in part["spelling"]] for part in (test, session)]
    assert numbers[0] == numbers[1] == [1, 2, 3, 4, 5]
    assert session["retrospective"]["n_characters"] == 5
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    parts = {name: table.reset_index(drop=True) for name, table in scores.groupby("part")}
    assert (parts["session"]["onset"] == parts["test"]["onset"]).all()
    changed = (parts["session"]["score"] - parts["test"]["score"]).abs()
    assert changed.max() > 1e-3
    first = parts["test"]["character"] == 1
    if experiment != "unsupervised":  # which is read by its own flashes
        np.testing.assert_allclose(changed[first], 0, atol=1e-6)


@pytest.mark.parametrize("experiment", ["ridge", "eegnet"])
def test_before_the_first_character_a_learner_is_the_detector(tmp_path, experiment):
    detector, results = trained(
        tmp_path / "run",
        f"experiment={experiment}",
        "learning=while_spelling",
        *(["protocol.max_epochs=3"] if experiment == "eegnet" else []),
    )
    assert "session" in results
    source = read_source(tmp_path / "run" / "learning.npz")
    learner = Learner(source, detector.speller.symbols)
    recording = simulate_data_set("AB", "CD", ch_names=["Fz", "Cz", "Pz", "Oz"], n_repetitions=2)
    epochs = detector.epochs(recording)
    inputs = inputs_of(detector, source, epochs.data)
    whole = source.whole()
    weights = source.discriminants(whole).of(np.diff(whole.means, axis=0))[0]
    linear = source.centred(inputs).reshape(len(inputs), -1) @ weights.ravel()
    static = detector.score_epochs(epochs.data)
    # the same line but for the offset
    difference = static - source.weight * linear
    assert np.ptp(difference) < 1e-3 * np.ptp(static)
    np.testing.assert_allclose(learner.change(inputs), 0, atol=1e-9)


def test_detectors_without_a_linear_part_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ERPCovMDM, which has no linear part.*learning=none"):
        trained(tmp_path / "mdm", "experiment=mdm", "learning=while_spelling")
    with pytest.raises(InputError, match=r"knows nothing.*expected learning=from_nothing"):
        trained(tmp_path / "nothing", "experiment=unsupervised", "learning=while_spelling")
    with pytest.raises(InputError, match=r"LogisticSquareError.*protocol=modern"):
        trained(
            tmp_path / "paper",
            "experiment=cnn3",
            "protocol=paper",
            "protocol.max_epochs=1",
            "learning=while_spelling",
        )


def test_an_oddball_has_no_characters_to_learn_from(tmp_path):
    with pytest.raises(InputError, match=r"of an oddball.*learning=none"):
        train(
            tmp_path / "run",
            "data=simulation",
            "+data.read.speller=null",
            "experiment=ridge",
            "learning=while_spelling",
            "logger=csv",
        )


def test_an_evaluation_learns_from_what_it_reads(p300, tmp_path):
    trained(tmp_path / "run", "experiment=ridge", "learning=while_spelling")
    status, printed, errors = p300(
        "evaluate", f"run={tmp_path / 'run'}", "learning=while_spelling", "hydra.run.dir=again"
    )
    assert status == 0, errors
    found = json.loads((tmp_path / "again" / "results.json").read_text())
    then = json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["session"]["detection"]["auc"] == pytest.approx(
        then["session"]["detection"]["auc"], abs=1e-6
    )
    assert found["session"]["retrospective"] == then["session"]["retrospective"]


def test_sums_are_made_again_for_a_run_that_did_not_learn(p300, tmp_path):
    trained(tmp_path / "run", "experiment=ridge")
    assert not (tmp_path / "run" / "learning.npz").exists()
    learns = f"run={tmp_path / 'run'}", "learning=while_spelling"
    status, *_ = p300("evaluate", *learns, "hydra.run.dir=own")
    assert status == 0
    status, _, errors = p300("evaluate", *learns, "data=simulation", "hydra.run.dir=other")
    assert status == 1
    assert "learning.npz: no such file; expected what a training with" in errors


def test_the_folds_of_a_cross_validation_pool_their_sessions(tmp_path):
    results = train(
        tmp_path / "run",
        *SMALL,
        "experiment=ridge",
        "learning=while_spelling",
        "split=k_fold",
        "split.n_folds=3",
    )
    folds = [
        json.loads((tmp_path / "run" / "folds" / str(k) / "results.json").read_text())
        for k in range(3)
    ]
    row = results["session"]["spelling"][2]
    rows = [fold["session"]["spelling"][2] for fold in folds]
    for name in ("n_right", "n_characters"):
        assert row[name] == sum(one[name] for one in rows)
    again = [fold["session"]["retrospective"]["text"] for fold in folds]
    assert results["session"]["retrospective"]["text"] == "".join(again)


def test_own_characters_without_labels_are_learned_from_and_not_reported(tmp_path):
    shared = (
        "data.read.subjects=3",
        "experiment=ridge",
        "learning=while_spelling",
        "split=new_person",
    )
    _, without = trained(tmp_path / "without", *shared)
    _, before = trained(tmp_path / "with", *shared, "split.n_own=4", "split.is_labelled=false")
    assert before["session"]["n_flashes"] == without["session"]["n_flashes"]
    assert before["test"]["detection"] == without["test"]["detection"]
    assert before["session"]["detection"] != without["session"]["detection"]
    assert before["session"]["retrospective"]["n_characters"] == 6


def test_a_person_of_the_same_name_in_another_recording_is_not_taken_for_the_same(p300, tmp_path):
    trained(tmp_path / "run", "experiment=ridge", "learning=while_spelling")
    found = {}
    for name in (None, "1"):
        options = [] if name is None else [f"learning.person={name}"]
        status, printed, errors = p300(
            "evaluate",
            f"run={tmp_path / 'run'}",
            "learning=while_spelling",
            "data=simulation",
            *(text for text in SMALL if text.startswith("data.")),
            "data.read.seed=3",
            f"hydra.run.dir=of-{name}",
            *options,
        )
        assert status == 0, errors
        found[name] = printed + errors
    assert "of others count as" in found[None]
    assert "own training flashes count fully" in found["1"]


def test_a_detector_that_knows_nothing_is_neither_exported_nor_evaluated(p300, tmp_path):
    trained(tmp_path / "run", "experiment=unsupervised")
    for command in (
        ("export", str(tmp_path / "run")),
        ("evaluate", f"run={tmp_path / 'run'}", "hydra.run.dir=again"),
    ):
        status, _, errors = p300(*command)
        assert status == 1
        assert "knows nothing" in errors
    status, *_ = p300("evaluate", f"run={tmp_path / 'run'}", "learning=from_nothing")
    assert status == 0
