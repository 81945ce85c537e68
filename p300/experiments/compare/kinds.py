"""Which runs are of one kind: those whose configuration differs in seed, person and fold alone.

The resolved configuration decides, not the names of the files that were chosen, nor what was
typed. Values that cannot change a result do not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p300.experiments.identity import fingerprint, flatten
from p300.experiments.names import has_effect, run_name, short_names

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a table of runs that say which run it was.
WHICH_RUN = ("folder", "name", "kind", "seed", "fold", "n_folds", "subjects")

#: Columns that hold what was measured.
MEASURED = re.compile(
    r"auc(_subject_.*|_learning)?|balanced_accuracy|recall|precision|accuracy_\d+|n_parameters|fit_s"
)

#: Where a configuration names the person.
PERSON = ("subject", "data.subject", "data.read.subject", "data.read.subjects")

#: Groups in the order in which they are looked at for what differs; the others follow.
GROUPS = ("data", "experiment", "model", "protocol", "ensemble", "augmentation", "preprocessing")

#: Groups whose files hold nothing that changes a result.
NO_KIND = ("logger", "trainer", "search")

#: Where a configuration states how many folds there are.
N_FOLDS = ("split.n_folds", "split.n_splits")


#: A value that a configuration leaves to be typed, and nobody typed.
UNSET = "???"

#: Stands for a seed that is that of its run.
AS_THE_RUN = "as the run"


@dataclass
class FinishedRun:
    """One finished run, read from its folder or from W&B.

    Parameters
    ----------
    folder : str
        Where it lies, or its name in W&B.
    choices : mapping of str to str
        The file that each configuration group used.
    config : mapping
        The resolved configuration; empty if it is not known.
    seed : int or None
        Of the training.
    numbers : mapping of str to float
        What was measured.
    tested : sequence of str
        The people of the test part; empty if they are not known.
    typed : sequence of str
        The overrides that were typed; empty if they are not known.
    """

    folder: str
    choices: Mapping[str, str | None]
    config: Mapping[str, Any]
    seed: int | None
    numbers: Mapping[str, Any]
    tested: Sequence[str] = ()
    typed: Sequence[str] = ()
    n_folds: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.flat = flatten({k: v for k, v in self.config.items() if k != "choices"})
        stated = next((self.flat[k] for k in N_FOLDS if k in self.flat), None)
        self.n_folds = None if self.fold is None else stated

    @property
    def fold(self) -> Any:
        """Number of the fold of a cross-validation; None if it is no cross-validation."""
        return self.flat.get("split.fold")

    @property
    def subjects(self) -> str:
        """The people of the test part, or else the configured subject."""
        configured = [str(self.flat[key]) for key in PERSON if self.flat.get(key) is not None]
        return "+".join(self.tested) or next(iter(configured), "")

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that counts: what differs here is another kind of run.

        The person does not count if the run was fitted to and tested on one. A run that several
        people share is another kind than one person's own.
        """
        if not self.config:
            return {k: v for k, v in self.choices.items() if k not in NO_KIND}
        left_out = {"seed", *([] if self.fold is None else ["split.fold"])}
        if self._has_one_person:
            left_out.update(PERSON)
        counted = {
            key: AS_THE_RUN if self._follows_seed(key, value) else value
            for key, value in self.flat.items()
            if has_effect(key) and key not in left_out and value != UNSET
        }
        return {"data": self.choices.get("data"), **counted}  # W&B may hold no more of the data

    @property
    def name(self) -> str:
        """The configured name, or the experiment and what deviates from it."""
        typed = [override for override in self.typed if not override.startswith("split.fold=")]
        name = str(self.config.get("name") or run_name(self.choices, typed))
        return re.sub(r"_fold-[^_]+", "", name)  # which has a column of its own

    @property
    def _has_one_person(self) -> bool:
        configured = [self.flat[key] for key in PERSON if self.flat.get(key) is not None]
        lists = [value if isinstance(value, list) else [value] for value in configured]
        is_one = all(len(people) == 1 and people[0] != "all" for people in lists)
        return is_one and len(self.tested) <= 1

    def _follows_seed(self, key: str, value: Any) -> bool:
        """Return whether a value is a seed of the training, as that of ``split: own`` is."""
        is_seed = key.split(".")[-1] in ("seed", "random_state")
        return is_seed and not key.startswith("data.") and value == self.seed


def table_of_runs(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Write runs as a table, with a column for every configured value that differs."""
    import pandas as pd

    identities = [run.identity for run in runs]
    groups = list(dict.fromkeys([*GROUPS, *(g for run in runs for g in run.choices)]))
    groups = [g for g in groups if any(g in run.choices for run in runs)]
    numbers = list(dict.fromkeys(name for run in runs for name in run.numbers))
    taken = [*WHICH_RUN, *groups, *numbers]
    differing = [key for key in _differing(identities) if key not in groups]
    columns = dict(zip(differing, short_names([*taken, *differing])[len(taken) :], strict=True))
    rows = []
    for run, identity in zip(runs, identities, strict=True):
        row: dict[str, Any] = {
            "folder": run.folder,
            "name": run.name,
            "kind": fingerprint(identity)[:12],
        }
        row |= {group: run.choices.get(group) for group in groups}
        row |= {c: _cell(identity[k]) if k in identity else None for k, c in columns.items()}
        row |= {"seed": run.seed, "fold": run.fold, "n_folds": run.n_folds}
        row["subjects"] = run.subjects
        rows.append(row | {name: run.numbers.get(name) for name in numbers})
    return pd.DataFrame(rows)


def _differing(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Find the keys that not all runs have with the same value."""
    keys = dict.fromkeys(key for identity in identities for key in identity)
    found = []
    for key in keys:
        values = {fingerprint({key: one[key]} if key in one else {}) for one in identities}
        if len(values) > 1:
            found.append(key)
    return found


def _cell(value: Any) -> Any:
    """Write a configured value so that a cell can hold it; numbers stay numbers."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(_cell(one)) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {_cell(v)}' for k, v in value.items())}}}"
    return value


def distinguishing(runs: pd.DataFrame) -> list[str]:
    """Find the columns of a table of runs that tell its kinds apart, and no more than are needed.

    Returns
    -------
    list of str
        A column is left out if those before it say as much: of experiment, network and network
        size, the experiment alone.

    Examples
    --------
    >>> import pandas as pd
    >>> runs = pd.DataFrame({"kind": ["a", "b", "b"], "model": ["x", "y", "y"], "lr": [1, 2, 2]})
    >>> distinguishing(runs)
    ['model']
    """
    kinds = runs.drop_duplicates("kind")
    chosen: list[str] = []
    n_told = 1
    for column in runs:
        if column in (*WHICH_RUN, *NO_KIND) or MEASURED.fullmatch(column):
            continue
        if (runs.groupby("kind")[column].nunique(dropna=False) > 1).any():
            continue  # two files that say the same
        n = kinds.groupby([*chosen, column], dropna=False).ngroups
        if n > n_told:
            chosen.append(column)
            n_told = n
    return chosen
