"""Every row of conf/twins learns a simulated P300, and nothing without one."""

import pytest
import yaml

from p300.experiments.configuration import conf_dir
from p300.experiments.train import train

FILES = (conf_dir() / "twins").glob("*.yaml")
ROWS = sorted(row for path in FILES for row in yaml.safe_load(path.read_text("utf-8")))

SMALL = [
    "logger=csv",
    "quiet=true",
    "data.read.ch_names=[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]",
    "data.read.train_text=TWELVELETTER",
    "data.read.test_text=TESTED",
    "data.read.n_repetitions=4",
    "held_out_folds=0",
]

#: Least AUC of 288 test flashes after at most 12 training epochs.
LEAST = 0.7

#: The AUC of scores that know nothing, and 3.5 standard errors of it for 48 targets.
CHANCE, TOLERANCE = 0.5, 3.5 * 0.046


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_a_row_learns_a_simulated_p300_and_labels_without_one_stay_at_chance(row, tmp_path):
    aucs = []
    for p300_uv, n_epochs in ((10, 12), (0, 4)):
        given = [f"data.read.brain.p300_uv={p300_uv}", f"protocol.max_epochs={n_epochs}"]
        found = train(tmp_path / str(p300_uv), f"experiment={row}", *SMALL, *given)
        aucs.append(found["test"]["detection"]["auc"])
    assert aucs[0] > LEAST
    assert aucs[1] == pytest.approx(CHANCE, abs=TOLERANCE)
