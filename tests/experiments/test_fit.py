"""Several configured runs at once, and what a run leaves in its folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import initialize_config_dir

from p300.detector import Detector, Member
from p300.errors import InputError
from p300.experiments import prepare as runs
from p300.experiments import train as training
from p300.experiments.configuration import compose_training, conf_dir
from p300.experiments.fitting import groups
from p300.experiments.fitting.trainer import needs_own_trainer
from p300.experiments.prepare import Shared
from p300.experiments.run import Request
from p300.experiments.train import train_one, train_several
from p300.metrics import roc_auc
from p300.preprocessing import Preprocessor

pytestmark = [  # Lightning's own, as the commands ignore them
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]


@pytest.fixture
def request_run(small, tmp_path):
    """Compose a small run and make its folder: what `train_several` takes."""

    def request(name, *overrides):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cfg, choices = compose_training([*small, *overrides])
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Request(cfg, folder, choices)

    return request


@pytest.fixture
def calls(monkeypatch):
    """Runs that come to be fitted, numbers of networks side by side, and recordings read."""
    found = {"runs": [], "groups": [], "read": 0}
    fit_all, read = training.fit_all, runs.read_recording
    alone, together = groups.train_plan, groups.train_together

    def counted_read(*args, **kwargs):
        found["read"] += 1
        return read(*args, **kwargs)

    def seen_fit_all(begun):
        found["runs"] += begun
        return fit_all(begun)

    def seen_alone(plan, epochs):
        found["groups"].append(1)
        return alone(plan, epochs)

    def seen_together(plans, epochs):
        found["groups"].append(len(plans))
        return together(plans, epochs)

    monkeypatch.setattr(runs, "read_recording", counted_read)
    monkeypatch.setattr(training, "fit_all", seen_fit_all)
    monkeypatch.setattr(groups, "train_plan", seen_alone)
    monkeypatch.setattr(groups, "train_together", seen_together)
    return found


def weights_of(folder):
    members = torch.load(folder / "checkpoint.pt", weights_only=True)["members"]
    return torch.cat([value.flatten() for m in members for value in m["state"].values()])


def held_out_of(folder):
    return pd.read_csv(folder / "held_out.csv")


# -- several runs --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("experiment, n_networks", [("cnn1", 1), ("mcnn3", 3)])
def test_seeds_trained_in_one_go_find_what_each_finds_alone(
    request_run, calls, experiment, n_networks
):
    options = [f"experiment={experiment}", "protocol.max_epochs=4"]
    options.append("trainer.limit_train_batches=null")  # which trains networks one by one
    requests = [request_run(f"all{k}", *options, f"seed={k}") for k in range(3)]
    results = train_several(requests, Shared())
    assert calls["groups"] == [3 * n_networks]
    for k, folder in enumerate(request.folder for request in requests):
        alone = request_run(f"alone{k}", *options, f"seed={k}")
        found = train_one(alone)
        assert found["split"] == results[k]["split"] and found["seed"] == k
        for name in ("test", "validation"):
            ours, theirs = results[k][name]["detection"], found[name]["detection"]
            assert ours["auc"] == pytest.approx(theirs["auc"], abs=1e-3)
        together, one = weights_of(folder), weights_of(alone.folder)
        assert (together - one).abs().max() < 1e-4 * one.abs().max()  # rounding
        assert (alone.folder / "integrity.txt").read_text() == (
            folder / "integrity.txt"
        ).read_text()
    assert (weights_of(requests[0].folder) - weights_of(requests[1].folder)).abs().max() > 0.01


def test_runs_that_differ_in_their_seed_share_one_recording_and_its_epochs(request_run, calls):
    options = ["experiment=lda"]
    train_several([request_run(str(k), *options, f"seed={k}") for k in range(3)], Shared())
    assert calls["read"] == 1
    first, *others = calls["runs"]
    for run in others:
        assert run.recording is first.recording
        assert run.epochs.data is first.epochs.data


@pytest.mark.slow
def test_runs_with_other_preprocessing_or_recordings_share_nothing(request_run, calls):
    requests = [
        request_run("a", "experiment=lda"),
        request_run("b", "experiment=lda", "preprocessing.h_freq=15"),
        request_run("c", "experiment=lda", "data.read.test_text=XY"),
    ]
    found = train_several(requests, Shared())
    assert [r["test"]["wanted"] for r in found] == ["P3", "P3", "XY"]
    one, filtered, spelt = calls["runs"]
    assert one.recording is filtered.recording is not spelt.recording
    assert not np.array_equal(one.epochs.data, filtered.epochs.data)
    assert calls["read"] == 2


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ([], ""),
        (["protocol.patience=3", "protocol.monitor=validation/loss"], ""),
        (["callbacks.early_stopping.mode=max", "callbacks.best_weights.filename=kept"], ""),
        (["trainer.devices=[3]"], ""),  # as a sweep over several GPUs sets it
        (["callbacks.early_stopping.patience=3"], "callbacks.early_stopping"),
        (["+callbacks.early_stopping.min_delta=0.01"], "callbacks.early_stopping"),
        (["callbacks.early_stopping.mode=min"], "callbacks.early_stopping"),
        (["callbacks.best_weights.monitor=validation/loss"], "callbacks.best_weights"),
        (["+callbacks.best_weights.every_n_epochs=2"], "callbacks.best_weights"),
        (["callbacks.best_weights=null"], "callbacks other than the default ones"),
        (["trainer.devices=[0,1]"], "trainer.devices or trainer.strategy"),
        (["trainer.devices=auto"], "trainer.devices or trainer.strategy"),
    ],
)
def test_what_training_side_by_side_would_drop_gets_a_trainer_of_its_own(typed, reason):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert needs_own_trainer(compose_training(typed)[0]) == reason


FAILING = {
    "an unknown electrode": (["preprocessing.channels=[Cz,Nz9]"], "Nz9"),
    "a network that diverges": (
        ["experiment=cnn3", "protocol.optimizer.lr=inf"],
        "training diverged",
    ),
    "rates that the network has not": (["model=lstm", "protocol=paper"], "protocol=modern"),
    "a detector that cannot be made": (["experiment=lda", "+model.colour=red"], "colour"),
    "no targets to validate": (
        ["experiment=cnn3", "split.validation_fraction=0"],
        "the validation part has no flash",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILING)
def test_one_failing_run_costs_only_itself(request_run, case):
    overrides, words = FAILING[case]
    requests = [
        request_run("first", "experiment=cnn3", "seed=1"),
        request_run("failing", *overrides),
        request_run("last", "experiment=lda"),
    ]
    first, failed, last = train_several(requests, Shared())
    assert isinstance(failed, Exception) and words in str(failed)
    assert first["test"]["wanted"] == last["test"]["wanted"] == "P3"
    finished = [
        (folder / "results.json").exists() for folder in (request.folder for request in requests)
    ]
    assert finished == [True, False, True]
    with pytest.raises(type(failed)):
        train_one(request_run("failing", *overrides))


# -- held-out flashes ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment, part", [("cnn3", "validation"), ("lda", "train"), ("light", "train")]
)
def test_held_out_flashes_are_those_no_scoring_member_was_fitted_to(
    request_run, calls, experiment, part
):
    request = request_run("one", f"experiment={experiment}")
    train_one(request)
    table, split = held_out_of(request.folder), calls["runs"][0].split
    flashes = calls["runs"][0].epochs.flashes
    wanted = flashes[getattr(split, part)].reset_index(drop=True)
    assert len(table) == len(wanted) and np.allclose(table["onset"], wanted["onset"])
    assert table["segment"].tolist() == wanted["segment"].tolist()
    assert not table["score"].isna().any()
    test = flashes[split.test]
    assert not set(zip(table["segment"], table["onset"].round(6), strict=True)) & set(
        zip(test["segment"], test["onset"].round(6), strict=True)
    )
    again = request_run("again", f"experiment={experiment}")
    train_one(again)
    assert held_out_of(again.folder).equals(table)


def test_held_out_scores_of_a_network_are_its_own(request_run):
    request = request_run("one", "experiment=cnn3")
    train_one(request)
    scores = pd.read_csv(request.folder / "scores.csv")
    scores = scores.loc[scores["part"] == "validation", "score"]
    assert np.allclose(held_out_of(request.folder)["score"], scores, atol=1e-6)


@pytest.mark.slow
def test_labels_without_information_are_not_found_in_held_out_flashes(
    request_run, calls, monkeypatch
):
    read = runs.read_recording

    def shuffled(*args, **kwargs):
        recording = read(*args, **kwargs)
        values = recording.flashes["is_target"].to_numpy(bool)
        learned = recording.flashes["session"].ne("test").to_numpy()
        values[learned] = np.random.default_rng(0).permutation(values[learned])
        recording.flashes["is_target"] = values
        return recording

    monkeypatch.setattr(runs, "read_recording", shuffled)
    request = request_run("one", "experiment=lda", "data.read.n_repetitions=5")
    train_one(request)
    table = held_out_of(request.folder)
    run = calls["runs"][0]
    detector = Detector.load(request.folder)
    known = detector.score_epochs(run.epochs.data)[run.split.train]
    n_targets = table["is_target"].sum()
    spread = np.sqrt(1 / 12 / n_targets)  # of the AUC of chance, about
    assert roc_auc(table["is_target"], known) > 0.5 + 8 * spread  # learned by heart
    assert abs(roc_auc(table["is_target"], table["score"]) - 0.5) < 4 * spread


def test_without_folds_a_classical_detector_has_no_held_out_flashes(request_run):
    request = request_run("one", "experiment=lda", "held_out_folds=0")
    train_one(request)
    assert not (request.folder / "held_out.csv").exists()


# -- the run folder ------------------------------------------------------------------------------


def test_a_finished_run_is_not_trained_over(request_run):
    request = request_run("one", "experiment=lda")
    train_one(request)
    before = (request.folder / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="holds a finished run; expected a new folder"):
        train_one(request_run("one", "experiment=lda", "seed=1"))
    assert (request.folder / "checkpoint.pt").read_bytes() == before


def test_the_beginning_of_another_run_is_not_gone_on_with(request_run):
    request = request_run("one", "experiment=lda")
    train_one(request)
    Path(request.folder, "results.json").unlink()
    (request.folder / "networks").mkdir()
    (request.folder / "networks" / "1.ckpt").touch()  # a training that could go on
    with pytest.raises(InputError, match="holds an unfinished run with another configuration"):
        train_one(request_run("one", "experiment=lda", "seed=1"))
    again = train_one(request_run("one", "experiment=lda", "quiet=true", "threads=2"))
    assert again["seed"] == 0  # what changes no result may be another


def test_a_run_that_failed_before_its_training_leaves_its_folder_to_another(request_run):
    with pytest.raises(InputError):
        train_one(request_run("one", "experiment=lda", "preprocessing.channels=[Nz9]"))
    assert train_one(request_run("one", "experiment=lda"))["test"]["wanted"] == "P3"


def test_results_name_the_recording_and_the_code_that_made_them(request_run, calls):
    results = train_one(request_run("one", "experiment=lda"))
    assert results["recording_sha256"] == calls["runs"][0].recording.checksum
    assert len(results["code_sha256"]) == 64 and results["name"].startswith("lda_")


def test_a_run_whose_checkpoint_is_not_what_was_trained_is_not_finished(request_run, monkeypatch):
    request = request_run("one", "experiment=cnn3")

    def forget(self, score=Member.get_state):
        return {name: value * 0.9 for name, value in score(self).items()}

    monkeypatch.setattr(Member, "get_state", forget)
    with pytest.raises(InputError, match="checkpoint.pt: after it was saved.*scores differ by"):
        train_one(request)
    assert not (request.folder / "results.json").exists()


def test_a_run_whose_preprocessing_is_lost_is_not_finished(request_run, monkeypatch):
    request = request_run("one", "experiment=lda")
    from_state = Preprocessor.from_state.__func__

    def forget(cls, state):
        steps = from_state(cls, state)
        steps.h_freq = 15.0
        return steps

    monkeypatch.setattr(Preprocessor, "from_state", classmethod(forget))
    with pytest.raises(InputError, match="saved with another preprocessing than it was trained"):
        train_one(request)


# -- layers that stay, and a preprocessing that looks at the test part ---------------------------


def test_frozen_weights_stay_as_they_are_and_a_wrong_name_is_refused(request_run):
    states = []
    for n_epochs in (1, 3):
        options = ["experiment=cnn3", "freeze=[spatial_*]", f"protocol.max_epochs={n_epochs}"]
        request = request_run(str(n_epochs), *options, "callbacks=none")
        train_one(request)
        states.append(torch.load(request.folder / "checkpoint.pt")["members"][0]["state"])
    same = {name for name in states[0] if torch.equal(states[0][name], states[1][name])}
    assert same == {"spatial_weight", "spatial_bias"}
    with pytest.raises(
        InputError, match="got freeze=nothing; expected names of weights of the Cec"
    ):
        train_one(request_run("wrong", "experiment=cnn3", "freeze=[nothing]"))


LOOKING = """
import dataclasses
import numpy as np
from p300.preprocessing import Preprocessor

class Looking(Preprocessor):
    def fit(self, recording, rows=None):
        every = np.ones(len(recording.flashes), bool)
        return super().fit(recording, rows=every)  # the test flashes too
"""


def test_a_preprocessing_of_ones_own_that_learns_from_test_flashes_is_refused(
    request_run, tmp_path, monkeypatch
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "looking_at_all.py").write_text(LOOKING)
    monkeypatch.setenv("P300_CONF", str(tmp_path / "mine"))
    own = ["preprocessing._target_=looking_at_all.Looking", "preprocessing.scaling=standardize"]
    with pytest.raises(InputError, match=r"center.*differs without the 48 test flashes"):
        train_one(request_run("one", "experiment=lda", *own))


HEARING = """
import numpy as np
from p300.preprocessing import Preprocessor

class Hearing(Preprocessor):
    def fit(self, recording, rows=None):
        self.loudness_ = float(np.mean([segment.std() for segment in recording.segments]))
        return super().fit(recording, rows=rows)
"""


def test_a_preprocessing_of_ones_own_that_learns_from_test_eeg_is_refused(
    request_run, tmp_path, monkeypatch
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hearing_all.py").write_text(HEARING)
    monkeypatch.setenv("P300_CONF", str(tmp_path / "mine"))
    own = ["preprocessing._target_=hearing_all.Hearing"]
    with pytest.raises(
        InputError, match=r"loudness_.*differs without .*test flashes and their EEG"
    ):
        train_one(request_run("one", "experiment=lda", *own))


def test_a_run_that_only_tries_a_few_batches_says_so(request_run, caplog):
    train_one(request_run("one", "experiment=cnn3", "trainer.fast_dev_run=true"))
    assert "the results are of an untrained network" in caplog.text


@pytest.mark.parametrize("alignment, factor", [("none", 1), ("euclidean", 2)])
def test_epochs_that_do_not_fit_into_memory_are_refused_and_kept_on_disk_if_asked(
    request_run, tmp_path, monkeypatch, alignment, factor
):
    n_bytes = 4 * 8 * 78 * 288  # 12 characters, 2 repetitions, 12 codes
    monkeypatch.setattr("p300.storage.memory.available_memory", lambda: factor * n_bytes - 1)
    typed = "experiment=cnn3", f"alignment={alignment}"
    with pytest.raises(InputError, match="for the epochs of 288 flashes; cache.folder=FOLDER"):
        train_one(request_run("refused", *typed))
    assert not (tmp_path / "refused" / "results.json").exists()
    train_one(request_run("kept", *typed, f"cache.folder={tmp_path / 'cache'}"))
    assert len(list((tmp_path / "cache").iterdir())) == factor


def test_a_classical_detector_says_how_much_memory_it_needs_before_it_reads_epochs(
    request_run, tmp_path, monkeypatch, caplog
):
    caplog.set_level("WARNING", "p300.experiments.fitting.fit")
    n_bytes = 4 * 8 * 78 * 240  # ten characters to train on
    typed = "experiment=lda", "held_out_folds=0", f"cache.folder={tmp_path / 'cache'}"
    for name in ("p300.storage.memory", "p300.experiments.fitting.fit"):
        monkeypatch.setattr(f"{name}.available_memory", lambda: 2 * n_bytes - 1)
    train_one(request_run("said", *typed))
    assert "ShrinkageLDA needs all its training epochs in memory at once, 0.00 GB" in caplog.text
    monkeypatch.setattr("p300.storage.memory.available_memory", lambda: n_bytes - 1)
    expected = "for the 240 training epochs of ShrinkageLDA, which needs all at once; use a net"
    with pytest.raises(InputError, match=expected):
        train_one(request_run("refused", *typed))


def test_a_model_may_say_what_another_part_of_the_configuration_says(p300, small, tmp_path):
    given = ["experiment=lda", "++model.n_samples_per_bin=${oc.select:preprocessing.order}"]
    status, _, errors = p300("train", *small, *given, "hydra.run.dir=run")
    assert status == 0, errors
    members = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["members"]
    assert members[0]["model"]["n_samples_per_bin"] == 4
