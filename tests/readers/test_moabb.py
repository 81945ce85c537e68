import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from p300.errors import InputError
from p300.readers import moabb as reader
from p300.readers.mne_raw import to_raw
from p300.simulation import simulate_recording

pytestmark = [
    # MOABB's own dependencies warn on import
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def moabb_home(tmp_path, monkeypatch):
    """MOABB with folders of its own and without a network."""
    pytest.importorskip("moabb.datasets.fake", reason="MOABB is not installed (extra moabb)")
    monkeypatch.setenv("MNE_DATA", str(tmp_path))
    monkeypatch.setenv("MNE_DATASETS_BNCI_PATH", str(tmp_path))
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("MOABB_DOWNLOAD_PROVIDER", "upstream")
    monkeypatch.setattr("socket.socket.connect", refuse_network)
    before = set(os.environ)
    yield tmp_path
    for name in set(os.environ) - before:  # FakeDataset sets a folder of its own
        del os.environ[name]


def refuse_network(*_):
    raise OSError("tests have no network")


def fake_dataset(**arguments):
    from moabb.datasets.fake import FakeDataset

    arguments = {"event_list": ["NonTarget", "Target"], "paradigm": "p300", **arguments}
    return FakeDataset(n_subjects=2, n_sessions=2, n_runs=3, duration=20, seed=1, **arguments)


@pytest.mark.parametrize("kind", [{"stim": True}, {"stim": False, "annotations": True}])
def test_sessions_and_runs_of_a_data_set_are_kept(moabb_home, kind):
    recording = reader.read(fake_dataset(n_events=12, **kind), [1, 2])
    flashes = recording.flashes
    assert recording.ch_names == ("C3", "Cz", "C4") and recording.unit == "uV"
    assert len(recording.segments) == 2 * 2 * 3
    runs = flashes.groupby(["subject", "session", "run"]).size()
    assert runs.index.tolist() == [
        (subject, session, run) for subject in "12" for session in "01" for run in range(3)
    ]
    assert (runs == 12).all()
    assert flashes["is_target"][:4].tolist() == [False, True, False, True]
    assert flashes["code"][:4].tolist() == [1, 2, 1, 2]
    assert flashes["character"].isna().all() and recording.speller is None
    # MOABB's fake noise has a standard deviation of 20 µV, and its first event is at sample 1
    assert recording.segments[0].std() == pytest.approx(20, rel=0.05)
    assert flashes["onset"][0] == pytest.approx(1 / 128)


def test_a_run_without_a_number_is_refused():
    (raw,) = to_raw(simulate_recording(speller=None, n_flashes=12, seed=1))
    raw.annotations.rename({"nontarget/1": "NonTarget", "target/2": "Target"})
    dataset = SimpleNamespace(
        code="fake",
        paradigm="p300",
        event_id={"NonTarget": 1, "Target": 2},
        subject_list=[1],
        interval=[0, 1],
        get_data=lambda _: {1: {"0": {"0train": raw, "train": raw}}},
    )
    with pytest.raises(InputError, match="values of run that are no whole numbers .*'train'"):
        reader.read(dataset)


@pytest.mark.parametrize(
    "names",
    [("Target", "Non Target"), ("target", "non-target"), ("oddball", "standard"), ("2", "1")],
)
def test_both_classes_of_annotations_in_another_spelling_are_read(names):
    spelled = simulate_recording(None, speller=None, n_flashes=24, seed=1)
    (raw,) = to_raw(spelled)
    raw.annotations.rename({"target/2": names[0], "nontarget/1": names[1]})
    rest = raw.copy().set_annotations(None)  # a run of another task
    dataset = SimpleNamespace(
        code="fake",
        paradigm="p300",
        subject_list=[1],
        interval=[0, 1],
        event_id={"Target": 2, "NonTarget": 1},
        get_data=lambda subjects: {1: {"0": {"0": raw, "1": rest}}},
    )
    with pytest.warns(UserWarning, match="run 1 has no event and is left out"):
        flashes = reader.read(dataset).flashes
    assert flashes["is_target"].tolist() == spelled.flashes["is_target"].tolist()


def test_a_data_set_without_targets_is_refused(moabb_home):
    with pytest.raises(InputError, match="'imagery' with the events fake1, fake2"):
        reader.read(fake_dataset(event_list=["fake1", "fake2"], paradigm="imagery"))


def test_an_unknown_subject_is_answered_with_those_there_are(moabb_home):
    with pytest.raises(InputError, match=r"no subjects \[9\]; expected some of \[1, 2\]"):
        reader.read(fake_dataset(), 9)


def test_an_unknown_data_set_is_answered_with_names_like_it(moabb_home):
    with pytest.raises(
        InputError, match="no data set 'BNCI2015_03'; similar names: .*BNCI2015_003"
    ):
        reader.read("BNCI2015_03")


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_that_cannot_be_downloaded_is_one_sentence(moabb_home):
    with pytest.raises(InputError, match="could not get BNCI2015-003, subjects .6.*MNE_DATA"):
        reader.read("BNCI2015_003", 6)


def test_without_moabb_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "moabb", None)
    monkeypatch.setitem(sys.modules, "moabb.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'p300\[moabb\]'"):
        reader.read("BNCI2015_003")


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore")
def test_moabb_and_our_reader_agree_on_the_files_of_bnci_003_2015(data_root, moabb_home):
    from p300.readers import bnci

    folder = moabb_home / "MNE-bnci-data" / "~bci" / "database" / "003-2015"
    folder.mkdir(parents=True)
    (folder / "s6.mat").symlink_to((data_root / "bnci_003_2015" / "s6.mat").resolve())
    theirs = reader.read("BNCI2015_003", 6)
    ours = bnci.read(data_root / "bnci_003_2015", 6)
    assert theirs.name == "BNCI2015-003" and theirs.ch_names == ours.ch_names
    for their, our in zip(theirs.segments, ours.segments, strict=True):
        np.testing.assert_allclose(their, our, rtol=1e-4, atol=1e-2)
    assert theirs.flashes["onset"].to_numpy() == pytest.approx(ours.flashes["onset"].to_numpy())
    assert (theirs.flashes["is_target"] == ours.flashes["is_target"]).all()
    assert theirs.flashes["run"].unique().tolist() == [0, 1]
