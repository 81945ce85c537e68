"""The results of one run: detection of single flashes, and the text that was read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from p300.experiments.compare import MEASURES
from p300.experiments.finished import Run
from p300.figures.style import count
from p300.report.page import Numbers, Section, Spelled, Table, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from p300.speller import Speller

#: Bootstrap samples behind an interval.
N_DRAWS = 2000


def results_section(run: Run) -> Section:
    """Build the section on detection of single flashes and on the text that was read."""
    section, shown = Section("Results"), run.shown
    if shown is None:
        section.note("No flash was held out, so nothing was measured.")
        return section
    section.blocks.append(headline(run, shown))
    if shown != "test":
        section.note("There is no test part: all numbers are of the validation part.")
    for part in ("test", "validation"):
        if "spelling" in run.results.get(part, {}):
            section.blocks.append(spelling_table(run.results[part], part))
    detected = detection_table(run)
    if detected.rows:
        section.blocks.append(detected)
    else:
        section.note("The flashes are without labels, so detection was not measured.")
    section.sections = [figures(run, shown)]
    return section


def headline(run: Run, part: str) -> Numbers:
    """Return the main numbers of a part."""
    summary = run.results[part]
    items = []
    if "detection" in summary:
        low, high = auc_interval_of(run, part)
        is_known = not math.isnan(low)
        interval = f"95 %: {low:.3f} to {high:.3f}" if is_known else "mean over subjects"
        items.append((f"{summary['detection']['auc']:.3f}", "AUC of single flashes", interval))
    rows = [r for r in summary.get("spelling", []) if r["n_characters"]]
    for n in sorted({1, 5, len(rows)} & {r["n_repetitions"] for r in rows}):
        row = next(r for r in rows if r["n_repetitions"] == n)
        name = f"characters right after {count(n, 'repetition')}"
        interval = f"{row['n_right']} of {row['n_characters']}; 95\xa0%: {percent_interval(row)}"
        items.append((f"{100 * row['accuracy']:.0f}\xa0%", name, interval))
    return Numbers(items)


def percent_interval(row: dict[str, Any]) -> str:
    r"""Format an interval of fractions in percent.

    Examples
    --------
    >>> percent_interval({"low": 0.094, "high": 0.906})
    '9 to 91\xa0%'
    """
    return f"{100 * row['low']:.0f} to {100 * row['high']:.0f}\xa0%"


def spelling_table(summary: dict[str, Any], part: str) -> Table:
    """Build the table of the text read by number of repetitions; wrong symbols are marked."""
    rows = []
    for row in summary["spelling"]:
        measured: tuple[str, ...] = ("–",) * 4
        if row["n_characters"]:
            measured = (
                f"{row['n_right']}/{row['n_characters']}",
                f"{100 * row['accuracy']:.0f}\xa0%",
                percent_interval(row),
                f"{row['bits_per_minute']:.1f}",
            )
        rows.append(
            (str(row["n_repetitions"]), *measured, Spelled(row["text"], summary["wanted"]))
        )
    head = ("repetitions", "right", "accuracy", "95 % interval", "bits/min", "text read")
    caption = f"Text read from the {part} part by number of repetitions; wanted: "
    caption += f"{summary['wanted']} (wrong symbols underlined)"
    return Table(caption, head, rows, is_folded=part != "test")


def detection_table(run: Run) -> Table:
    """Build the table of the detection of single flashes, by part and by subject."""
    rows = []
    for part in ("test", "validation"):
        subjects = run.results.get(part, {}).get("by_subject", {})
        for subject, measured in subjects.items():
            who = f"{part}, subject {subject}"
            rows.append(_detection_row(who, measured, auc_interval_of(run, part, subject)))
        if len(subjects) > 1:
            mean = run.results[part]["detection"]
            rows.append(_detection_row(f"{part}, mean", mean, (math.nan, math.nan)))
    head = ("part", "AUC", "95 % interval", *(name.replace("_", " ") for name in MEASURES[1:]))
    caption = (
        "Detection of single flashes at the threshold 0. Intervals of the AUC resample "
        "characters, or blocks of 30 s where there are none"
    )
    return Table(caption, (*head, "targets found", "false alarms"), rows)


def auc_interval_of(run: Run, part: str, subject: str | None = None) -> tuple[float, float]:
    """Compute the 95 % interval of one subject's AUC; ``nan`` if it is undefined."""
    from p300.figures.tables import auc_interval

    table = run.scores[run.scores["part"].eq(part) & run.scores["is_target"].notna()]
    subjects = table["subject"].astype(str)
    if subject is None and subjects.nunique() > 1:
        return math.nan, math.nan
    table = table if subject is None else table[subjects.eq(subject)]
    return auc_interval(table.astype({"is_target": bool}).reset_index(drop=True), N_DRAWS)


def figures(run: Run, part: str) -> Section:
    """Draw the figures that need only the results."""
    from p300.figures import draw_roc, draw_scores, draw_training, read_training

    section, scores = Section("Figures of the results"), {run.name: run.scores}
    if "spelling" in run.results[part] and run.detector.speller is not None:
        _draw_text(section, run, part, run.detector.speller)
    if "detection" in run.results[part]:
        section.draw(
            "ROC curve",
            lambda: draw_roc(scores, part=part),
            f"Targets found over false alarms for every threshold, {part} part, all subjects "
            "pooled.",
        )
        section.draw(
            "Scores",
            lambda: draw_scores(scores, part=part),
            "Distributions of the scores of targets and of nontargets.",
        )
        section.draw(
            "Reliability",
            lambda: _reliability(run, part),
            "Fraction of targets over the predicted probability. On the diagonal, the "
            "probabilities are calibrated.",
        )
    if (run.folder / "networks").is_dir():
        monitor = run.config["protocol"]["monitor"]
        section.draw(
            "Training",
            lambda: draw_training(read_training(run.folder), monitor=monitor),
            "Losses and validation AUC after every training epoch. The best epoch by "
            f"{monitor} was kept; the test part was not used.",
        )
    return section


def _draw_text(section: Section, run: Run, part: str, speller: Speller) -> None:
    from p300.figures import draw_accuracy, draw_confusion
    from p300.metrics.published import CHARACTERS
    from p300.spelling import spell

    subjects = run.scores["subject"].astype(str).unique()
    subject = subjects[0] if len(subjects) == 1 else None
    is_published = run.data == "bci3_ii" and (run.name, subject) in CHARACTERS
    held_out = run.scores[run.scores["part"].eq(part)].reset_index(drop=True)
    section.draw(
        "Accuracy",
        lambda: draw_accuracy(
            {run.name: run.results[part]["spelling"]},
            published=[run.name] if is_published else [],
            subject=subject if is_published else None,
            n_symbols=len(speller.symbols),
        ),
        f"Characters of the {part} part read correctly, and bits per minute, by number of "
        "repetitions.",
    )
    section.draw(
        "Confusion",
        lambda: draw_confusion(spell(held_out["score"], held_out, speller), speller),
        "Symbols that were read, by the symbols that were wanted, after all repetitions.",
    )


def _reliability(run: Run, part: str) -> Figure:
    from p300.experiments.benchmark.probability import log_odds_of
    from p300.figures import draw_reliability

    fraction = float(run.scores.loc[run.scores["part"].eq("train"), "is_target"].mean())
    log_odds = log_odds_of(run.detector, run.scores["score"].to_numpy(), fraction)
    return draw_reliability({run.name: run.scores.assign(score=log_odds)}, part=part)


def _detection_row(
    who: str, measured: dict[str, Any], interval: tuple[float, float]
) -> tuple[str, ...]:
    low, high = interval
    interval_text = "–" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
    auc, *others = (number(measured.get(name)) for name in MEASURES)
    found = ("–", "–")
    if measured.get("tp") is not None:
        tp, fn, fp, tn = (float(measured[k]) for k in ("tp", "fn", "fp", "tn"))
        if (tp + fn).is_integer():  # counts, not means over subjects
            found = (f"{tp:.0f}/{tp + fn:.0f}", f"{fp:.0f}/{fp + tn:.0f}")
    return (who, auc, interval_text, *others, *found)
