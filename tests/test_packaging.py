"""What an installation brings along: the versions tested, and none of the malicious ones."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REQUIRED = [Requirement(line) for line in PROJECT["dependencies"]]
OPTIONAL = [Requirement(r) for rows in PROJECT["optional-dependencies"].values() for r in rows]


def lightning():
    (found,) = [r for r in REQUIRED if r.name == "pytorch-lightning"]
    return found


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_releases_that_stole_credentials_are_excluded(version):
    """GHSA-w37p-236h-pfx3."""
    assert not lightning().specifier.contains(version, prereleases=True)


def test_a_clean_release_is_allowed():
    assert lightning().specifier.contains("2.6.4") and lightning().specifier.contains("2.6.6")


def test_the_package_called_lightning_is_not_depended_on():
    assert "lightning" not in {r.name for r in REQUIRED + OPTIONAL}
    for path in (ROOT / "p300").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not re.search(r"^\s*(import|from) lightning\b", text, re.MULTILINE), path


def pins():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_the_tested_versions_satisfy_the_requirements():
    tested = {name.lower(): version for name, version in pins().items()}
    for requirement in REQUIRED:
        assert requirement.name in tested, requirement
        assert requirement.specifier.contains(tested[requirement.name]), requirement


def hashed():
    """Versions and hashes of constraints-hashes.txt."""
    text = (ROOT / "constraints-hashes.txt").read_text("utf-8").replace("\\\n", " ")
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {row[0].split("==")[0].lower(): (row[0].split("==")[1], row[1:]) for row in rows}


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_tested_version_has_its_hashes():
    found = {plain(name): value for name, value in hashed().items()}
    for name, version in pins().items():
        assert Version(found[plain(name)][0]).public == version, name  # torch's has +cpu
    for name, (_, hashes) in found.items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), name
