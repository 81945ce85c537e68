"""The same seed on the same machine gives the same numbers to the last bit.

Golden results are of the tested versions in constraints.txt. Where training is changed on purpose,
print the new ones with ``python tests/experiments/test_determinism.py`` and say old and new in
CHANGELOG.md.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from p300.experiments.configuration import conf_dir
from p300.experiments.train import train

#: Twins of rows of conf/twins that differ from them in a value alone, not in the code that trains.
SAME_CODE = {
    *("autoencoder_random", "graph_random", "resnet_plain", "gan_average", "gan_repeat"),
    *("vgg_no_norm", "vgg_no_dropout", "vgg_plain", "federated_pooled"),
}
EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
EXPERIMENTS = [name for name in EXPERIMENTS if name not in SAME_CODE]

#: A training of every kind in about a second: two passes of a few batches.
TINY = [
    "logger=csv",
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=ABCDEFGHIJ",
    "data.read.test_text=P3",
    "data.read.n_repetitions=2",
    "protocol.max_epochs=2",
    "trainer.limit_train_batches=24",
    "quiet=true",
]

#: Scores of networks whose sums were made in another order may differ by this share of their
#: range: training makes rounding larger (measured: 3e-7 to 3e-3). Other detectors do not differ.
ROUNDING = 1e-2

#: Text read from the test part after one repetition and after all, and its AUC to four digits.
GOLDEN = {
    "cnn1": ("6ELHO_PY_WAVE", "HELLO_P3_WAVE", 0.8912),
    "lda": ("6ERHC6NP_KMVB", "HELLO_P3_WAVE", 0.8549),
}
GOLDEN_REAL = {
    "cnn1": ("BBMJIE", "HAMPIE", 0.9260),
    "lda": ("BCMPIE", "HAMPIE", 0.9299),
}


def scores_of(folder):
    return pd.read_csv(folder / "scores.csv")["score"].to_numpy()


def weights_of(folder):
    """Every number that a checkpoint stores."""
    import torch

    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    return [m["state"] for m in content["members"]], content["preprocessing"]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_same_seed_gives_the_same_bits(experiment, tmp_path):
    for name in ("one", "two"):
        test = train(tmp_path / name, f"experiment={experiment}", *TINY)["test"]
    assert test["n_flashes"] == 2 * 2 * 12 and test["wanted"] == "P3"
    assert [row["n_repetitions"] for row in test["spelling"]] == [1, 2]
    for file in ("scores.csv", "held_out.csv"):
        one, two = tmp_path / "one" / file, tmp_path / "two" / file
        assert one.exists() == two.exists()
        if one.exists():
            assert one.read_bytes() == two.read_bytes(), file
    assert repr(weights_of(tmp_path / "one")) == repr(weights_of(tmp_path / "two"))
    assert np.ptp(scores_of(tmp_path / "one")) > 0


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["cnn1", "eegnet", "lda", "riemann", "swlda"])
def test_the_number_of_threads_changes_rounding_alone(experiment, tmp_path):
    for threads in (1, 2):
        train(tmp_path / str(threads), f"experiment={experiment}", *TINY, f"threads={threads}")
    one, two = scores_of(tmp_path / "1"), scores_of(tmp_path / "2")
    is_network = (tmp_path / "1" / "networks").exists()
    atol = ROUNDING * np.ptp(one) if is_network else 0
    np.testing.assert_allclose(one, two, rtol=0, atol=atol)


@pytest.mark.slow
def test_another_process_gives_the_same_bits(tmp_path):
    code = "import sys; from p300.experiments.train import train; name, *rest = sys.argv[1:]\n"
    code += "for e in 'cnn3', 'light': train(f'{name}/{e}', f'experiment={e}', *rest)"
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "there", *TINY],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=Path(__file__).parents[2],
    )
    for experiment in ("cnn3", "light"):
        train(tmp_path / "here" / experiment, f"experiment={experiment}", *TINY)
        one, two = (tmp_path / side / experiment / "scores.csv" for side in ("here", "there"))
        assert one.read_bytes() == two.read_bytes()


def found(folder, *overrides):
    """Train, and give what :data:`GOLDEN` holds."""
    test = train(folder, "logger=csv", "quiet=true", *overrides)["test"]
    first, last = test["spelling"][0]["text"], test["spelling"][-1]["text"]
    return first, last, round(test["detection"]["auc"], 4)


def needs_tested_versions():
    import scipy
    import torch

    text = (Path(__file__).parents[2] / "constraints.txt").read_text()
    tested = dict(re.findall(r"^([\w-]+)==(.+)$", text, re.MULTILINE))
    for module in (torch, np, scipy):
        if module.__version__.partition("+")[0] != tested[module.__name__].partition("+")[0]:
            pytest.skip(f"golden results are of the versions in constraints.txt ({module})")


@pytest.mark.slow
@pytest.mark.parametrize("experiment", sorted(GOLDEN))
def test_the_embedded_recording_is_read_as_ever(experiment, tmp_path):
    needs_tested_versions()
    assert found(tmp_path / "run", f"experiment={experiment}") == GOLDEN[experiment]


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("experiment", sorted(GOLDEN_REAL))
def test_a_real_recording_is_read_as_ever(experiment, tmp_path, data_root):
    needs_tested_versions()
    options = [f"experiment={experiment}", "data=bci2_iib"]
    assert found(tmp_path / "run", *options) == GOLDEN_REAL[experiment]


if __name__ == "__main__":
    import tempfile

    for experiment in ("cnn1", "lda"):
        place = Path(tempfile.mkdtemp()) / "run"
        print(json.dumps([experiment, *found(place, f"experiment={experiment}")]))
        if os.environ.get("P300_DATA_ROOT"):
            options = [f"experiment={experiment}", "data=bci2_iib"]
            print(json.dumps([*options, *found(place.with_name("real"), *options)]))
