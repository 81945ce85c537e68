"""MOABB's readers, which read the owners' files, find the same in the files of these tests."""

from pathlib import Path

import numpy as np
import pytest
from published_files import (
    bigp3bci,
    epfl,
    write_bigp3bci,
    write_bnci_als,
    write_bnci_overt,
    write_brain_invaders,
    write_epfl,
)
from scipy.io import loadmat

from p300 import readers

pytest.importorskip("moabb", reason="moabb is not installed (extra moabb)")
pytestmark = [
    pytest.mark.slow,  # it takes seconds to import
    pytest.mark.filterwarnings("ignore"),
]


def events(raw, channel):
    """Samples and labels at which a stimulus channel begins to say 1 (nontarget) or 2."""
    marks = raw.get_data([channel])[0].round()
    at = np.flatnonzero((np.diff(marks, prepend=0) != 0) & (marks > 0))
    return at, marks[at] == 2


def same(recording, raw, channel="STI", *, segment=0, tolerance=1e-3):
    """Compare channels that both have, and flashes, of one segment."""
    flashes = recording.flashes[recording.flashes["segment"] == segment]
    at, is_target = events(raw, channel)
    found = np.rint(flashes["onset"].to_numpy() * recording.sfreq)
    assert np.abs(found - at).max() <= 1 and len(at) > 20  # MOABB rounds times down
    assert flashes["is_target"].tolist() == is_target.tolist()
    theirs = 1e6 * raw.get_data(list(recording.ch_names))
    n = min(theirs.shape[1], recording.segments[segment].shape[1])
    assert n > 1000
    assert np.abs(theirs[:, :n] - recording.segments[segment][:, :n]).max() < tolerance


def test_bnci_008_2014(tmp_path):
    from moabb.datasets.bnci.base import _convert_run_p300_sl

    path = write_bnci_als(tmp_path)
    data = loadmat(path, struct_as_record=False, squeeze_me=True)["data"]
    raw, _ = _convert_run_p300_sl(data, verbose="error")
    recording = readers.bnci_2014.read(tmp_path)
    same(recording, raw, "Target stim")
    codes = raw.get_data(["Flash stim"])[0]
    at, _ = events(raw, "Target stim")
    assert (codes[at] - 2).tolist() == recording.flashes["code"].tolist()


def test_bnci_009_2014(tmp_path):
    from moabb.datasets.bnci.base import _convert_run_p300_sl

    path = write_bnci_overt(tmp_path)
    recording = readers.bnci_2014.read(tmp_path, kind="overt")
    runs = loadmat(path, struct_as_record=False, squeeze_me=True)["data"]
    for segment, run in enumerate(runs):
        raw, _ = _convert_run_p300_sl(run, verbose="error")
        raw._data[:16] /= 10
        same(recording, raw, "Target stim", segment=segment)


def test_epfl(tmp_path):
    from moabb.datasets import EPFLP300

    path = write_epfl(tmp_path, epfl(n_repetitions=6))
    raw = EPFLP300()._get_single_run_data(str(path))
    same(readers.epfl.read(tmp_path), raw)


@pytest.mark.parametrize("checkerboard", [False, True])
def test_bigp3bci(tmp_path, checkerboard):
    from moabb.datasets.mainsah2025 import Mainsah2025

    path = write_bigp3bci(tmp_path, bigp3bci("WAVE", checkerboard=checkerboard))
    same(readers.bigp3bci.read(tmp_path), Mainsah2025._load_edf(str(path)))


@pytest.mark.parametrize("edition", ["2012", "2013a", "2014a", "2015a"])
def test_brain_invaders(tmp_path, edition):
    from moabb.datasets import BI2012, BI2013a, BI2014a, BI2015a
    from moabb.datasets.braininvaders import _bi_get_subject_data

    path = write_brain_invaders(tmp_path, edition)
    dataset = {"2012": BI2012, "2013a": BI2013a, "2014a": BI2014a, "2015a": BI2015a}[edition]()
    dataset.data_path = lambda subject: [str(path)]
    ((raw,),) = [list(runs.values()) for runs in _bi_get_subject_data(dataset, 1).values()]
    recording = readers.brain_invaders.read(tmp_path, edition)
    if edition == "2013a":  # without a unit: MOABB takes the samples for volts
        raw.apply_function(lambda x: 1e-6 * x, picks="eeg")
        raw.apply_function(lambda x: np.select([x == 33285, x == 33286], [2, 1]), picks="stim")
    same(recording, raw, "STI 014")


def test_paths_of_bigp3bci_are_those_of_its_list_of_files(tmp_path):
    from moabb.datasets.mainsah2025 import _parse_manifest

    path = write_bigp3bci(tmp_path / "bigP3BCI-data")
    name = path.relative_to(tmp_path).as_posix()
    listed = Path(tmp_path / "SHA256SUMS.txt")
    listed.write_text(f"deadbeef  {name}\n")
    assert _parse_manifest(listed) == {"A": {"A_01": {1: [name]}}}
