"""Files of epochs: joined where they overlap, else one segment each."""

import mne
import numpy as np
import pytest
from scipy.io import savemat

from p300.errors import InputError
from p300.readers import file
from p300.readers.mne_raw import to_raw
from p300.simulation import simulate_recording

NAMES = ["Fz", "Cz", "Pz"]


@pytest.fixture(scope="module")
def spelled():
    return simulate_recording("CA", n_repetitions=2, ch_names=NAMES, sfreq=256, seed=3)


def epochs_of(recording, *, tmax=0.8, metadata=None, ids=None, **more):
    (raw,) = to_raw(recording)
    onsets = np.round(recording.flashes["onset"].to_numpy() * 256).astype(int)
    kinds = np.where(recording.flashes["is_target"].to_numpy(bool), 2, 1)
    events = np.column_stack([onsets, np.zeros_like(onsets), kinds])
    ids = ids or {"nontarget": 1, "target": 2}
    more = {"baseline": None, "preload": True, "verbose": "error"} | more
    return mne.Epochs(raw, events, ids, tmin=-0.1, tmax=tmax, metadata=metadata, **more)


def save(epochs, path):
    epochs.save(path, overwrite=True, verbose="error")
    return path


def test_epochs_that_overlap_are_the_signal_they_were_cut_from(tmp_path, spelled):
    path = save(epochs_of(spelled), tmp_path / "a-epo.fif")
    recording = file.read(path)
    assert any("they are 2 continuous segments" in note for note in recording.notes)
    samples = np.round(spelled.flashes["onset"].to_numpy() * 256).astype(int)
    for k, rows in recording.flashes.groupby("segment"):  # the pause between two characters cuts
        first = samples[rows.index[0]] - 26  # -0.1 s: 25.6 samples before
        n = recording.segments[k].shape[1]
        whole = spelled.segments[0][:, first : first + n]
        assert np.abs(recording.segments[k] - whole).max() < 1e-3
        onset = samples[rows.index] - first
        assert (rows["onset"] * 256).to_numpy() == pytest.approx(onset, abs=1e-6)
    assert recording.flashes["is_target"].tolist() == spelled.flashes["is_target"].tolist()
    assert recording.ch_names == tuple(NAMES)


@pytest.mark.parametrize("change", [{"baseline": (-0.1, 0)}, {"tmax": 0.05}])
@pytest.mark.filterwarnings("ignore:a-epo.fif.*overlap with the next")
def test_others_are_a_segment_each(tmp_path, spelled, change):
    recording = file.read(save(epochs_of(spelled, **change), tmp_path / "a-epo.fif"))
    is_sharing = "baseline" in change  # the others are shorter than the time between two flashes
    assert any("the same raw samples" in note for note in recording.notes) == is_sharing
    assert len(recording.segments) == len(recording.flashes) == 48
    assert recording.flashes["segment"].tolist() == list(range(48))
    assert (recording.flashes["onset"] * 256).to_numpy() == pytest.approx(26)
    assert any("filters act within epochs" in note for note in recording.notes)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of MNE, when it saves
def test_metadata_tell_codes_and_characters(tmp_path, spelled):
    table = spelled.flashes[["code", "is_target", "character", "repetition"]]
    path = save(epochs_of(spelled, metadata=table), tmp_path / "a_epo.fif")
    recording = file.read(path, speller="wadsworth")
    for column in table:
        assert recording.flashes[column].tolist() == table[column].tolist(), column
    assert any("code, is_target, character, repetition" in note for note in recording.notes)
    bare = file.read(save(epochs_of(spelled, metadata=table[["code"]]), path), speller="wadsworth")
    assert bare.flashes["character"].tolist() == table["character"].tolist()  # by pauses
    assert bare.flashes["is_target"].isna().all()


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of MNE, when it saves
def test_classes_of_the_metadata_with_several_readings_are_said_by_targets(tmp_path, spelled):
    table = spelled.flashes[["code", "character", "repetition"]].copy()
    table["is_target"] = np.where(spelled.flashes["is_target"].to_numpy(bool), 4, 3)
    path = save(epochs_of(spelled, metadata=table), tmp_path / "a-epo.fif")
    with pytest.raises(InputError, match="say which are targets: targets=") as error:
        file.read(path, speller="wadsworth")
    assert '"data.targets={3: ?, 4: ?}"' in error.value.typed
    found = file.read(path, speller="wadsworth", targets={3: False, 4: True})
    for column in ("code", "is_target", "character"):
        assert found.flashes[column].tolist() == spelled.flashes[column].tolist(), column


def test_names_of_events_are_mapped_and_shown(tmp_path, spelled):
    path = save(epochs_of(spelled, ids={"tone A": 1, "tone B": 2}), tmp_path / "a-epo.fif")
    said = file.contents(path)
    assert "48 epochs of -0.1" in said and "'tone A' 40, 'tone B' 8" in said
    with pytest.raises(InputError, match="no flash among the events of the epochs: 'tone A' 40"):
        file.read(path)
    recording = file.read(path, targets={"tone B": True, "tone A": False}, picks=["PZ"])
    assert recording.flashes["is_target"].sum() == 8 and recording.ch_names == ("Pz",)
    with pytest.warns(UserWarning, match="40 events are no flashes"):
        rare = file.read(path, targets={"tone B": True})
    expected = recording.flashes.query("is_target")["onset"].to_numpy()
    assert rare.flashes["onset"].to_numpy() == pytest.approx(expected)


def test_epochs_of_eeglab_are_read(tmp_path, spelled):
    epochs = epochs_of(spelled, tmax=0.4)
    data = epochs.get_data() * 1e6
    n_epochs, n_chans, n_times = data.shape
    n = np.arange(n_epochs)
    kinds = np.array(["nontarget", "target"], object)[epochs.events[:, 2] - 1]
    eeg = {
        **{"setname": "a", "nbchan": n_chans, "trials": n_epochs, "pnts": n_times},
        **{"srate": 256.0, "xmin": -0.1, "xmax": 0.4, "data": data.transpose(1, 2, 0)},
        "chanlocs": np.array([(name,) for name in NAMES], dtype=[("labels", object)]),
        "event": np.array(
            [(k, n_times * i + 27.0, i + 1.0) for i, k in enumerate(kinds)],
            dtype=[("type", object), ("latency", object), ("epoch", object)],
        ),
        "epoch": np.array(
            [(i + 1.0, 0.0, k) for i, k in enumerate(kinds)],
            dtype=[("event", object), ("eventlatency", object), ("eventtype", object)],
        ),
        **{"epochdescription": "", "urevent": "", "history": "", "icawinv": []},
        **{"icasphere": [], "icaweights": [], "icachansind": [], "filename": "a.set"},
    }
    savemat(tmp_path / "a.set", {"EEG": eeg}, appendmat=False)
    recording = file.read(tmp_path / "a.set")
    assert len(recording.segments) == len(n) == 48
    assert np.abs(recording.segments[3] - data[3]).max() < 1e-3
    assert recording.flashes["is_target"].tolist() == spelled.flashes["is_target"].tolist()


@pytest.mark.parametrize("content", [b"", b"no FIF", None])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, spelled, content):
    path = save(epochs_of(spelled), tmp_path / "a-epo.fif")
    path.write_bytes(path.read_bytes()[:-100_000] if content is None else content)
    with pytest.raises(InputError, match="a-epo.fif (cannot be read|is damaged)"):
        file.read(path)
