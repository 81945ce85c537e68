"""``from p300 import …``: what is promised, and that asking for nothing costs nothing."""

import inspect
import subprocess
import sys

import pytest

import p300

NAMES = """
Detector Epochs OnnxDetector P300Classifier Preprocessor Recording Speller
StreamingPreprocessor WADSWORTH baselines check_recording concatenate_recordings explain
figures flash_table hold_out label_flashes metrics models readers recording_from_arrays
simulate_recording spell train
""".split()


def test_these_are_the_public_names():
    assert sorted(p300.__all__) == sorted(NAMES)
    assert set(p300._HOMES) == set(NAMES)
    assert set(NAMES) <= set(dir(p300))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(p300, name)
    assert inspect.getdoc(found)
    if inspect.isclass(found):
        public = [n for n, _ in inspect.getmembers(found, callable) if not n.startswith("_")]
        assert all(inspect.getdoc(getattr(found, n)) for n in public)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Recorder'"):
        p300.Recorder  # noqa: B018


def test_the_readers_are_found_as_attributes():
    assert p300.readers.bci2_iib.read.__module__ == "p300.readers.datasets.bci2_iib"
    with pytest.raises(AttributeError, match="no attribute 'edf'"):
        p300.readers.edf  # noqa: B018


def test_importing_p300_imports_nothing_else():
    code = (
        "import sys; before = set(sys.modules); import p300;"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('p300')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = ("numpy", "scipy", "pandas", "torch", "mne", "pytorch_lightning", "hydra", "wandb")
    assert not set(done.stdout.split()) & set(heavy)
