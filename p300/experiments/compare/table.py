"""Tables of runs: one row per kind, with mean and spread over seeds and over people."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.compare.kinds import MEASURED, distinguishing
from p300.storage.files import atomic_write, write_text

if TYPE_CHECKING:
    import pandas as pd

#: Numbers of repetitions shown, where they were measured.
REPETITIONS = (1, 3, 5, 10, 15)

#: Ends of the columns of the two spreads.
SPREADS = {"_sd_seeds": "± seeds", "_sd_people": "± people"}


def compare_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare the kinds of some runs: mean, and standard deviation over seeds and people.

    Parameters
    ----------
    runs : DataFrame
        From :func:`~p300.experiments.compare.collect_runs`.

    Returns
    -------
    DataFrame
        One row per kind, sorted by ``data`` and mean AUC, best first: ``name``, ``data``, what
        else tells the kinds apart, ``fold`` in a cross-validation, the numbers of ``people``,
        ``seeds`` and ``runs``, and for each measure X:

        * ``X``, the mean over people of their means over seeds: each person counts the same;
        * ``X_sd_seeds``, the standard deviation over the seeds of one person, mean over people;
        * ``X_sd_people``, the standard deviation over people of their means.

        A spread that cannot be computed is missing. The folds of a cross-validation are a row
        each, unless all folds are there with every seed: then they are one row, whose fold is
        "mean of all N".
    """
    import pandas as pd

    told = [column for column in distinguishing(runs) if column != "data"]
    measures = [c for c in runs if MEASURED.fullmatch(c) and not c.startswith("auc_subject_")]
    measures = [c for c in measures if c not in ("n_parameters", "fit_s")]
    rows = []
    for fold, part in _parts(runs):
        first = part.iloc[0]
        people = {p for subjects in part["subjects"] for p in subjects.split("+")}
        row = {"name": min(part["name"], key=len)}
        row |= {"data": first["data"]} if "data" in part else {}
        row |= {column: first[column] for column in told} | {"fold": fold}
        row |= {"people": len(people), "seeds": part["seed"].nunique(), "runs": len(part)}
        for measure in measures:
            spread = _mean_and_spreads(_values(part, measure))
            row |= dict(zip([measure, *(measure + end for end in SPREADS)], spread, strict=True))
        row |= {"n_parameters": first["n_parameters"], "fit_s": part["fit_s"].median()}
        rows.append(row)
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    for column in filter(table.columns.__contains__, told):
        if any(isinstance(value, str) for value in table[column]):  # no column of two types
            table[column] = [v if pd.isna(v) else str(v) for v in table[column]]
    order = [column for column in ("data", "auc") if column in table]
    return table.sort_values(order, ascending=[c == "data" for c in order], ignore_index=True)


def _parts(runs: pd.DataFrame) -> Iterable[tuple[str | None, pd.DataFrame]]:
    """Yield the runs of each row, with the name of the fold or folds."""
    for _, kind in runs.groupby("kind", sort=False):
        if kind["fold"].isna().all():
            yield None, kind
        elif _has_all_folds(kind):
            yield f"mean of all {int(kind['n_folds'].iloc[0])}", kind
        else:
            for fold, part in kind.groupby("fold"):
                yield f"{fold:g}" if isinstance(fold, int | float) else str(fold), part


def _has_all_folds(kind: pd.DataFrame) -> bool:
    """Return whether every person has every fold with every seed; of folds of people, the seed."""
    folds_are_people = kind.groupby("fold")["subjects"].nunique().max() == 1
    by = ["seed"] if folds_are_people else ["subjects", "seed"]
    found = kind.groupby(by, dropna=False)["fold"].agg(set)
    n_folds = kind["n_folds"]
    is_known = n_folds.notna().all() and n_folds.nunique() == 1
    return bool(is_known and all(one == set(range(int(n_folds.iloc[0]))) for one in found))


def _values(part: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return one value per run and person: ``person``, ``seed``, ``value``."""
    import pandas as pd

    rows: list[tuple[str, Any, float]] = []
    for run in part.to_dict("records"):
        each = {p: run.get(f"{measure}_subject_{p}") for p in run["subjects"].split("+")}
        if any(value is None or value != value for value in each.values()):
            each = {run["subjects"]: run[measure]}  # measured over all of them at once
        rows += [(person, run["seed"], value) for person, value in each.items()]
    table = pd.DataFrame(rows, columns=["person", "seed", "value"])
    return table.assign(value=table["value"].astype(float)).dropna(subset="value")


def _mean_and_spreads(values: pd.DataFrame) -> tuple[float, float, float]:
    """Return the mean, and the standard deviations over seeds and over people."""
    runs = values.groupby(["person", "seed"], dropna=False)["value"].mean()  # folds and copies
    people = runs.groupby("person")
    return people.mean().mean(), people.std().mean(), people.mean().std()


def comparison_table(runs: pd.DataFrame) -> str:
    """Write the comparison of some runs as a Markdown table.

    Parameters
    ----------
    runs : DataFrame
        From :func:`~p300.experiments.compare.collect_runs`.

    Returns
    -------
    str
        The rows of :func:`compare_runs`. Accuracies are percentages of characters. "± seeds" and
        "± people" are the spreads of the measure before them.
    """
    table = compare_runs(runs)
    first = list(table)[: list(table).index("runs") + 1]
    head: list[str] = [*first]
    columns = [[_text(value) for value in table[name]] for name in first]
    shown = {"auc": ("AUC", 1, "{:.3f}"), "auc_learning": ("AUC, learning", 1, "{:.3f}")}
    shown |= {f"accuracy_{n:02d}": (f"{n} rep. (%)", 100, "{:.0f}") for n in REPETITIONS}
    for measure, (title, factor, form) in shown.items():
        for end, spread in {"": title, **SPREADS}.items():
            if measure + end in table:
                head.append(spread)
                columns.append([_number(factor * v, form) for v in table[measure + end]])
    for name, title, form in (
        ("n_parameters", "parameters", "{:,.0f}"),
        ("fit_s", "fit (s)", "{:.1f}"),
    ):
        if name in table:
            head.append(title)
            columns.append([_number(value, form) for value in table[name]])
    return markdown_table(head, zip(*columns, strict=True))


def write_comparison(runs: pd.DataFrame, path: str | Path) -> None:
    """Write the comparison of some runs into a file, in the format that its suffix names.

    Parameters
    ----------
    runs : DataFrame
        From :func:`~p300.experiments.compare.collect_runs`.
    path : path
        ``.md`` for :func:`comparison_table`; ``.csv`` or ``.parquet`` for all of
        :func:`compare_runs`.

    Raises
    ------
    InputError
        If the suffix is another, or the package that writes Parquet is missing.
    """
    path = Path(path)
    if path.suffix == ".md":
        write_text(path, comparison_table(runs) + "\n")
    elif path.suffix == ".csv":
        write_text(path, compare_runs(runs).to_csv(index=False))
    elif path.suffix == ".parquet":
        file = io.BytesIO()
        try:
            compare_runs(runs).to_parquet(file, index=False)
        except ImportError as error:
            raise InputError(
                f"{path}: got no package that writes Parquet; expected pyarrow or fastparquet; "
                f"`pip install pyarrow`, or write a .csv file"
            ) from error
        with atomic_write(path, "wb") as target:
            target.write(file.getvalue())
    else:
        raise InputError(f"{path}: got the suffix {path.suffix!r}; expected .md, .csv or .parquet")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as Markdown.

    Examples
    --------
    >>> print(markdown_table(["n", "text"], [[1, "P"], [2, "P3"]]))
    | n | text |
    | --- | --- |
    | 1 | P |
    | 2 | P3 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _text(value: Any) -> str:
    return "–" if value is None or value != value else str(value).replace("|", "\\|")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None or value != value else form.format(value)
