"""The rooms of the project, and who may enter which: pyproject.toml holds the rules."""

import re
from pathlib import Path

import pytest
from importlinter.api import read_configuration  # noqa: F401  (the package is there)
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from p300.experiments.identity import CODE

PACKAGE = Path(__file__).parents[1] / "p300"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_imports_run_downwards_and_never_in_a_circle(monkeypatch):
    monkeypatch.chdir(PACKAGE.parent)
    # it would disable the loggers of p300 for the tests that follow
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


def test_hydra_instantiates_in_one_file():
    found = [p for p in FILES if re.search(r"\bimport (.*, )?instantiate\b", p.read_text("utf-8"))]
    assert found == [PACKAGE / "experiments" / "build.py"]


def test_confidence_intervals_are_made_in_one_file():
    quantiles = re.compile(r"\.ppf\(|\.multinomial\(|\bconfidence\) / 2|0\.975|1\.96")
    found = {p.relative_to(PACKAGE).as_posix() for p in FILES if quantiles.search(p.read_text())}
    tolerance = "experiments/audit/training.py"  # of a test, which nobody reads as an interval
    assert found - {tolerance} == {"metrics/intervals.py"}


def test_the_code_that_makes_results_is_where_its_digest_looks():
    for name in CODE:
        path = PACKAGE / name
        assert path.is_file() or list(path.glob("*.py")), name


@pytest.mark.parametrize("path", sorted((PACKAGE / "commands").glob("*.py")), ids=lambda p: p.stem)
def test_a_command_is_one_short_file(path):
    assert len(path.read_text("utf-8").splitlines()) <= 110


def test_few_nouns_lie_flat_and_no_two_share_a_prefix():
    flat = [p.stem for p in PACKAGE.glob("*.py")]
    assert len(flat) <= 14
    prefixes = [name.split("_")[0] for name in flat if "_" in name.strip("_")]
    assert len(prefixes) == len(set(prefixes))


def test_no_room_is_crowded():
    rooms = {p.parent for p in FILES} - {PACKAGE, PACKAGE / "models"}
    crowded = {room.name: n for room in rooms if (n := len(list(room.glob("*.py"))) - 1) > 14}
    assert not crowded
