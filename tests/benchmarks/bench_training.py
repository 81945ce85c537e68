"""How fast networks train, as ratios to the usual way, in one run.

python tests/benchmarks/bench_training.py --quick         two minutes on two busy cores
python tests/benchmarks/bench_training.py [--n-flashes 15300] [--threads 2] [--device cpu]

The usual way: textbook layers, a ``DataLoader``, a plain loop. Every way trains the same number
of epochs over the same noise, with Adam, at batch 128; the best of some repeats counts.
"""

from __future__ import annotations

import argparse
import functools
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from p300.experiments.fitting.groups import STEP_MB
from p300.losses import CrossEntropy
from p300.models import CecottiCNN, EEGNet
from p300.models.protocols import ReadsTimeFirst
from p300.training.callbacks.curves import TrainingCurve
from p300.training.callbacks.resuming import SavedTraining
from p300.training.datamodule import EpochsDataModule, time_first
from p300.training.loop import NetworkFit, train_network
from p300.training.module import TrainingModule
from p300.training.side_by_side import train_side_by_side

N_CHANS, N_TIMES, BATCH = 64, 78, 128


class TextbookCNN1(nn.Module):
    """CNN-1 as its paper draws it: two convolutions, the second in ten groups."""

    def __init__(self):
        super().__init__()
        self.spatial = nn.Conv2d(1, 10, (N_CHANS, 1))
        self.temporal = nn.Conv2d(10, 50, (1, 13), stride=(1, 13), groups=10)
        self.hidden, self.final_layer = nn.Linear(300, 100), nn.Linear(100, 2)

    def forward(self, x):
        x = 1.7159 * torch.tanh(2 / 3 * self.spatial(x[:, None]))
        x = 1.7159 * torch.tanh(2 / 3 * self.temporal(x))
        return self.final_layer(torch.sigmoid(self.hidden(x.flatten(1))))


class TextbookEEGNet(nn.Module):
    """EEGNet-8,2 as braindecode and the paper's authors build it: four convolutions."""

    def __init__(self, sfreq=120):
        super().__init__()
        half = sfreq // 2
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, (1, half), padding=(0, half // 2), bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 16, (N_CHANS, 1), groups=8, bias=False),
            nn.BatchNorm2d(16),
            nn.ELU(),
            nn.AvgPool2d((1, 4)),
            nn.Dropout(0.25),
            nn.Conv2d(16, 16, (1, 16), padding=(0, 8), groups=16, bias=False),
            nn.Conv2d(16, 16, (1, 1), bias=False),
            nn.BatchNorm2d(16),
            nn.ELU(),
            nn.AvgPool2d((1, 8)),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.LazyLinear(2),
        )

    def forward(self, x):
        return self.layers(x[:, None])


def usual_way(make_network, epochs, is_target, n_epochs, device):
    """Train by a plain loop over a DataLoader."""
    network = make_network().to(device)
    network(torch.zeros(2, N_CHANS, N_TIMES, device=device))
    optimizer = torch.optim.Adam(network.parameters())
    data = TensorDataset(torch.as_tensor(epochs), torch.as_tensor(is_target).long())
    for _ in range(n_epochs):
        for x, y in DataLoader(data, batch_size=BATCH, shuffle=True):
            loss = F.cross_entropy(network(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def raw_loop(make_network, epochs, is_target, n_epochs, device):
    """Train our network by a plain loop over gathered batches: what Lightning is held against."""
    network = make_network().to(device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    loss_of = CrossEntropy(is_target).to(device)
    x, y = torch.as_tensor(epochs).to(device), torch.as_tensor(is_target).to(device)
    x = x.mT.contiguous() if isinstance(network, ReadsTimeFirst) else x
    for _ in range(n_epochs):
        for rows in torch.randperm(len(x)).to(device).split(BATCH):
            batch = x.index_select(0, rows)
            batch = batch.mT if isinstance(network, ReadsTimeFirst) else batch
            loss = loss_of(network(batch), y.index_select(0, rows))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def make_fit(make_network, epochs, is_target, rows, seed, folder):
    """Put a network into training as `p300 train` does: curves as CSV, little validation."""
    some = np.arange(len(epochs)) < 256
    adam = functools.partial(torch.optim.Adam, fused=True)
    return NetworkFit(
        TrainingModule(make_network(), CrossEntropy(is_target), adam),
        EpochsDataModule(epochs, is_target, rows, some, batch_size=BATCH, seed=seed),
        TrainingCurve(Path(folder) / str(seed) / "metrics.csv"),
    )


def our_way(
    make_network, epochs, is_target, n_epochs, device, *, parts=None, engine=False, **more
):
    """Train as `p300 train` does: one network by its own trainer, several side by side.

    With ``engine`` one network is trained by what trains several.
    """
    parts = parts or [np.ones(len(epochs), bool)]
    if isinstance(make_network(), ReadsTimeFirst):
        epochs = time_first(epochs)  # once for all networks
    trainer = functools.partial(
        pl.Trainer,
        max_epochs=n_epochs,
        accelerator=device if device == "cpu" else "gpu",
        devices=1,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,
        precision=more.get("precision", "32-true"),
    )
    with tempfile.TemporaryDirectory() as folder:
        fits = [
            make_fit(make_network, epochs, is_target, rows, k, folder)
            for k, rows in enumerate(parts)
        ]
        saved = SavedTraining(Path(folder) / "1.ckpt", "benchmark")
        if len(fits) > 1 or engine:
            compiled = torch.compile if more.get("is_compiled") else lambda function: function
            largest = int(STEP_MB / (BATCH * epochs[0].nbytes / 1e6))
            for k, some in enumerate(np.array_split(fits, -(-len(fits) // largest))):
                saved = SavedTraining(Path(folder) / f"group{k}.ckpt", "benchmark")
                patience = n_epochs + 1
                train_side_by_side(some, saved, trainer, patience=patience, compiled=compiled)
        else:
            callbacks = [
                EarlyStopping("validation/auc", mode="max", patience=n_epochs + 1),
                ModelCheckpoint(folder, monitor="validation/auc", mode="max", filename="best"),
            ]
            train_network(fits[0], saved, trainer, callbacks)


def measure(ways, repeats, device):
    """Time some ways in turns, and print as it goes; the best of each, in seconds."""
    best = dict.fromkeys(ways, float("inf"))
    for repeat in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if device != "cpu":
                torch.cuda.synchronize()
            spent = time.perf_counter() - started
            best[name] = min(best[name], spent)
            print(f"{repeat + 1} of {repeats}  {name:32} {spent:7.2f} s", flush=True)
    print()
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-flashes", type=int, default=15300)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="5,120 flashes, 6 epochs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    if options.quick:
        options.n_flashes, options.epochs = 5120, 6
    n, n_epochs, device = options.n_flashes, options.epochs, options.device
    epochs = rng.standard_normal((n, N_CHANS, N_TIMES), np.float32)
    is_target = np.arange(n) % 6 == 0
    data = epochs, is_target, n_epochs, device

    few = epochs[: n // 10], is_target[: n // 10], n_epochs, device  # for the slow ones
    cnn1 = functools.partial(CecottiCNN, N_CHANS, 2, N_TIMES)
    eegnet = functools.partial(EEGNet, N_CHANS, 2, N_TIMES, 120.0)
    nontargets = rng.permutation(np.flatnonzero(~is_target))
    fifths = [is_target | np.isin(np.arange(n), part) for part in np.array_split(nontargets, 5)]
    n_mcnn = sum(part.sum() for part in fifths)

    def five_textbooks():
        for part in fifths:
            usual_way(TextbookCNN1, epochs[part], is_target[part], n_epochs, device)

    def five_alone():
        for part in fifths:
            our_way(cnn1, *data, parts=[part])

    eight = 8 * [np.ones(len(few[0]), bool)]

    def eight_alone():
        for part in eight:
            our_way(eegnet, *few, parts=[part])

    ways = {
        "CNN-1: textbook, DataLoader": lambda: usual_way(TextbookCNN1, *data),
        "CNN-1: raw loop": lambda: raw_loop(cnn1, *data),
        "CNN-1: p300": lambda: our_way(cnn1, *data),
        "CNN-1: p300, side-by-side engine": lambda: our_way(cnn1, *data, engine=True),
        "MCNN-1: five textbooks": five_textbooks,
        "MCNN-1: p300, one by one": five_alone,
        "MCNN-1: p300": lambda: our_way(cnn1, *data, parts=fifths),
        "MCNN-1: p300, bf16, compiled": lambda: our_way(
            cnn1, *data, parts=fifths, precision="bf16-mixed", is_compiled=True
        ),
        "EEGNet: textbook, DataLoader": lambda: usual_way(TextbookEEGNet, *few),
        "EEGNet: p300": lambda: our_way(eegnet, *few),
        "8 EEGNets: p300, one by one": eight_alone,
        "8 EEGNets: p300": lambda: our_way(eegnet, *few, parts=eight),
    }
    if device == "cpu":
        del ways["MCNN-1: p300, bf16, compiled"]
    seconds = measure(ways, options.repeats, device)
    print(f"{n} flashes of {N_CHANS} x {N_TIMES}, {n_epochs} epochs, batch {BATCH}, {device},")
    print(f"torch {torch.__version__}, {options.threads} threads, best of {options.repeats}\n")
    for name, spent in seconds.items():
        per_epoch = {"MCNN": n_mcnn, "EEGN": n // 10, "8 EE": 8 * n // 10}.get(name[:4], n)
        print(f"{name:32} {spent:7.2f} s {per_epoch * n_epochs / spent:9.0f} flashes/s")
    print()
    for title, ours, theirs, bound in (
        ("CNN-1 against textbook", "CNN-1: p300", "CNN-1: textbook, DataLoader", ">= 2"),
        ("CNN-1 against the engine", "CNN-1: p300", "CNN-1: p300, side-by-side engine", ">= 0.8"),
        ("MCNN-1 against five textbooks", "MCNN-1: p300", "MCNN-1: five textbooks", ">= 4"),
        ("MCNN-1 against one by one", "MCNN-1: p300", "MCNN-1: p300, one by one", ""),
        ("EEGNet against textbook", "EEGNet: p300", "EEGNet: textbook, DataLoader", ">= 2"),
        ("8 EEGNets against one by one", "8 EEGNets: p300", "8 EEGNets: p300, one by one", ">= 2"),
        ("Lightning: raw loop", "CNN-1: p300", "CNN-1: raw loop", ""),
    ):
        print(f"{title:32} {seconds[theirs] / seconds[ours]:6.2f} x  {bound}")
    print(f"(side by side: up to {STEP_MB} MB of epochs a step)")


if __name__ == "__main__":
    main()
