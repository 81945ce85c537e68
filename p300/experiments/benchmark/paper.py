"""``p300 reproduce``: the paper's tables, measured and printed side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from p300.experiments.benchmark.sources import SUBJECTS, Source
from p300.experiments.compare import markdown_table
from p300.metrics import bits_per_minute
from p300.metrics.published import CHARACTERS, CNN2B_SHARED, DETECTION, WINNER

#: Of one run: protocol, experiment, subject.
Key = tuple[str, str, str]

#: What measured rows are called.
MEASURED = {"paper": "measured, paper's protocol", "modern": "measured, modern protocol"}


def tables(
    results: Mapping[Key, dict[str, Any]],
    source: Source,
    facts: Mapping[str, str],
    left_out: Mapping[Key, str],
) -> str:
    """Write the paper's four tables as Markdown, measured beside printed.

    Parameters
    ----------
    results : mapping
        (protocol, experiment, subject) to what its run's ``results.json`` holds, in the order of
        the rows.
    source : Source
        Which recordings; its sentence stands under every heading.
    facts : mapping of str to str
        What else made the numbers: seed, protocols, versions, dates, splits.
    left_out : mapping
        Run to the reason why it has no results.

    Returns
    -------
    str
        A run without detection, or without text, is left out of a table and named at the end.
    """
    left_out = dict(left_out)
    for key, found in results.items():
        if missing := _missing(found):
            left_out[key] = missing
    text = ["# The tables of Cecotti & Graeser 2011\n"]
    for title, rows in (
        ("P300 detection (tables 2 and 3)", _detection_table(results)),
        ("Character recognition (table 5), % after n repetitions", _character_table(results)),
        ("Bits per minute (figure 7), mean of both subjects", _rate_table(results)),
        ("Electrodes of highest power (table 4)", _electrode_table(results)),
    ):
        head, *body = rows
        text += [f"## {title}\n", f"{source.sentence}\n", markdown_table(head, body), ""]
    made = {"simulated by": source.made_by} if source.made_by else {}
    made |= {f"SHA-256 of {name}": digest for name, digest in source.sha256.items()}
    text += ["## What made the measured numbers\n"]
    text += [markdown_table(["", ""], [*facts.items(), *made.items()]), ""]
    if left_out:
        text += ["## Left out\n"]
        text += [f"* {n}, subject {s}, {_kind(p)}: {why}" for (p, n, s), why in left_out.items()]
        text += [""]
    return "\n".join(text)


def _kind(protocol: str) -> str:
    return MEASURED.get(protocol, f"measured, protocol {protocol}")


def _missing(found: Mapping[str, Any]) -> str:
    """Return why a run lacks rows; "" if it has all of them."""
    test = found.get("test", {})
    if "detection" not in test:
        return "its test flashes have no labels, so nothing can be measured"
    return "" if _percentages(found) else "it read no text, so it has no characters and no rate"


def _detection_table(results) -> list[list[str]]:
    head = ["subject", "classifier", "", "TP", "TN", "FP", "FN", "Reco. %", "recall", "precision"]
    rows = []
    for subject, name in _pairs(results):
        for protocol in _protocols(results):
            found = results.get((protocol, name, subject), {}).get("test", {}).get("detection")
            if found is not None:
                rows.append([subject, name, _kind(protocol), *_counts(found)])
        if (name, subject) in DETECTION:
            rows.append([subject, name, "printed", *_counts(DETECTION[name, subject])])
    return [head, *rows]


def _counts(found: Mapping[str, float]) -> list[str]:
    tp, tn, fp, fn = (float(found[k]) for k in ("tp", "tn", "fp", "fn"))
    rates = [(100 * (tp + tn), tp + tn + fp + fn, ".2f")]
    rates += [(tp, tp + fn, ".3f"), (tp, tp + fp, ".3f")]
    shares = [f"{part / whole:{form}}" if whole else "–" for part, whole, form in rates]
    return [*(f"{count:.0f}" for count in (tp, tn, fp, fn)), *shares]


def _character_table(results) -> list[list[str]]:
    measured = {key: _percentages(found) for key, found in results.items()}
    printed = max(map(len, CHARACTERS.values()))
    n = max(map(len, measured.values()), default=0) or printed
    rows = [["subject", "classifier", "", *map(str, range(1, n + 1))]]
    for subject in SUBJECTS:
        for _, name in (pair for pair in _pairs(results) if pair[0] == subject):
            for protocol in _protocols(results):
                if series := measured.get((protocol, name, subject)):
                    rows.append([subject, name, _kind(protocol), *_cells(series, n)])
            if (name, subject) in CHARACTERS:
                rows.append([subject, name, "printed", *_cells(CHARACTERS[name, subject], n)])
        for (name, whose), percentages in CHARACTERS.items():
            if whose == subject and (subject, name) not in _pairs(results):
                rows.append([subject, name, "printed", *_cells(percentages, n)])
        winner = [WINNER[subject].get(k) for k in range(1, n + 1)]
        rows.append(
            [subject, "competition winner (ensemble of SVMs)", "printed", *_cells(winner, n)]
        )
    return rows


def _rate_table(results) -> list[list[str]]:
    series: dict[tuple[str, str], list[Sequence[float]]] = {}
    for name in dict.fromkeys(name for _, name in _pairs(results)):
        for protocol in _protocols(results):
            found = [_percentages(results.get((protocol, name, s), {})) for s in SUBJECTS]
            if all(found):
                series[name, _kind(protocol)] = [*found]
        if (name, SUBJECTS[0]) in CHARACTERS:
            series[name, "printed"] = [CHARACTERS[name, s] for s in SUBJECTS]
    n = min((len(one) for pair in series.values() for one in pair), default=0)
    rows = [["classifier", "", *map(str, range(1, n + 1))]]
    for (name, kind), (first, second) in series.items():
        accuracy = [(a + b) / 200 for a, b in zip(first[:n], second[:n], strict=True)]
        rates = bits_per_minute(accuracy, range(1, n + 1))
        rows.append([name, kind, *(f"{rate:.1f}" for rate in rates)])
    return rows


def _electrode_table(results) -> list[list[str]]:
    measured = [
        [subject, _kind(protocol), " ".join(found["ch_names"])]
        for (protocol, name, subject), found in results.items()
        if name == "cnn2b"
    ]
    printed = f"{' '.join(CNN2B_SHARED)} (three more per subject not known)"
    return [["subject", "", "electrodes"], *measured, ["both", "printed", printed]]


def _pairs(results) -> list[tuple[str, str]]:
    """List subject and experiment of the rows, by subject."""
    names = dict.fromkeys(name for _, name, _ in results)
    return [(subject, name) for subject in SUBJECTS for name in names]


def _protocols(results) -> list[str]:
    return list(dict.fromkeys(protocol for protocol, _, _ in results))


def _percentages(found: Mapping[str, Any]) -> list[float]:
    """Return the characters read correctly after 1, 2 … repetitions; [] if there is no text."""
    accuracies = [row["accuracy"] for row in found.get("test", {}).get("spelling", [])]
    return [] if None in accuracies else [100 * accuracy for accuracy in accuracies]


def _cells(values: Sequence[float | None], n: int) -> list[str]:
    """Write n cells; what was not measured or not printed stays empty."""
    known = [*values, *[None] * n][:n]
    return ["" if value is None else f"{value:.0f}" for value in known]
