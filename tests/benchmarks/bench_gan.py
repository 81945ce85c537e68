"""What generated epochs are worth: detectors trained on them, and how many are copies.

    python tests/benchmarks/bench_gan.py                       # the simulation
    python tests/benchmarks/bench_gan.py data=bnci subject=7   # needs P300_DATA_ROOT

The generator learns from the training part alone. Shrinkage LDA is then trained on that part, on
as many generated epochs with the same labels, and on both; all three are tested on the real test
part. A generated target is a copy if its nearest real target of the training part is closer than
the median distance of these to their nearest others; the same is said of the real targets of the
test part, which are no copies.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from p300.baselines import ShrinkageLDA
from p300.experiments.build import build
from p300.experiments.configuration import conf_dir
from p300.experiments.prepare import read_recording
from p300.metrics import roc_auc
from p300.training.augmentation import GeneratedTargets
from p300.training.augmentation.gan import share_of_copies
from p300.training.members import labels


def real_parts(cfg, folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return epochs and labels of the training part, and of the test part."""
    recording = read_recording(cfg.data, folder, build(cfg.preprocessing))
    split = instantiate(cfg.split, recording.flashes, _convert_="all").without_validation()
    preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    epochs = preprocessor.fit(recording, rows=split.train).epochs(recording)
    return [(epochs.data[rows], labels(epochs)[rows]) for rows in (split.train, split.test)]


def auc_of(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Train shrinkage LDA on one part and compute its AUC on the other."""
    return roc_auc(test[1], ShrinkageLDA().fit(*train).decision_function(test[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="of p300 train, such as data=bnci subject=7")
    parser.add_argument("--seeds", type=int, default=3, help="number of generators")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with (
        initialize_config_dir(str(conf_dir()), version_base=None),
        tempfile.TemporaryDirectory() as folder,
    ):
        cfg = compose("train", overrides=["experiment=gan", *options.overrides])
        train, test = real_parts(cfg, Path(folder))
    real, is_target = map(torch.as_tensor, train)
    targets = real[is_target]
    print(f"training part: {len(real)} flashes; test part: {len(test[0])} flashes")
    print(f"AUC of real epochs: {auc_of(train, test):.3f}")
    new = share_of_copies(torch.as_tensor(test[0][test[1]]), targets)
    print(f"'copies' among real targets of the test part: {new:.2f}")
    print("seed  fit s  AUC of generated  AUC of both  copies  correlation of mean targets")
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        augment, start = build(cfg.augmentation.steps.gan), time.perf_counter()
        assert isinstance(augment, GeneratedTargets)
        augment.fit(real, is_target)
        seconds = time.perf_counter() - start
        made = augment.generate(is_target)
        both = np.concatenate([real, made]), np.tile(train[1], 2)
        aucs = auc_of((made.numpy(), train[1]), test), auc_of(both, test)
        means = [part[is_target].mean(0).flatten() for part in (made, real)]
        alike = np.corrcoef(*means)[0, 1]
        copies = share_of_copies(made[is_target], targets)
        print(
            f"{seed:4d}  {seconds:5.1f}  {aucs[0]:16.3f}  {aucs[1]:11.3f}  {copies:6.2f}  "
            f"{alike:27.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
