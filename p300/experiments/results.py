"""Results of a run: from scores to tables, in files and on the terminal."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.flashes import FLASH_COLUMNS
from p300.metrics import MIN_UNITS, brier_score, calibration_error, detection_metrics
from p300.spelling import accuracy_by_repetition, spell, text_after, timing
from p300.spelling.early import ALL, HINDSIGHT
from p300.splits import PARTS, Split
from p300.storage.files import write_text
from p300.terminal import show

if TYPE_CHECKING:
    import pandas as pd

    from p300.preprocessing import Epochs
    from p300.recording import Recording
    from p300.speller import Speller

log = logging.getLogger("p300.experiments.results")

#: The part of a run that its test part is, read by a detector that learned while it spelled; in
#: ``results.json`` and ``scores.csv``.
SESSION = "session"


def summarize(scores, flashes: pd.DataFrame, speller: Speller | None) -> dict[str, Any]:
    """Measure how well a part of a recording was detected and, with a screen, spelled.

    Parameters
    ----------
    scores : array-like of float, shape (n_flashes,)
        Larger = more target-like, 0 where both are equally likely.
    flashes : DataFrame
        The flash table of that part.
    speller : Speller or None
        The screen; None for an oddball.

    Returns
    -------
    dict
        Plain numbers and text: ``n_flashes``; where labels are known ``detection`` (of
        :func:`p300.metrics.detection_metrics`, pooled per subject and averaged over subjects)
        and ``by_subject``; where text can be read ``wanted``, the ``repetition_s`` and
        ``pause_s`` of :func:`p300.spelling.timing`, and ``spelling``, a list with one entry per
        number of repetitions.
    """
    scores = np.asarray(scores, float)
    summary: dict[str, Any] = {"n_flashes": len(flashes)}
    labelled = flashes.assign(score=scores).dropna(subset="is_target")
    by_subject = {
        str(subject): detection_metrics(own["is_target"].to_numpy(bool), own["score"].to_numpy())
        for subject, own in labelled.groupby("subject", sort=False)
    }
    if by_subject:
        measures = next(iter(by_subject.values()))
        summary["detection"] = {
            name: float(np.mean([m[name] for m in by_subject.values()])) for name in measures
        }
        summary["by_subject"] = by_subject
    if speller is not None and not flashes["character"].isna().any():
        seconds = timing(flashes, speller.n_per_repetition)._asdict()
        spelled = spell(scores, flashes, speller)
        table = accuracy_by_repetition(spelled, speller, **seconds)
        summary |= seconds
        summary["wanted"] = text_after(spelled, int(spelled["n_repetitions"].max()), "wanted")
        summary["spelling"] = table.to_dict("records")
    return summary


def report_parts(
    scores: np.ndarray,
    epochs: Epochs,
    split: Split,
    folder: Path,
    log_odds: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write one score per flash, show the table of the test part, return the summaries.

    Where ``log_odds`` are known, a summary has the ``probability`` too: its calibration error and
    Brier score, over all labelled flashes of the part.
    """
    part = np.select([getattr(split, p) for p in PARTS], PARTS, "unused")
    table = epochs.flashes.assign(part=part, score=scores)
    write_text(folder / "scores.csv", table.to_csv(index=False))
    summaries = {}
    for name in PARTS[1:]:
        rows = getattr(split, name)
        if rows.any():
            summaries[name] = summarize(scores[rows], epochs.flashes[rows], epochs.speller)
            labelled = rows & epochs.flashes["is_target"].notna().to_numpy()
            if log_odds is not None and labelled.any():
                is_target = epochs.flashes["is_target"][labelled].to_numpy(bool)
                summaries[name]["probability"] = {
                    "calibration_error": calibration_error(is_target, log_odds[labelled]),
                    "brier": brier_score(is_target, log_odds[labelled]),
                }
    shown = "test" if "test" in summaries else "validation"
    if shown in summaries and np.ptp(scores[getattr(split, shown)]) > 0:
        show(results_table(summaries[shown], f"{epochs.name}, {shown} part"))
    return summaries


def told_by(recording: Recording) -> dict[str, Any]:
    """Return the name of a recording and what it asks to cite, None if nothing."""
    return {"recording": recording.name, "cite": recording.about.get("cite")}


def write_json(path: str | Path, content: Any) -> None:
    """Write plain containers as JSON, atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def read_scores(folder: Path, part: str | None = None) -> pd.DataFrame:
    """Read the flash table of a run, with one part and one score per flash; one part, or all."""
    import pandas as pd

    table = pd.read_csv(folder / "scores.csv", dtype=FLASH_COLUMNS)
    return table if part is None else table[table["part"] == part]


def results_table(summary: dict[str, Any], title: str):
    """Build what the terminal shows of a summary: text per number of repetitions, detection."""
    from rich.console import Group
    from rich.table import Column, Table
    from rich.text import Text

    if "detection" in summary:
        shown = {"AUC": "auc", "balanced accuracy": "balanced_accuracy"}
        shown |= {"recall": "recall", "precision": "precision"}
        measures = (f"{name} {summary['detection'][k]:.3f}" for name, k in shown.items())
        detection = Text(f"{summary['n_flashes']} flashes: {', '.join(measures)}")
    else:
        detection = Text(f"{summary['n_flashes']} flashes without labels")
    if "spelling" not in summary:
        return Group(Text(title), detection)
    numbers = ("repetitions", "right", "accuracy [95 % CI]", "bits/min")
    table = Table(*(Column(name, justify="right") for name in numbers), "text")
    for row in summary["spelling"]:
        measured = ("", "", "")
        if row["n_characters"]:
            measured = (
                f"{row['n_right']}/{row['n_characters']}",
                f"{row['accuracy']:.0%} {brackets(row['low'], row['high'], '.0%')}",
                f"{row['bits_per_minute']:.1f}",
            )
        text = Text(_shortened(row["text"]))
        table.add_row(str(row["n_repetitions"]), *measured, text)
    return Group(Text(f"{title}; wanted: {_shortened(summary['wanted'])}"), table, detection)


def brackets(low: float, high: float, form: str = ".1f") -> str:
    """Format the ends of an interval; a dash where there is none.

    Examples
    --------
    >>> brackets(0.5, 0.92, ".0%"), brackets(math.nan, math.nan)
    ('[50% –  92%]', '[–]')
    """
    return "[–]" if math.isnan(low) else f"[{low:{form}} – {high:>4{form}}]"


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def stopping_table(rows: list[dict[str, Any]]):
    """Build what the terminal shows of :func:`p300.spelling.early.stop_early`."""
    from rich.table import Column, Table

    names = {ALL: "× all", HINDSIGHT: "× best"}
    rivals = [rival for rival in names if rival in rows[0]["over"]]
    idle = ["idle"] if any("idle_read" in row for row in rows) else []
    numbers = ["right", "repet.", "bits/min", *(names[r] for r in rivals), *idle]
    table = Table(
        Column("rule, chosen for", no_wrap=True),
        *(Column(name, justify="right") for name in numbers),
        title="ending a character early",
        title_justify="left",
        caption=f"brackets: 95 % intervals over characters, – below {MIN_UNITS}; × all, × best: "
        "bits/min over those of all repetitions, and of the fixed number that is best in "
        "hindsight; idle: read though nothing was wanted",
        caption_justify="left",
    )
    for row in rows:
        table.add_row(
            row["rule"],
            f"{row['n_right']}/{row['n_characters']}",
            f"{row['n_repetitions']:.1f}",
            f"{row['bits_per_minute']:.1f} {brackets(row['bits_low'], row['bits_high'])}",
            *(f"{row['over'][rival]['ratio']:.2f}" for rival in rivals),
            *([f"{row['idle_read']:.0%}"] if "idle_read" in row else []),
        )
    return table
