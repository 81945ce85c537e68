"""The name of a run: its experiment and what deviates from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

#: Keys that do not change the results of a run, with everything below them.
WITHOUT_EFFECT = (
    "cache",
    "choices",
    "hydra",
    "logger",
    "name",
    "progress",
    "quiet",
    "reuse",
    "runs_per_job",
    "save_every_s",
    "search",
    "threads",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.num_nodes",
    "trainer.num_sanity_val_steps",
    "trainer.strategy",
)

#: Keys that a name leaves out, since a table or a folder has places of their own for them.
LEFT_OUT = ("data", "experiment", "seed", "subject")

#: Longer names end in a hash: file systems allow 255 bytes.
LONGEST = 100


def has_effect(key: str) -> bool:
    """Return whether a key of a configuration can change the results of a run.

    Examples
    --------
    >>> has_effect("trainer.precision"), has_effect("trainer.devices"), has_effect("cache.folder")
    (True, False, False)
    """
    return not _is_below(key, WITHOUT_EFFECT)


def run_name(choices: Mapping[str, str | None], overrides: Iterable[str] = ()) -> str:
    """Return the name of a run, which may be part of a path: experiment and what deviates.

    Parameters
    ----------
    choices : mapping of str to str or None
        The file that each configuration group uses. Without an experiment, the name begins with
        the model.
    overrides : iterable of str
        As typed. ``name=…`` is the name. Otherwise data with all below it, subject and seed are
        left out, and so is what does not change the results. The order does not matter.

    Returns
    -------
    str
        Letters, digits and ``_.+-``. Equal values give equal names. A name of more than
        :data:`LONGEST` characters is cut and ends in a hash of all of it.

    Examples
    --------
    >>> typed = ["model=eegnet", "seed=1", "data=bnci", "protocol.optimizer.lr=0.01"]
    >>> run_name({"experiment": "cnn1"}, typed)
    'cnn1_model-eegnet_lr-0.01'
    >>> run_name({"experiment": None, "model": "mlp"}, ["experiment=null", "model=mlp"])
    'mlp'
    >>> run_name({"experiment": "cnn1"}, ["preprocessing.channels=[Cz,Pz]", "~split.test"])
    'cnn1_channels-Cz-Pz_no-test'
    >>> run_name({"experiment": "cnn1"}, ["model=eegnet", "name=first idea"])
    'first-idea'
    """
    overrides = list(overrides)
    typed = [text.partition("=")[2] for text in overrides if text.startswith("name=")]
    if typed and typed[-1] not in ("", "null"):
        return _cut(_safe(typed[-1]))
    experiment = choices.get("experiment")
    values: dict[str, tuple[str, bool]] = {}
    for override in overrides:
        key, _, value = override.partition("=")
        path = key.lstrip("+~")
        begins_the_name = path == "model" and not experiment
        if has_effect(path) and not _is_below(path, LEFT_OUT) and not begins_the_name:
            values[path] = value, key.startswith("~")
    keys = sorted(values, key=lambda key: ("." in key, key))
    parts = [_safe(str(experiment or choices.get("model") or "run"))]
    for key, short in zip(keys, short_names(keys), strict=True):
        (value, is_removed), short = values[key], short.removesuffix("._target_")
        parts.append(f"no-{_safe(short)}" if is_removed else f"{_safe(short)}-{_safe(value)}")
    return _cut("_".join(parts))


def short_names(keys: Iterable[str]) -> list[str]:
    """Shorten each key to its last parts, as few as tell it from the others.

    Examples
    --------
    >>> short_names(["model.dropout", "protocol.optimizer.lr", "data.read.seed", "split.seed"])
    ['dropout', 'lr', 'read.seed', 'split.seed']
    >>> short_names(["model._target_", "model"])
    ['model._target_', 'model']
    """
    paths = [key.split(".") for key in keys]
    lengths = [2 if path[-1] == "_target_" else 1 for path in paths]
    while True:
        names = [".".join(path[-n:]) for path, n in zip(paths, lengths, strict=True)]
        longer = [
            min(n + (names.count(name) > 1), len(path))
            for name, path, n in zip(names, paths, lengths, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _is_below(key: str, parents: Iterable[str]) -> bool:
    return any(key == parent or key.startswith((f"{parent}.", f"{parent}/")) for parent in parents)


def _safe(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text.strip(" []{}()'\"/\\").replace("'", ""))


def _cut(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
