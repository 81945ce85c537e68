"""What a run records in W&B, read back from the files that `wandb sync` would send."""

import io
import json
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.benchmark.cells import plan_cells
from p300.experiments.benchmark.running import job_of
from p300.experiments.configuration import Composer, conf_dir
from p300.experiments.jobs.chunk import composed
from p300.experiments.results import read_scores
from p300.experiments.tracking import headline, shareable
from p300.experiments.train import train
from p300.figures import draw_accuracy, draw_roc, draw_training, read_training
from p300.storage.privacy import public

TEXT = "P3QZ7X"  # read from the test part

#: A run of three networks with W&B on and absolute paths in its configuration.
OVERRIDES = [
    "experiment=mcnn3",
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=ABCDEFGHIJ",
    f"data.read.test_text={TEXT}",
    "data.read.n_repetitions=2",
    "protocol.max_epochs=3",
    "+data.root=/home/someone/eeg/iib",
    "trainer.limit_train_batches=16",
]


def read_records(folder):
    """Read every record of the one offline run below a folder, once the last is written."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")

    def is_complete():
        records = parse_records(path.read_bytes())
        return records and records[-1].WhichOneof("record_type") == "exit"

    wait_for(is_complete)
    return parse_records(path.read_bytes())


def wait_for(condition):
    """Wait for W&B's own process, which may still be writing, on a busy machine for long."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "W&B did not write everything within two minutes"
        time.sleep(0.1)


def parse_records(content):
    """Take the records out of W&B's file: blocks of 32 KiB, in which a record may be divided."""
    from wandb.proto import wandb_internal_pb2

    place, parts, records = 7, b"", []
    while place + 7 <= len(content):
        in_block = 32768 - place % 32768
        _, n, kind = (
            struct.unpack("<IHB", content[place : place + 7]) if in_block >= 7 else (0,) * 3
        )
        if kind == 0:  # the rest of the block is empty
            place += in_block
            continue
        parts += content[place + 7 : place + 7 + n]
        place += 7 + n
        if place > len(content):
            break
        if kind in (1, 4):  # whole, or its last part
            records.append(wandb_internal_pb2.Record.FromString(parts))
            parts = b""
    return records


def merged(records, kind):
    """Put together what the records of one kind say, the last of each key."""
    found = {}
    for record in records:
        if record.WhichOneof("record_type") == kind:
            items = record.history.item if kind == "history" else getattr(record, kind).update
            for item in items:
                key = item.key or "|".join(item.nested_key)
                found.setdefault(key, []).append(json.loads(item.value_json))
    return found


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    def make(*overrides):
        folder = tmp_path_factory.mktemp("run")
        cache = f"cache.folder={folder}/epochs"
        return folder, train(folder, "logger=private", "name=mcnn3", *OVERRIDES, cache, *overrides)

    return make


@pytest.fixture(scope="module")
def shared(make_run):
    """A run with all that it may share: its folder, results and records."""
    folder, results = make_run("logger.artifact=true")
    return folder, results, read_records(folder)


@pytest.fixture(scope="module")
def numbers_only(make_run):
    folder, results = make_run("logger.share=numbers")
    return folder, results, read_records(folder)


@pytest.mark.slow
def test_the_summary_holds_the_numbers_that_runs_are_sorted_by(shared):
    _, results, records = shared
    summary = {k: v[-1] for k, v in merged(records, "summary").items()}
    assert summary["test/auc"] == results["test"]["detection"]["auc"]
    assert summary["test/balanced_accuracy"] == results["test"]["detection"]["balanced_accuracy"]
    assert summary["validation/auc"] == results["validation"]["detection"]["auc"]
    for row in results["test"]["spelling"]:
        assert summary[f"test/accuracy_{row['n_repetitions']:02d}"] == row["accuracy"]
        rate = summary[f"test/bits_per_min_{row['n_repetitions']:02d}"]
        assert rate == row["bits_per_minute"] <= summary["test/best_bits_per_min"]
    assert summary["n_parameters"] == results["n_parameters"]
    assert summary["fit_s"] == results["fit_s"]
    assert not [k for k in summary if k.startswith("network_")]


def test_every_network_has_curves_over_its_training_epochs(shared):
    folder, _, records = shared
    history = merged(records, "history")
    for number, (_, table) in enumerate(read_training(folder).items(), start=1):
        for name in ("train/loss", "validation/loss", "validation/auc"):
            logged = history[f"network_{number}-{name}"]
            assert logged == pytest.approx(table[name].tolist())
        assert table["n_epochs"].tolist() == [1, 2, 3]
    assert number == 3


def test_accuracy_by_repetition_is_a_table(shared):
    folder, results, _ = shared
    (path,) = folder.glob("wandb/offline-run-*/files/media/table/test/*.table.json")
    table = json.loads(path.read_text())
    columns = ["n_repetitions", "accuracy", "low", "high", "bits_per_min", "text"]
    assert table["columns"] == columns
    rows = results["test"]["spelling"]
    keys = [c.replace("per_min", "per_minute") for c in columns]
    assert table["data"] == [[row[key] for key in keys] for row in rows]


def test_the_key_figures_are_images_with_their_descriptions(shared):
    folder, results, records = shared
    logged = merged(records, "history")

    def images():
        return list(folder.glob("wandb/offline-run-*/files/media/images/figures/*.png"))

    wait_for(lambda: len(images()) >= 4)
    sizes = {
        path.name.split("_")[0]: Image.open(io.BytesIO(path.read_bytes())).size
        for path in images()
    }
    assert set(sizes) == {"training", "accuracy", "roc", "confusion"}
    assert all(min(size) > 250 for size in sizes.values())
    caption = {name: logged[f"figures/{name}|caption"] for name in sizes}
    spelling = {"mcnn3": results["test"]["spelling"]}
    assert caption["training"] == [draw_training(read_training(folder)).get_label()]
    assert caption["accuracy"] == [draw_accuracy(spelling).get_label()]
    assert caption["roc"] == [draw_roc({"mcnn3": read_scores(folder, "test")}).get_label()]
    n_right = results["test"]["spelling"][-1]["n_right"]
    assert f"{n_right} of 6 characters right" in caption["confusion"][0]


def test_the_checkpoint_is_an_artifact_where_it_is_asked_for(shared, numbers_only):
    folder, results, records = shared
    (artifact,) = (r.artifact for r in records if r.artifact.type == "model")
    assert artifact.name == "simulation-mcnn3"
    metadata = json.loads(artifact.metadata)
    assert metadata["test/auc"] == results["test"]["detection"]["auc"] and metadata["seed"] == 0
    (entry,) = artifact.manifest.contents
    assert entry.path == "checkpoint.pt"
    sent, own = (Detector.load(p) for p in (entry.local_path, folder / "checkpoint.pt"))
    epochs = np.random.default_rng(0).normal(size=(5, 8, 78)).astype(np.float32)
    assert np.array_equal(sent.score_epochs(epochs), own.score_epochs(epochs))
    assert sent.config["data"]["root"] == "iib" and own.config["data"]["root"].startswith("/home")
    assert not [r for r in numbers_only[2] if r.artifact.type]


@pytest.mark.parametrize("run", ["shared", "numbers_only"])
def test_nothing_recorded_says_on_which_computer_or_where(run, request):
    folder, _, records = request.getfixturevalue(run)
    for record in records:
        kind = record.WhichOneof("record_type")
        if kind == "artifact":  # where files to be sent lie is no part of what is sent
            for entry in record.artifact.manifest.contents:
                entry.ClearField("local_path")
        for place in (str(folder), "/home/someone", sys.prefix, str(conf_dir())):
            assert place.encode() not in record.SerializeToString(), (kind, place)
        assert kind != "environment" and record.run.host != socket.gethostname()
    config = {k: v[-1] for k, v in merged(records, "config").items()}
    assert config["cache"]["folder"] == "epochs"
    assert config["choices"]["experiment"] == "mcnn3"


def test_sharing_numbers_keeps_tables_figures_and_text_back(numbers_only):
    folder, results, records = numbers_only
    (run,) = folder.glob("wandb/offline-run-*")
    assert not (run / "files" / "media").exists()
    assert not any(TEXT.encode() in record.SerializeToString() for record in records)
    summary = {k: v[-1] for k, v in merged(records, "summary").items()}
    assert summary["test/auc"] == results["test"]["detection"]["auc"]
    assert merged(records, "config")["data"] == [{}]
    assert len(merged(records, "history")["network_1-validation/auc"]) == 3


@pytest.mark.parametrize(
    "options, words",
    [
        (["logger.share=numbers", "logger.artifact=true"], "asks for the checkpoint"),
        (["logger.share=some"], "expected one of all, numbers"),
    ],
)
def test_what_cannot_be_shared_is_refused(p300, small, tmp_path, options, words):
    small.remove("logger=csv")
    status, _, errors = p300("train", *small, *options)
    assert status == 1 and words in errors and not list(tmp_path.rglob("*.wandb"))


@pytest.mark.parametrize(
    "path, left",
    [
        ("/data/eeg/A", "A"),
        ("~/eeg", "eeg"),
        ("file:///data/eeg/A.mat", "A.mat"),
        ("C:\\Users\\me\\eeg", "eeg"),
        ("data/bci2_iib", "data/bci2_iib"),
        ("/", "/"),
        ("~", "~"),
        ("p300.readers.bnci.read", "p300.readers.bnci.read"),
    ],
)
def test_of_an_absolute_path_the_last_part_is_left(path, left):
    assert shareable({"a": [{"b": path}], "n": 3}) == {"a": [{"b": left}], "n": 3}


def test_a_path_below_the_working_folder_becomes_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shareable({"root": str(tmp_path / "runs" / "one")}) == {"root": "runs/one"}


def test_a_run_is_recorded_in_its_own_folder_wherever_the_process_began(
    shared, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)  # W&B's own process stays where the first run began
    train("mine", *OVERRIDES, "experiment=lda")
    assert len(list((tmp_path / "mine").rglob("*.wandb"))) == 1
    assert read_records(tmp_path / "mine")


def test_numbers_that_are_not_finite_are_no_headline():
    spelling = {"n_repetitions": 1, "n_characters": 2, "accuracy": 0.5}
    rows = [spelling | {"bits_per_minute": float("nan")}]
    assert headline({"fit_s": 1.0, "test": {"spelling": rows}}) == {
        "fit_s": 1.0,
        "test/accuracy_01": 0.5,
    }


def test_a_cell_of_a_benchmark_is_grouped_by_benchmark_and_task(tmp_path):
    from hydra import initialize_config_dir

    task = {"protocol": "within", "runs": ["data=simulation split=leave_one_out split.fold=0,1"]}
    cells = plan_cells({"iib": task}, ["lda"], [3], [], tmp_path / "mine")
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        wandb, own = (composed(Composer(), job_of(cell, 0))[0].logger.wandb for cell in cells)
        chosen = plan_cells({"iib": task}, ["lda"], [3], ["+logger.wandb.group=g"], tmp_path)[0]
        assert composed(Composer(), job_of(chosen, 0))[0].logger.wandb.group == "g"
        csv = plan_cells({"iib": task}, ["lda"], [3], ["logger=csv"], tmp_path)[0]
        assert composed(Composer(), job_of(csv, 0))[0].logger.wandb is None
    assert (wandb.group, wandb.job_type) == ("mine/iib", "benchmark")
    assert (wandb.name, own.name) == ("iib-lda-fold-0-seed3", "iib-lda-fold-1-seed3")


@pytest.fixture
def small_run(tmp_path, monkeypatch):
    """Train one small network with W&B as it is by default; give folder and records."""
    monkeypatch.chdir(tmp_path)

    def run(name="run", *overrides):
        few = [o for o in OVERRIDES if not o.startswith("experiment=")]
        train(
            tmp_path / name,
            *few,
            "experiment=cnn3",
            "name=cnn3",
            "logger.figures=never",
            *overrides,
        )
        return tmp_path / name, read_records(tmp_path / name)

    return run


def first(records, kind):
    return next(getattr(r, kind) for r in records if r.WhichOneof("record_type") == kind)


@pytest.mark.slow
def test_by_default_a_run_says_what_ran_where_and_has_a_history_to_stop_by(small_run):
    folder, records = small_run()
    run = first(records, "run")
    assert run.host == socket.gethostname() and run.project == "p300"
    assert run.display_name == "simulation-cnn3-seed0" and first(records, "environment")
    history = merged(records, "history")
    aucs = read_training(folder)["network 1"]["validation/auc"]
    assert history["validation/auc"] == pytest.approx(
        aucs.tolist()
    )  # what early termination reads
    assert first(records, "exit").exit_code == 0


@pytest.mark.slow
def test_environment_variables_of_wandb_win(small_run, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_NAME", "my name")
    monkeypatch.setenv("WANDB_RUN_GROUP", "my group")
    run = first(small_run()[1], "run")
    assert (run.project, run.display_name, run.run_group) == ("mine", "my name", "my group")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(ValueError):  # nothing is recorded
        small_run("disabled")


@pytest.mark.slow
def test_a_failed_run_is_one_for_wandb_too_and_the_next_start_goes_on_with_it(small_run, tmp_path):
    failing = ["protocol.optimizer.lr=inf"]
    with pytest.raises(InputError, match="diverged"):
        small_run("run", *failing)
    records = read_records(tmp_path / "run")
    assert first(records, "exit").exit_code == 1
    number = first(records, "run").run_id
    assert (tmp_path / "run" / "wandb" / "run_id").read_text().strip() == number


def test_a_training_that_is_resumed_is_the_same_run(tmp_path):
    from omegaconf import OmegaConf

    from p300.experiments.tracking import start_tracking

    offline = {"_target_": "wandb.init", "mode": "offline", "settings": {"silent": True}}
    cfg = OmegaConf.create({"logger": {"wandb": offline}, "seed": 0})
    choices = {"data": "simulation", "experiment": "cnn1", "protocol": "modern"}
    config = {"choices": choices, "name": "cnn1"}
    numbers = []
    for _ in range(2):
        tracker = start_tracking(cfg, config, tmp_path)
        numbers.append(tracker.id)
        tracker.finish()
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(
    "key",
    ["token_dim", "max_tokens", "n_users", "password_length", "secretary", "model.token_mixer"],
)
def test_numbers_of_a_network_are_not_taken_for_secrets(key):
    assert public({key: 64}) == {key: 64}


@pytest.mark.parametrize(
    "key", ["api_key", "wandb.api_key", "token", "hf_token", "password", "user"]
)
def test_secrets_are_left_out(key):
    assert public({key: "abc"}) == {key: "(left out)"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name, package", [("tensorboard", "tensorboard"), ("mlflow", "mlflow")])
def test_other_loggers_of_lightning_get_the_same_values(tmp_path, monkeypatch, name, package):
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    few = [o for o in OVERRIDES if not o.startswith("experiment=")]
    train(tmp_path / "run", *few, "experiment=cnn3", f"logger={name}")
    aucs = read_training(tmp_path / "run")["network 1"]["validation/auc"].tolist()
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        (folder,) = {file.parent for file in tmp_path.rglob("events.out.tfevents*")}
        found = EventAccumulator(str(folder))
        found.Reload()
        logged, (final,) = (
            [event.value for event in found.Scalars(name)]
            for name in ("validation/auc", "results/test/auc")
        )
    else:
        from mlflow.tracking import MlflowClient

        client = MlflowClient("sqlite:///mlflow.db")
        (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
        logged, (final,) = (
            [m.value for m in client.get_metric_history(run.info.run_id, name)]
            for name in ("validation/auc", "results/test/auc")
        )
    assert logged == pytest.approx(aucs, abs=1e-6)
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert final == pytest.approx(results["test"]["detection"]["auc"], abs=1e-6)


def test_a_failing_record_costs_no_run_its_results(p300, small, tmp_path, monkeypatch):
    import wandb

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(wandb, "Image", fail)
    small.remove("logger=csv")
    status, printed, errors = p300("train", "experiment=lda", *small)
    assert status == 0, errors
    assert "W&B lacks a part of this run: OSError: no space left" in printed
    assert len(list(tmp_path.rglob("results.json"))) == 1


@pytest.mark.slow
def test_without_wandb_nothing_of_it_is_imported(small, tmp_path):
    code = (
        "import sys; from p300.cli import main; sys.argv = ['p300', 'train', *sys.argv[1:]];"
        "main(); assert not [m for m in sys.modules if m.split('.')[0] == 'wandb']"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *small], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("results.json")) and not list(tmp_path.rglob("wandb"))
