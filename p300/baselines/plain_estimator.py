"""Some estimators of scikit-learn as plain containers, which can be read from anybody's file.

These estimators score by numpy on arrays that they keep, so nothing in such a file can run code.
All others are kept as a pickle (:mod:`p300.baselines.sklearn_estimator`).
"""

from __future__ import annotations

import importlib
from typing import Any

from p300.errors import InputError
from p300.preprocessing.state import decoded, encoded

#: Public names of the estimators.
KNOWN = (
    "sklearn.decomposition.PCA",
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "sklearn.linear_model.LinearRegression",
    "sklearn.linear_model.LogisticRegression",
    "sklearn.linear_model.Ridge",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing.MinMaxScaler",
    "sklearn.preprocessing.RobustScaler",
    "sklearn.preprocessing.StandardScaler",
    "sklearn.svm.LinearSVC",
)


def describe_estimator(estimator: Any) -> dict[str, Any] | None:
    """Describe a fitted estimator, or a pipeline of such; None if it needs a pickle.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> fitted = StandardScaler().fit([[1.0], [3.0]])
    >>> restore_estimator(describe_estimator(fitted)).transform([[5.0]])
    array([[3.]])
    >>> describe_estimator(object()) is None
    True
    """
    kind = type(estimator)
    name = f"{kind.__module__.partition('._')[0]}.{kind.__name__}"
    if name not in KNOWN or _class(name) is not kind:
        return None
    held = dict(vars(estimator))
    steps = held.pop("steps", None)
    described: dict[str, Any] = {"class": name}
    if steps is not None:
        parts = [describe_estimator(step) for _, step in steps]
        if None in parts:
            return None
        described["steps"] = [
            [str(step[0]), part] for step, part in zip(steps, parts, strict=True)
        ]
    try:
        return described | {"attributes": encoded(held, name)}
    except InputError:  # an attribute that is not plain, such as a kernel or a memory
        return None


def restore_estimator(described: dict[str, Any]) -> Any:
    """Build the fitted estimator that :func:`describe_estimator` described.

    Raises
    ------
    InputError
        If its class is not known.
    """
    if described["class"] not in KNOWN:
        raise InputError(
            f"the checkpoint names the estimator {described['class']!r}; expected one of "
            f"{', '.join(KNOWN)}"
        )
    kind: Any = _class(described["class"])
    estimator = kind.__new__(kind)
    vars(estimator).update(decoded(described["attributes"]))
    if "steps" in described:
        estimator.steps = [(name, restore_estimator(part)) for name, part in described["steps"]]
        estimator.memory = None  # a folder of pickles, which only fit would use
    return estimator


def _class(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)
