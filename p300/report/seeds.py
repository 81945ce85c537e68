"""How far runs that differ in their seed alone learned the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from p300 import explain
from p300.detector import Detector
from p300.errors import InputError
from p300.experiments.finished import Run
from p300.experiments.identity import flatten
from p300.figures.style import count
from p300.report.repeat import read_yaml

#: Most seeds that are drawn.
MAX_SEEDS = 4

#: Values of a configuration that cannot change what is learned.
WITHOUT_EFFECT = ("choices", "logger", "trainer", "progress", "cache", "quiet")


def other_seeds(run: Run) -> dict[int, Path]:
    """Find the finished runs beside a run whose configuration differs in seeds alone, by seed."""
    own = _without_seeds(run.config)
    found = {}
    for path in sorted(run.folder.resolve().parent.glob("*/config.yaml")):
        if not (path.parent / "results.json").exists():
            continue
        config = read_yaml(path)
        if _without_seeds(config) == own and config.get("seed") != run.config["seed"]:
            found[int(config["seed"])] = path.parent
    return dict(sorted(found.items()))


def power_by_seed(run: Run) -> dict[str, np.ndarray]:
    """Compute the electrode power of a run and of the same detector with other seeds.

    Returns
    -------
    dict
        By "seed N", this run first; other seeds whose checkpoint cannot be read are left out.

    Raises
    ------
    InputError
        If the detector has no spatial filters.
    """
    powers = {f"seed {run.config['seed']}": explain.electrode_power(run.detector)}
    for seed, folder in list(other_seeds(run).items())[: MAX_SEEDS - 1]:
        try:
            power = explain.electrode_power(Detector.load(folder))
        except InputError:
            continue
        if len(power) == len(run.results["ch_names"]):
            powers[f"seed {seed}"] = power
    return powers


def agreement(powers: dict[str, np.ndarray]) -> str:
    """Say how far seeds agree in the power of the electrodes, or that there is one seed.

    Examples
    --------
    >>> agreement({"seed 0": np.array([1.0, 2.0, 3.0]), "seed 1": np.array([2.0, 4.0, 6.5])})
    '2 seeds agree: their powers correlate by 1.00 on average (1.00 at the least).'
    """
    if len(powers) == 1:
        return (
            f"These are the weights of {next(iter(powers))} alone. Another seed may learn others: "
            "train several seeds side by side to see how far they agree."
        )
    pairs = np.corrcoef(list(powers.values()))[np.triu_indices(len(powers), 1)]
    agree = "agree" if pairs.min() >= 0.7 else "agree in part" if pairs.mean() >= 0.3 else "differ"
    return (
        f"{count(len(powers), 'seed')} {agree}: their powers correlate by {pairs.mean():.2f} on "
        f"average ({pairs.min():.2f} at the least)."
    )


def _without_seeds(config: dict) -> dict:
    return {
        key: value
        for key, value in flatten(config).items()
        if key.rpartition(".")[2] != "seed" and key.partition(".")[0] not in WITHOUT_EFFECT
    }
