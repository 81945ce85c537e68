import numpy as np

from p300.experiments.finished import Run
from p300.report.seeds import agreement, other_seeds


def test_only_runs_that_differ_in_seeds_alone_are_other_seeds(tmp_path):
    def add(name, lr, seed, *, is_finished=True):
        (tmp_path / name).mkdir()
        text = f"seed: {seed}\nsplit: {{seed: {seed}}}\nprotocol: {{lr: {lr}}}\nlogger: {name}\n"
        (tmp_path / name / "config.yaml").write_text(text)
        if is_finished:
            (tmp_path / name / "results.json").touch()

    add("own", 0.1, 0)
    add("two", 0.1, 2)
    add("one", 0.1, 1)
    add("again", 0.1, 0)
    add("slower", 0.01, 3)
    add("unfinished", 0.1, 4, is_finished=False)
    config = {"seed": 0, "split": {"seed": 0}, "protocol": {"lr": 0.1}, "logger": "own"}
    run = Run(tmp_path / "own", {}, config, None, None)
    assert {seed: folder.name for seed, folder in other_seeds(run).items()} == {1: "one", 2: "two"}


def test_how_far_seeds_agree_is_said_in_words_and_numbers():
    rng = np.random.default_rng(0)
    power = rng.random(64)
    alike = {"seed 0": power, "seed 1": 2 * power, "seed 2": power + 1}
    assert agreement(alike).startswith("3 seeds agree: their powers correlate by 1.00")
    assert "differ" in agreement({"seed 0": power, "seed 1": rng.random(64)})
    opposite = agreement({"seed 0": power, "seed 1": -power})
    assert "differ" in opposite and "-1.00" in opposite
    assert "weights of seed 0 alone" in agreement({"seed 0": power})
