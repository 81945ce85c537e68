"""What a run records in W&B, and what it leaves out.

Numbers are always recorded; tables, figures and text unless ``logger.share=numbers``; the
checkpoint if ``logger.artifact=true``. W&B itself records commit, command, computer and its load;
with ``logger=private`` it does not. The configuration holds no absolute path.
``docs/wandb.md`` says how to view it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300 import figures
from p300.errors import InputError
from p300.experiments.build import build
from p300.experiments.configuration import is_sweep
from p300.experiments.fitting.trainer import build_loggers
from p300.experiments.identity import flatten
from p300.experiments.processes import is_helper
from p300.experiments.results import SESSION, read_scores
from p300.spelling import spell
from p300.splits import PARTS
from p300.storage.privacy import public, without_paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from omegaconf import DictConfig

    from p300.experiments.fitting.run import Run
    from p300.speller import Speller

log = logging.getLogger("p300.experiments.tracking")

SHARES = ("all", "numbers")

#: Columns of the table of accuracies.
COLUMNS = ("n_repetitions", "accuracy", "low", "high", "bits_per_minute", "text")

#: Dots per inch of a figure: 770 pixels for one that fills a page.
DPI = 110


#: Environment variables of W&B that win over the arguments of ``wandb.init`` configured here.
VARIABLES = {
    "dir": "WANDB_DIR",
    "entity": "WANDB_ENTITY",
    "group": "WANDB_RUN_GROUP",
    "id": "WANDB_RUN_ID",
    "job_type": "WANDB_JOB_TYPE",
    "mode": "WANDB_MODE",
    "name": "WANDB_NAME",
    "notes": "WANDB_NOTES",
    "project": "WANDB_PROJECT",
    "resume": "WANDB_RESUME",
    "tags": "WANDB_TAGS",
}

#: File in the run folder with the id of its W&B run, by which a resumed training goes on with it.
RUN_ID = "wandb/run_id"


def start_tracking(cfg: DictConfig, config: dict[str, Any], folder: Path):
    """Start the W&B run that the logger configuration asks for; return None if it asks for none.

    Raises
    ------
    InputError
        If ``logger.share`` is unknown, or excludes what ``logger.artifact`` asks for, or W&B does
        not start.
    """
    if cfg.logger.get("wandb") is None or is_helper():
        return None
    share = cfg.logger.get("share", "all")
    if share not in SHARES:
        raise InputError(f"got logger.share={share}; expected one of {', '.join(SHARES)}")
    if share == "numbers" and cfg.logger.get("artifact"):
        raise InputError(
            "got logger.share=numbers, which sends no checkpoint, and logger.artifact=true, which "
            "asks for the checkpoint; expected one of them"
        )
    import wandb

    known = folder / RUN_ID
    named = {**names_of(cfg, config), "dir": str(folder.resolve())}  # it may run elsewhere
    if known.exists():
        named["id"] = known.read_text("utf-8").strip()
        if (os.environ.get("WANDB_MODE") or cfg.logger.wandb.get("mode")) == "online":
            named["resume"] = "allow"
    try:
        arguments, names = with_environment(cfg.logger.wandb, named)
        tracker = build(arguments, **names)
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"W&B did not start: {reason}; use WANDB_MODE=offline or logger=csv"
        ) from error
    known.parent.mkdir(exist_ok=True)
    known.write_text(f"{tracker.id}\n", encoding="utf-8")
    tracker.config.update(shareable(config, share), allow_val_change=True)
    return tracker


def names_of(cfg: DictConfig, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the W&B run of a run is named and grouped."""
    choices = config["choices"]
    subject = config.get("subject")
    parts = [choices["data"], subject if subject not in (None, "???") else None]
    parts += [config["name"], f"seed{cfg.seed}"]
    if (fold := config.get("split", {}).get("fold")) is not None:
        parts.append(f"fold{fold}")
    tags = [choices.get("experiment") or choices.get("model"), choices["protocol"]]
    return {
        "name": "-".join(str(part) for part in parts if part is not None),
        "group": choices["data"],
        "job_type": "train",
        "tags": tags,
    }


def with_environment(
    configured: DictConfig, named: Mapping[str, Any]
) -> tuple[DictConfig, dict[str, Any]]:
    """Replace by W&B's environment variables what they set of its arguments.

    Of the others the configured ones win over ``named``, which are returned beside them.
    """
    from omegaconf import open_dict

    configured = configured.copy()
    with open_dict(configured):
        for name, variable in VARIABLES.items():
            if given := os.environ.get(variable):
                configured[name] = given.split(",") if name == "tags" else given
        for name in list(configured.get("settings") or {}):
            if os.environ.get(f"WANDB_{str(name).upper()}"):
                del configured.settings[name]
    return configured, {k: v for k, v in named.items() if k not in configured}


def end_tracking(run: Run) -> None:
    """Finish the W&B run of a run, with exit code 1 if the run has no results."""
    if run.tracker is not None:
        run.tracker.finish(exit_code=0 if run.is_finished else 1)


def shareable(config: dict[str, Any], share: str = "all") -> dict[str, Any]:
    """Remove from a run's configuration what tells where it ran, and on whose data.

    Parameters
    ----------
    config : dict
        Resolved, plain containers.
    share : {"all", "numbers"}
        With "numbers", only the subject's code is left of ``data``.

    Returns
    -------
    dict
        Absolute paths below the working directory become relative to it; of others the last part
        is left.

    Examples
    --------
    >>> shareable({"data": {"root": "/home/me/eeg/iib", "subject": "A"}})
    {'data': {'root': 'iib', 'subject': 'A'}}
    >>> shareable({"data": {"root": "/home/me/eeg/iib", "subject": "A"}}, "numbers")
    {'data': {'subject': 'A'}}
    """
    if share == "numbers":
        kept = {k: v for k, v in config.get("data", {}).items() if k == "subject"}
        config = {**config, "data": kept}
    return without_paths(public(config), mark="")


def log_run(
    tracker, cfg: DictConfig, results: dict[str, Any], speller: Speller | None, folder: Path
) -> None:
    """Record a finished run: its summary, and what else it may share.

    A failure is logged as a warning, and the run keeps its results.
    """
    folder = folder.resolve()
    try:
        tracker.summary.update(headline(results))
        with _staged_below(folder):
            if cfg.logger.get("share", "all") == "all":
                monitor = cfg.protocol.monitor if has_figures(cfg) else None
                tracker.log(tables_and_figures(results, speller, folder, monitor))
            if cfg.logger.get("artifact"):
                log_checkpoint(tracker, results, folder)
    except Exception as error:  # of any kind: the training may have taken hours
        log.warning("W&B lacks a part of this run: %s: %s", type(error).__name__, error)
        log.debug("", exc_info=True)


def log_results(
    cfg: DictConfig,
    config: dict[str, Any],
    folder: Path,
    results: dict[str, Any],
    loggers: Sequence[Any] | None = None,
) -> None:
    """Send configuration and headline of a finished run to Lightning's loggers, if there are any.

    Those of the first network get them, or new ones. A failure is logged as a warning.
    """
    try:
        for logger in loggers or build_loggers(cfg, folder, 1, 1):
            logger.log_hyperparams(flatten(shareable(config, cfg.logger.get("share", "all"))))
            # apart from the curves, whose names they share
            logger.log_metrics({f"results/{k}": v for k, v in headline(results).items()})
            logger.finalize("success")
    except Exception as error:  # of any kind: the training may have taken hours
        log.warning("a logger lacks the results: %s: %s", type(error).__name__, error)
        log.debug("", exc_info=True)


def has_figures(cfg: DictConfig) -> bool:
    """Return whether W&B gets figures: if asked for, or if the run is not one of a sweep."""
    return bool({"always": True, "never": False}.get(cfg.logger.get("figures"), not is_sweep()))


def headline(results: dict[str, Any]) -> dict[str, float]:
    """Select the few numbers by which runs are compared."""
    kept = ("fit_s", "preprocess_s", "n_parameters")
    numbers: dict[str, float] = {k: results[k] for k in kept if k in results}
    for part in (*PARTS[1:], SESSION):
        summary = results.get(part, {})
        numbers |= {f"{part}/{k}": value for k, value in summary.get("detection", {}).items()}
        rows = [row for row in summary.get("spelling", []) if row["n_characters"]]
        for row in rows:
            numbers[f"{part}/accuracy_{row['n_repetitions']:02d}"] = row["accuracy"]
            numbers[f"{part}/bits_per_min_{row['n_repetitions']:02d}"] = row["bits_per_minute"]
        if rows:
            numbers[f"{part}/best_bits_per_min"] = max(r["bits_per_minute"] for r in rows)
    return {k: v for k, v in numbers.items() if math.isfinite(v)}


def tables_and_figures(
    results: dict[str, Any], speller: Speller | None, folder: Path, monitor: str | None
) -> dict[str, Any]:
    """Build W&B's table and images of a run; figures without data are left out.

    If ``monitor`` is None, there are no images.
    """
    import wandb
    from PIL import Image  # comes with matplotlib, and is imported as late

    part = "test" if "test" in results else "validation"
    rows = results.get(part, {}).get("spelling", [])
    logged: dict[str, Any] = {}
    if rows:
        cells = [[_finite(row[column]) for column in COLUMNS] for row in rows]
        names: list[str | int] = [column.replace("minute", "min") for column in COLUMNS]
        logged[f"{part}/accuracy_by_repetition"] = wandb.Table(columns=names, data=cells)
    drawn = {} if monitor is None else _figures(results, part, speller, folder, monitor)
    for name, draw in drawn.items():
        try:
            figure, file = draw(), io.BytesIO()
            figure.savefig(file, format="png", dpi=DPI)
            image = wandb.Image(Image.open(file), caption=str(figure.get_label()))
            logged[f"figures/{name}"] = image
        except InputError as error:
            log.debug("no figure of %s: %s", name, error)
    return logged


def _figures(
    results, part: str, speller: Speller | None, folder: Path, monitor: str
) -> dict[str, Callable[[], Figure]]:
    name, scores = results["name"], read_scores(folder, part)
    drawn = {
        "training": lambda: figures.draw_training(figures.read_training(folder), monitor=monitor),
        "roc": lambda: figures.draw_roc({name: scores}, part=part),
    }
    if speller is not None and "spelling" in results.get(part, {}):
        rows, n_symbols = results[part]["spelling"], len(speller.symbols)
        spelled = spell(scores["score"], scores, speller)
        drawn["accuracy"] = lambda: figures.draw_accuracy({name: rows}, n_symbols=n_symbols)
        drawn["confusion"] = lambda: figures.draw_confusion(spelled, speller)
    return drawn


def log_checkpoint(tracker, results: dict[str, Any], folder: Path) -> None:
    """Record the checkpoint as an artifact; the copy holds no absolute path."""
    import wandb

    from p300.detector import Detector

    detector = Detector.load(folder / "checkpoint.pt")
    detector.config = shareable(detector.config)
    path = folder / "wandb" / "checkpoint.pt"
    path.parent.mkdir(exist_ok=True)
    detector.save(path)
    name = f"{results['choices']['data']}-{results['name']}"
    metadata = {"seed": results["seed"], **headline(results)}
    artifact = wandb.Artifact(name, type="model", metadata=metadata)
    artifact.add_file(str(path), "checkpoint.pt", policy="immutable")
    tracker.log_artifact(artifact)


@contextlib.contextmanager
def _staged_below(folder: Path) -> Iterator[None]:
    """Set W&B's folder for data yet to be sent: the run folder, not the home folder."""
    name = "WANDB_DATA_DIR"
    is_set = name in os.environ
    os.environ.setdefault(name, str(folder / "wandb"))
    try:
        yield
    finally:
        if not is_set:
            del os.environ[name]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
