"""The results of one run: detection of single flashes, and the text that was read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.experiments.compare import MEASURES
from p300.experiments.finished import Run
from p300.experiments.fitting.session import read_readings
from p300.experiments.results import SESSION
from p300.figures.style import count
from p300.metrics import MIN_UNITS, Interval, auc_interval
from p300.report.doubt import marked
from p300.report.page import Numbers, Section, Spelled, Table, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from p300.speller import Speller

#: Parts of a run that are shown, in this order.
PARTS = ("test", SESSION, "validation")


def results_section(run: Run, *, times_in_doubt: bool = False) -> Section:
    """Build the section on detection of single flashes and on the text that was read."""
    section, shown = Section("Results"), run.shown
    if shown is None:
        section.note("No flash was held out, so nothing was measured.")
        return section
    section.blocks.append(headline(run, shown))
    if shown == "validation":
        section.note("There is no test part: all numbers are of the validation part.")
    for part in PARTS if shown != SESSION else (SESSION,):
        if "spelling" in run.results.get(part, {}):
            table = spelling_table(run.results[part], part)
            if times_in_doubt:
                table = replace(table, head=tuple(map(marked, table.head)))
            section.blocks.append(table)
    if SESSION in run.results:
        section.note(retrospective(run.results[SESSION], from_nothing=shown == SESSION))
    detected = detection_table(run)
    if detected.rows:
        section.blocks.append(detected)
    else:
        section.note("The flashes are without labels, so detection was not measured.")
    if run.folds:
        section.blocks.append(folds_table(run))
    section.sections = [figures(run, shown, times_in_doubt=times_in_doubt)]
    return section


def headline(run: Run, part: str) -> Numbers:
    """Return the main numbers of a part."""
    summary = run.results[part]
    items = []
    if "detection" in summary:
        n_subjects = len(summary["by_subject"])
        name = "AUC of single flashes" + (f", mean over {n_subjects} subjects" * (n_subjects > 1))
        interval = f"95\xa0%: {auc_interval_of(run, part).text()}"
        items.append((f"{summary['detection']['auc']:.3f}", name, interval))
    rows = [r for r in summary.get("spelling", []) if r["n_characters"]]
    for n in sorted({1, 5, len(rows)} & {r["n_repetitions"] for r in rows}):
        row = next(r for r in rows if r["n_repetitions"] == n)
        name = f"characters right after {count(n, 'repetition')}"
        found = accuracy_interval(row)
        sure = f"95\xa0%: {_ends(found, '.0f', 100)}\xa0%" if not found.why_not else found.text()
        interval = f"{row['n_right']} of {row['n_characters']}; {sure}"
        items.append((f"{100 * row['accuracy']:.0f}\xa0%", name, interval))
    return Numbers(items)


def accuracy_interval(row: dict[str, Any]) -> Interval:
    """Return the interval of the fraction of characters right, over characters.

    Examples
    --------
    >>> accuracy_interval({"low": 0.29, "high": 0.96, "n_characters": 6}).text(".0f", 100)
    '29 to 96 (6 characters)'
    """
    return Interval(row["low"], row["high"], row["n_characters"])


def spelling_table(summary: dict[str, Any], part: str) -> Table:
    """Build the table of the text read by number of repetitions; wrong symbols are marked."""
    rows = []
    for row in summary["spelling"]:
        measured: tuple[str, ...] = ("–",) * 4
        if row["n_characters"]:
            measured = (
                f"{row['n_right']}/{row['n_characters']}",
                f"{100 * row['accuracy']:.0f}\xa0%",
                _ends(accuracy_interval(row), ".0f", 100),
                f"{row['bits_per_minute']:.1f}",
            )
        rows.append(
            (str(row["n_repetitions"]), *measured, Spelled(row["text"], summary["wanted"]))
        )
    head = ("repetitions", "right", "accuracy", "95 % interval (%)", "bits/min", "text read")
    where = f"from the {part} part" if part != SESSION else "while learning from the test part"
    caption = f"Text read {where}, by number of repetitions; wanted: "
    caption += f"{summary['wanted']} (wrong symbols underlined). {_below('characters')}"
    return Table(caption, head, rows, is_folded=part == "validation")


def retrospective(session: dict[str, Any], *, from_nothing: bool) -> str:
    """Say how a session was read, what it read again at its end, and what it gave up."""
    again = session["retrospective"]
    when = "computed before its character was learned from"
    if from_nothing:
        when = "computed with all flashes of its character, but without a label"
    text = (
        f"The rows of the session are of a detector that learned while it spelled: each score was "
        f"{when}, and after n repetitions it had learned from n repetitions alone. Read again "
        f"with all that was learned: {again['text']}, {again['n_right']} of "
        f"{again['n_characters']} right."
    )
    for subject, numbers in session.get("doubted", {}).items():
        text += (
            f" The session of subject {subject} contradicts the training; after {len(numbers)} of "
            f"its characters, first after character {numbers[0]}, it was read from nothing."
        )
    for subject, reason in session["stopped"].items():
        text += f" Learning was stopped for subject {subject}: {reason}."
    return text


def detection_table(run: Run) -> Table:
    """Build the table of the detection of single flashes, by part and by subject."""
    rows = []
    for part in PARTS:
        subjects = run.results.get(part, {}).get("by_subject", {})
        for subject, measured in subjects.items():
            who = f"{part}, subject {subject}"
            rows.append(_detection_row(who, measured, auc_interval_of(run, part, subject)))
        if len(subjects) > 1:
            mean = run.results[part]["detection"]
            rows.append(_detection_row(f"{part}, mean", mean, auc_interval_of(run, part)))
    names = (name.replace("_", " ") for name in MEASURES[1:])
    head = ("part", "AUC", "95 % interval", "units", *names)
    caption = (
        "Detection of single flashes at the threshold 0. Intervals of the AUC are over units: "
        f"characters, or blocks of 30 s where there are none. {_below('units')}"
    )
    return Table(caption, (*head, "targets found", "false alarms"), rows)


def folds_table(run: Run) -> Table:
    """Build the table of the folds of a cross-validation."""
    texts = any("text" in fold for fold in run.folds)
    rows = []
    for k, fold in enumerate(run.folds):
        cells = [str(k), f"{fold['n_flashes']:,}", number(fold.get("auc"))]
        if texts:
            cells += [f"{fold['n_right']}/{fold['n_characters']}", fold["text"]]
        rows.append(cells)
    aucs = [fold["auc"] for fold in run.folds if fold.get("auc") is not None]
    beside = f"; the mean of their AUC is {np.mean(aucs):.3f}" if aucs else ""
    head = ("fold", "flashes", "AUC") + (("right", "text after all repetitions") if texts else ())
    caption = (
        "Each fold was tested by a detector trained on the others. The results above are of all "
        f"folds together, whose scores are brought to one mean and standard deviation{beside}. "
        "Intervals are over the units of all folds, whose detectors share most of their training "
        "part"
    )
    return Table(caption, head, rows)


def auc_interval_of(run: Run, part: str, subject: str | None = None) -> Interval:
    """Compute the 95 % interval of the AUC of one subject, or of the mean over all subjects."""
    table = run.scores[run.scores["part"].eq(part) & run.scores["is_target"].notna()]
    if subject is not None:
        table = table[table["subject"].astype(str).eq(subject)]
    return auc_interval(table.reset_index(drop=True))


def figures(run: Run, part: str, *, times_in_doubt: bool = False) -> Section:
    """Draw the figures that need only the results."""
    from p300.figures import draw_roc, draw_scores, draw_training, read_training

    section = Section("Figures of the results", times_in_doubt=times_in_doubt)
    scores = {run.name: run.scores}
    if "spelling" in run.results[part] and run.detector.speller is not None:
        _draw_text(section, run, part, run.detector.speller)
    if SESSION in run.results and "detection" in run.results[SESSION]:
        section.draw(
            "Learning while spelling",
            lambda: _draw_session(run),
            "Left: how well the flashes of each character were told apart, as trained and "
            "learning. Right: characters right so far.",
        )
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
    if "detection" in run.results[part] and not run.folds:
        section.draw(
            "Reliability",
            lambda: _reliability(run, part),
            "Fraction of targets over the predicted probability. On the diagonal, the "
            "probabilities are calibrated.",
        )
    if not run.folds and (run.folder / "networks").is_dir():
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
    read = {run.name: run.results[part]["spelling"]}
    if part == "test" and SESSION in run.results:
        read["+ learning while spelling"] = run.results[SESSION]["spelling"]
    held_out = run.scores[run.scores["part"].eq(part)].reset_index(drop=True)
    section.draw(
        "Accuracy",
        lambda: draw_accuracy(
            read,
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


def _draw_session(run: Run) -> Figure:
    from p300.figures import draw_session
    from p300.spelling import spell

    names = {"as trained": "test", "learning": SESSION}
    parts = {
        name: run.scores[run.scores["part"].eq(part)].reset_index(drop=True)
        for name, part in names.items()
    }
    readings = {"learning": read_readings(run.folder)}
    if run.detector.speller is not None:
        test = parts["as trained"]
        readings = {"as trained": spell(test["score"], test, run.detector.speller), **readings}
    if parts["as trained"]["score"].nunique() == 1:  # it knows nothing as it was trained
        parts, readings = ({"learning": each["learning"]} for each in (parts, readings))
    return draw_session(parts, readings)


def _reliability(run: Run, part: str) -> Figure:
    from p300.experiments.fitting.probability import log_odds_of
    from p300.figures import draw_reliability

    fraction = float(run.scores.loc[run.scores["part"].eq("train"), "is_target"].mean())
    log_odds = log_odds_of(run.detector, run.scores["score"].to_numpy(), fraction)
    return draw_reliability({run.name: run.scores.assign(score=log_odds)}, part=part)


def _detection_row(who: str, measured: dict[str, Any], interval: Interval) -> tuple[str, ...]:
    auc, *others = (number(measured.get(name)) for name in MEASURES)
    found = ("–", "–")
    if measured.get("tp") is not None:
        tp, fn, fp, tn = (float(measured[k]) for k in ("tp", "fn", "fp", "tn"))
        if (tp + fn).is_integer():  # counts, not means over subjects
            found = (f"{tp:.0f}/{tp + fn:.0f}", f"{fp:.0f}/{fp + tn:.0f}")
    return (who, auc, _ends(interval, ".3f"), str(interval.n), *others, *found)


def _ends(interval: Interval, form: str, scale: float = 1.0) -> str:
    if interval.why_not:
        return "–"
    return " to ".join(f"{scale * end:{form}}" for end in interval)


def _below(unit: str) -> str:
    return f"– means no interval: fewer than {MIN_UNITS} {unit}, or no spread"
