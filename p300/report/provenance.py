"""Where a page comes from: when, from which code, and whose recording it is."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import p300
from p300.experiments.folder import read_results
from p300.report.page import Section, Table, Text
from p300.report.repeat import read_yaml

#: Packages whose version can change a result.
PACKAGES = (
    "p300",
    "torch",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "mne",
    "pyriemann",
    "hydra-core",
)


def written_text() -> Text:
    """Say when and by which code the page is written."""
    code = code_commit()
    by = f"p300 {p300.__version__}" + (f", commit {code}" if code else "")
    return Text(f"This page was written on {datetime.now():%Y-%m-%d at %H:%M} by {by}.")


def finished_text(folders: Iterable[str | Path]) -> Text:
    """Say when the runs were finished: when their ``results.json`` was written."""
    times = [(Path(folder) / "results.json").stat().st_mtime for folder in folders]
    first, last = (f"{datetime.fromtimestamp(f(times)):%Y-%m-%d at %H:%M}" for f in (min, max))
    when = f"on {first}" if first == last else f"from {first} to {last}"
    return Text(f"Finished {when}.")


def citations(folders: Iterable[str | Path]) -> list[Text]:
    """List what to cite for the recordings of some runs.

    It is ``cite`` of their data configuration, or else what the recording itself asks for. With
    ``cite: null`` and a recording that asks for nothing, there is nothing to cite.
    """
    found: dict[str, None] = {}
    is_asked = True
    for folder in map(Path, folders):
        path = folder / "config.yaml"
        data = read_yaml(path).get("data", {}) if path.exists() else {}
        results = read_results(folder) if (folder / "results.json").exists() else {}
        if cite := data.get("cite") or results.get("cite"):
            found[str(cite).rstrip(".")] = None
        is_asked &= bool(cite) or "cite" in data
    named = [Text(f"Cite for the recording: {cite}.") for cite in found]
    if not is_asked:
        text = "The configuration names no citation for a recording; `data.cite` would."
        named.append(Text(text, is_note=True))
    return named


def versions_section(trained_with: str = "") -> Section:
    """List the versions with which this page was written."""
    rows = [("Python", platform.python_version())]
    for package in PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    caption = "Versions with which this page was written"
    written = f"The checkpoint was written by p300 {trained_with}. " if trained_with else ""
    system = f"{written}The page was written on {platform.system()}, {platform.machine()}."
    table = Table(caption, ("package", "version"), rows)
    return Section("Versions", [written_text(), table, Text(system)])


def checkpoint_version(folder: Path) -> str:
    """Read which version of p300 wrote a run's checkpoint."""
    from p300.detector import find_checkpoint
    from p300.storage.tensors import read_tensors

    return str(read_tensors(find_checkpoint(folder)).get("p300_version", "of unknown version"))


def code_commit() -> str:
    """Return the commit of the code and whether it was changed; empty outside a git checkout.

    Examples
    --------
    >>> len(code_commit().split(" ")[0]) in (0, 12)
    True
    """
    package = Path(p300.__file__).parent
    if not (package.parent / ".git").exists():
        return ""
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    changed = _git(package, "status", "--porcelain", "--", str(package))
    return f"{commit} with changes" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str:
    line = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
