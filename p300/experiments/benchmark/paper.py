"""``p300 reproduce``: the paper's tables, measured and printed side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p300.experiments.compare import markdown_table
from p300.metrics import bits_per_minute
from p300.metrics.published import CHARACTERS, CNN2B_SHARED, DETECTION, WINNER
from p300.simulation import write_bci3_ii
from p300.terminal import step

log = logging.getLogger("p300.experiments.benchmark.paper")

SUBJECTS = ("A", "B")


def find_files(root: Path, folder: Path, simulated: dict[str, Any]) -> tuple[Path, str]:
    """Find the competition's files, or write simulated ones.

    Parameters
    ----------
    root : Path
        Where the competition's files should be.
    folder : Path
        Simulated files go into its subfolder ``simulated``.
    simulated : dict
        Arguments of :func:`p300.simulation.write_bci3_ii`.

    Returns
    -------
    root : Path
        Absolute folder of the files to use.
    source : str
        One sentence that names them.
    """
    names = [f"Subject_{s}_{part}.mat" for s in SUBJECTS for part in ("Train", "Test")]
    if all((root / name).is_file() for name in names):
        return root.resolve(), f"Recordings: BCI Competition III data set II, from {root.name}."
    made = folder / "simulated"
    for k, subject in enumerate(SUBJECTS):
        if not all((made / n).is_file() for n in names if n.startswith(f"Subject_{subject}")):
            log.info("simulating subject %s", subject)
            with step(f"simulating subject {subject}"):
                write_bci3_ii(made, subject, seed=k, **simulated)
    return made.resolve(), (
        "Recordings: SIMULATED files in the format of BCI Competition III data set II. The "
        "measured figures say nothing about real EEG; only the printed ones do."
    )


def tables(results: dict[tuple[str, str], dict], experiments: Sequence[str], source: str) -> str:
    """Write the paper's four tables as Markdown, measured beside printed.

    Parameters
    ----------
    results : dict
        (experiment, subject) to what its run's ``results.json`` holds.
    experiments : sequence of str
        Rows, in order.
    source : str
        Which recordings; stands under every heading.
    """
    parts = ["# The tables of Cecotti & Graeser 2011\n"]
    for title, table in (
        ("P300 detection (tables 2 and 3)", _detection_table),
        ("Character recognition (table 5), % after n repetitions", _character_table),
        ("Bits per minute (figure 7), mean of both subjects", _rate_table),
        ("Electrodes of highest power (table 4)", _electrode_table),
    ):
        head, *rows = table(results, experiments)
        parts += [f"## {title}\n", f"{source}\n", markdown_table(head, rows), ""]
    return "\n".join(parts)


def _detection_table(results, experiments) -> list[list[str]]:
    head = ["subject", "classifier", "", "TP", "TN", "FP", "FN", "Reco. %", "recall", "precision"]
    measured = {key: found["test"]["detection"] for key, found in results.items()}
    rows = [
        [subject, name, kind, *_counts(found[name, subject])]
        for subject in SUBJECTS
        for name in experiments
        for kind, found in (("measured", measured), ("printed", DETECTION))
        if (name, subject) in found
    ]
    return [head, *rows]


def _counts(found: dict) -> list[str]:
    tp, tn, fp, fn = (int(found[k]) for k in ("tp", "tn", "fp", "fn"))
    reco = 100 * (tp + tn) / (tp + tn + fp + fn)
    recall = tp / (tp + fn)
    precision = tp / (tp + fp) if tp + fp else float("nan")
    return [*map(str, (tp, tn, fp, fn)), f"{reco:.2f}", f"{recall:.3f}", f"{precision:.3f}"]


def _character_table(results, experiments) -> list[list[str]]:
    measured = {key: _percentages(found) for key, found in results.items()}
    n = max(len(series) for series in measured.values())
    rows = [["subject", "classifier", "", *map(str, range(1, n + 1))]]
    for subject in SUBJECTS:
        for name in experiments:
            rows.append([subject, name, "measured", *_cells(measured[name, subject])])
            if (name, subject) in CHARACTERS:
                rows.append([subject, name, "printed", *_cells(CHARACTERS[name, subject][:n])])
        for (name, whose), series in CHARACTERS.items():
            if whose == subject and name not in ("cnn1", "mcnn1"):
                rows.append([subject, name, "printed", *_cells(series[:n])])
        winner = [WINNER[subject].get(k, "") for k in range(1, n + 1)]
        rows.append([subject, "competition winner (ensemble of SVMs)", "printed", *_cells(winner)])
    return rows


def _rate_table(results, experiments) -> list[list[str]]:
    series: dict[tuple[str, str], list[Sequence[float]]] = {}
    for name in experiments:
        series[name, "measured"] = [_percentages(results[name, s]) for s in SUBJECTS]
        if (name, "A") in CHARACTERS:
            series[name, "printed"] = [CHARACTERS[name, s] for s in SUBJECTS]
    n = min(len(one) for pair in series.values() for one in pair)
    rows = [["classifier", "", *map(str, range(1, n + 1))]]
    for (name, kind), (first, second) in series.items():
        accuracy = [(a + b) / 200 for a, b in zip(first[:n], second[:n], strict=True)]
        rates = bits_per_minute(accuracy, range(1, n + 1))
        rows.append([name, kind, *(f"{rate:.1f}" for rate in rates)])
    return rows


def _electrode_table(results, experiments) -> list[list[str]]:
    found = {s: results["cnn2b", s]["ch_names"] for s in SUBJECTS if "cnn2b" in experiments}
    measured = [[subject, "measured", " ".join(names)] for subject, names in found.items()]
    printed = f"{' '.join(CNN2B_SHARED)} (three more per subject not known)"
    return [["subject", "", "electrodes"], *measured, ["both", "printed", printed]]


def _percentages(found: dict) -> list[float]:
    return [100 * row["accuracy"] for row in found["test"]["spelling"]]


def _cells(values) -> list[str]:
    return [v if v == "" else f"{v:.0f}" for v in values]
