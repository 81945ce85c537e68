"""Names of electrodes as laboratories write them, and their positions."""

import mne
import numpy as np
import pytest

from p300.electrodes import clean_names, find_positions, make_info, standard_montage
from p300.errors import InputError
from p300.preprocessing import Preprocessor, recording_from_arrays
from p300.preprocessing.channels import interpolation_matrix
from p300.readers.mne_raw import read_raw, to_raw
from p300.recording import channel_order, concatenate_recordings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["EEG Fz-CPz"], ["fz"]),
        (["fz-LE", "EEG Cz-LE"], ["fz", "cz"]),
        (["EEG C3-A2", "EEG C4-A1"], ["c3", "c4"]),
        (["EEG Fp1", "Fp2."], ["fp1", "fp2"]),
        (["Fz-FCz", "Cz-FCz", "Pz-FCz"], ["fz", "cz", "pz"]),
        (["T3", "T4", "T5", "T6"], ["t7", "t8", "p7", "p8"]),
        (["T3", "T7"], ["t3", "t7"]),
        (["Fp1-F7", "F7-T3", "Fp1-F3"], ["fp1-f7", "f7-t3", "fp1-f3"]),
        (["Fz-Ref", "Fz-Cz"], ["fz-ref", "fz-cz"]),
        (["POL Fz", "EEG POL C3", "Ch1: Cz", "4-Oz"], ["fz", "c3", "cz", "oz"]),
        (["Fz (uV)", "Cz [µV]", "P7(T5)", "Pz_ref", "Oz REF"], ["fz", "cz", "p7", "pz", "oz"]),
        (["EEG 1", "EEG 2", "Ch 3", "BIP4"], ["1", "2", "ch 3", "bip4"]),
        (["Fz (left)", "Fz (right)"], ["fz (left)", "fz (right)"]),
    ],
)
def test_names_are_cleaned_and_bipolar_channels_keep_both(written, meant):
    assert clean_names(written) == meant


def test_channels_are_found_by_what_their_names_mean():
    have = ["EEG Fz-CPz", "EEG T3-CPz", "EEG Pz-CPz"]
    assert channel_order(have, ["Pz", "T7", "fz"]) == [2, 1, 0]
    assert channel_order(["Fz", "T7"], ["T3", "EEG FZ-REF"]) == [1, 0]
    assert channel_order(["T3", "T7"], ["T7", "T3"]) == [1, 0]
    with pytest.raises(InputError, match=r"channels \['Oz'\] are not among the 3 recorded"):
        channel_order(have, ["Oz"])
    for twice in (["Fz", "fz."], ["Fz", "FZ"], ["EEG Fz", "POL Fz"]):
        with pytest.raises(InputError, match="differ in case, dots or a prefix alone"):
            channel_order(twice, ["Fz"])
        with pytest.raises(InputError, match="differ in case, dots or a prefix alone"):
            recording_from_arrays(np.zeros((2, 99)), [0.1], sfreq=100, ch_names=twice)


def test_positions_are_mnes_and_biosemis_names_are_not_taken_for_others():
    (t7,) = mne.create_info(["T7"], 1, "eeg").set_montage(standard_montage())["chs"]
    found = find_positions(["EEG Fz-REF", "T3", "A1", "finger"])
    assert list(found) == ["EEG Fz-REF", "T3", "A1"]
    assert found["T3"] == pytest.approx(t7["loc"][:3])
    layout = mne.channels.make_standard_montage("biosemi128")
    whole = find_positions(layout.ch_names)
    info = mne.create_info(layout.ch_names, 1, "eeg").set_montage(layout)
    for channel in info["chs"]:
        assert whole[channel["ch_name"]] == pytest.approx(channel["loc"][:3], abs=1e-6)
    some = find_positions(["A1", "A19", "B22", "C3", "Fz"])
    assert list(some) == ["Fz"]


@pytest.fixture
def biosemi():
    """A Raw of 128 electrodes on their true places, with a smooth field over the head."""
    layout = mne.channels.make_standard_montage("biosemi128")
    info = mne.create_info(layout.ch_names, 256, "eeg").set_montage(layout)
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    rng = np.random.default_rng(0)
    signal = places @ rng.normal(size=(3, 2560)) * 2e-4
    raw = mne.io.RawArray(signal, info, verbose="error")
    raw.set_annotations(mne.Annotations([1, 2, 3], 0, ["target/1", "nontarget/2", "nontarget/2"]))
    return raw


def test_positions_travel_with_the_recording_and_back(biosemi):
    (back,) = to_raw(read_raw(biosemi).pick(["A7", "C3", "D20"]))
    for name in ("A7", "C3", "D20"):
        true = biosemi.info["chs"][biosemi.ch_names.index(name)]["loc"][:3]
        assert back.info["chs"][back.ch_names.index(name)]["loc"][:3] == pytest.approx(true)


def test_bad_channels_are_interpolated_at_their_true_places(biosemi):
    true = biosemi.get_data("C3")[0] * 1e6
    biosemi._data[biosemi.ch_names.index("C3")] = 5e-4 * np.random.default_rng(1).normal(size=2560)
    biosemi.info["bads"] = ["C3"]
    recording = read_raw(biosemi)
    assert recording.n_chans == 128 and recording.bad_channels == ("C3",)
    steps = Preprocessor(l_freq=None, h_freq=None, sfreq=256, tmax=0.5, scaling="none")
    epochs = steps.fit(recording).epochs(recording)
    assert steps.bad_channels_ == ("C3",)
    found = epochs.data[0, epochs.ch_names.index("C3")]
    assert np.corrcoef(found, true[256 : 256 + 128])[0, 1] > 0.999
    by_name = interpolation_matrix(["Fz", "Cz", "Pz", "Oz", "C3"], ["C3"])
    assert by_name.shape == (5, 5)
    assert Preprocessor(bad_channels=()).fit(recording).bad_channels_ == ()


def test_a_channel_that_is_bad_in_one_run_is_bad_in_the_whole(biosemi):
    marked = biosemi.copy()
    marked.info["bads"] = ["B9"]
    for runs in ((biosemi, marked), (marked, biosemi)):
        whole = concatenate_recordings([read_raw(raw, run=k) for k, raw in enumerate(runs)])
        assert whole.n_chans == 128 and whole.bad_channels == ("B9",)


def test_bad_channels_that_cannot_be_interpolated_are_left_out_and_named():
    info = mne.create_info(["Fz", "Cz", "Pz", "E7"], 100, "eeg")
    raw = mne.io.RawArray(np.zeros((4, 500)), info, verbose="error")
    raw.set_annotations(mne.Annotations([1.0], 0, ["target"]))
    raw.info["bads"] = ["E7"]
    recording = read_raw(raw)
    assert recording.ch_names == ("Fz", "Cz", "Pz") and recording.bad_channels == ()
    assert any("Channels E7 are marked bad and left out" in note for note in recording.notes)


def test_channels_are_picked_dropped_and_renamed():
    signal = np.arange(12.0).reshape(3, 4)
    recording = recording_from_arrays(signal, [0.0], sfreq=100, ch_names=["Fz", "Cz", "E3"])
    assert recording.pick(["cz", "Fz"]).segments[0].tolist() == signal[[1, 0]].tolist()
    assert recording.drop(["Cz"]).ch_names == ("Fz", "E3")
    renamed = recording.rename({"E3": "Pz"})
    assert renamed.ch_names == ("Fz", "Cz", "Pz")
    assert np.shares_memory(renamed.segments[0], recording.segments[0])
    for wrong in (lambda: recording.drop(["Oz"]), lambda: recording.rename({"Oz": "Pz"})):
        with pytest.raises(InputError, match=r"channels \['Oz'\] are not among"):
            wrong()
    with pytest.raises(InputError, match="duplicate channel names"):
        recording.rename({"E3": "Cz"})


def test_a_detector_trained_with_new_names_reads_a_recording_with_old_ones():
    signal = np.random.default_rng(0).normal(size=(2, 2000))
    new = recording_from_arrays(signal, [1.0], sfreq=240, ch_names=["Cz", "T7"])
    old = recording_from_arrays(
        signal[::-1], [1.0], sfreq=240, ch_names=["EEG T3-A1", "EEG Cz-A2"]
    )
    steps = Preprocessor().fit(new)
    assert np.array_equal(steps.transform(new), steps.transform(old))


def test_an_info_has_the_positions_that_are_given():
    info = make_info(["x", "Cz"], 100, {"x": (0.01, 0.02, 0.08)})
    assert info["chs"][0]["loc"][:3] == pytest.approx([0.01, 0.02, 0.08])
    assert np.isnan(info["chs"][1]["loc"][:3]).all()
