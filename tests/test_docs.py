"""The pages and the reference: links lead somewhere, commands exist, nothing warns."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import p300
from p300.cli import COMMANDS

ROOT = Path(__file__).parent.parent
FLAT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")]
PAGES = sorted([*FLAT, *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    missing = [k for k in links if "://" not in k and not (page.parent / k).exists()]
    assert not missing


def test_every_command_has_a_page():
    pages = {page.stem for page in PAGES}
    assert set(COMMANDS) <= pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_on_a_page_are_commands(page):
    named = re.findall(r"^p300 ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= set(COMMANDS)


@pytest.mark.slow
def test_the_reference_is_made_without_a_warning(tmp_path):
    pytest.importorskip("pdoc", reason="pdoc is not installed (extra docs)")
    pdoc = [sys.executable, "-W", "error", "-m", "pdoc", "-d", "numpy"]
    rooms = {path.parent.name for path in (ROOT / "p300").glob("[a-z]*/__init__.py")}
    rooms = [f"p300.{room}" for room in sorted(rooms - set(p300.__all__))]
    done = subprocess.run(
        [*pdoc, "-o", str(tmp_path), "p300", *rooms], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.strip() and not done.stderr.strip()
    assert (tmp_path / "p300" / "preprocessing.html").exists()
