"""Which detectors a stack should have, judged on training parts alone.

    python tests/benchmarks/choose_stack.py SCORES            # needs P300_DATA_ROOT

For each recording the training part is cut into five folds of whole characters. Every candidate
scores each fold after training on the others; a network stops by one more fold, which it is not
trained on. For each set of candidates the weights are fitted to four folds' scores and applied to
the fifth. Test parts are never scored. Scores are kept in the folder SCORES and not made anew.
With ``--stop-on-scored`` a network stops by the fold that it scores, which shows how much too good
such scores are; give that another folder.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from p300.experiments.build import build
from p300.experiments.configuration import conf_dir
from p300.experiments.fitting.fit import fit_classical
from p300.experiments.fitting.groups import fit_network
from p300.experiments.fitting.networks import PlannedNetwork
from p300.experiments.prepare import read_recording
from p300.metrics import roc_auc
from p300.splits import inner_folds, shares_samples
from p300.training.members import is_network
from p300.training.stacking import fit_weights

RECORDINGS = {
    "iib": ["data=bci2_iib"],
    **{f"bnci-{k}": ["data=bnci", f"subject={k}"] for k in (6, 7, 8, 9, 10)},
    "muse-1": ["data=muse", "subject=1"],
    "muse-2": ["data=muse", "subject=2", "~data.test.session", "+data.test.run=[4,5]"],
    "bnci-people": ["data=bnci", "split=leave_one_out", "split.by=subject", "split.fold=0"],
}
MODELS = ("ridge", "xdawn", "lda", "riemann", "oclnn", "eegnet", "cecotti", "lstm", "svm_ensemble")


def left_out_scores(overrides, model_name, n_folds, folder, shift=1) -> dict[str, np.ndarray]:
    """Score each fold of a training part by a detector that was not trained on it."""
    fixed = ["experiment=best", "logger=csv", "progress=false", *overrides]
    cfg = compose("train", overrides=fixed)
    model = compose("train", overrides=[*fixed, f"model={model_name}"])
    model = OmegaConf.to_container(model, resolve=True)["model"]
    recording = read_recording(cfg.data, folder, build(cfg.preprocessing))
    split = instantiate(cfg.split, recording.flashes, _convert_="all").without_validation()
    preprocessor = instantiate(cfg.preprocessing, _convert_="all")
    epochs = preprocessor.fit(recording, rows=split.train).epochs(recording)
    flashes, window = epochs.flashes, (cfg.preprocessing.tmin, cfg.preprocessing.tmax)
    folds = inner_folds(flashes, split.train, n_folds)
    scores = np.zeros(len(folds))
    for k in range(folds.max() + 1):
        out = folds == k
        others = split.train & ~shares_samples(flashes, out, window)
        if is_network(model):
            stop = folds == (k + shift) % (folds.max() + 1)
            others &= ~shares_samples(flashes, stop, window)
            fit = PlannedNetwork(cfg, model, epochs, others, stop, k + 1, folder)
            member, _ = fit_network(fit)
        else:
            member = fit_classical(model, epochs, others)
        scores[out] = member.score(epochs.data[out])
    rows = split.train
    is_target = flashes["is_target"][rows].to_numpy(bool)
    return {"scores": scores[rows], "folds": folds[rows], "is_target": is_target}


def stacked_auc(parts) -> float:
    """Weigh some detectors on all folds but one, score that one; mean AUC over the folds."""
    scores = np.column_stack([part["scores"] for part in parts])
    folds, is_target = parts[0]["folds"], parts[0]["is_target"]
    found = []
    for k in range(folds.max() + 1):
        out = folds == k
        weights, _ = fit_weights(scores[~out], is_target[~out])
        found.append(roc_auc(is_target[out], scores[out] @ weights))
    return float(np.mean(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder of the scores")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--recordings", nargs="+", default=list(RECORDINGS))
    parser.add_argument("--largest", type=int, default=5, help="detectors in a set, at most")
    parser.add_argument("--stop-on-scored", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    options.scores.mkdir(parents=True, exist_ok=True)
    found = {}
    with initialize_config_dir(str(conf_dir()), version_base=None):
        for name, model in itertools.product(options.recordings, options.models):
            path = options.scores / f"{name}-{model}.npz"
            if not path.exists():
                asked = RECORDINGS[name], model, 5, options.scores, not options.stop_on_scored
                parts = left_out_scores(*asked)
                np.savez(path, **parts)
            found[name, model] = dict(np.load(path))
            print(f"{name} {model}: {stacked_auc([found[name, model]]):.3f}", flush=True)
    sets = [
        chosen
        for size in range(1, options.largest + 1)
        for chosen in itertools.combinations(options.models, size)
    ]
    table = {}
    for chosen in sets:
        parts = ([found[name, model] for model in chosen] for name in options.recordings)
        table[chosen] = [stacked_auc(part) for part in parts]
    print("\nmean  " + "  ".join(options.recordings))
    for chosen, aucs in sorted(table.items(), key=lambda row: -np.mean(row[1]))[:25]:
        print(f"{np.mean(aucs):.4f}  {'  '.join(f'{a:.3f}' for a in aucs)}  {' + '.join(chosen)}")


if __name__ == "__main__":
    main()
