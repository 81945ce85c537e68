"""A second of random damage for every kind of file; the script itself runs for as long as told."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_cases import KINDS

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "fuzz_readers.py"


@pytest.mark.slow
def test_files_damaged_at_random_are_read_or_refused_in_a_sentence(tmp_path):
    has_onnx = importlib.util.find_spec("onnxscript") is not None  # extra export
    kinds = [kind for kind in KINDS if has_onnx or not kind.startswith("export")]
    done = subprocess.run(
        [sys.executable, SCRIPT, "1", "7", *kinds],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # a forked process lacks its parent's threads
    )
    found = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.txt"))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{found}"
    n_tried = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert list(n_tried) == kinds and min(n_tried.values()) >= 3, done.stdout
