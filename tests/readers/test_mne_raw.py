import mne
import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.readers.mne_epochs import EVENT_ID, read_epochs, to_epochs
from p300.readers.mne_raw import read_raw, to_raw
from p300.recording import Recording, flash_table
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH

SFREQ = 100.0


def make_raw(onsets=(), labels=(), *, n_samples=1000, first_samp=0, stim=None, microvolts=30):
    kinds = ["eeg", "eeg", "eog"] + ["stim"] * (stim is not None)
    names = ["Cz", "Pz", "EOG", "STI"][: len(kinds)]
    data = np.full((len(kinds), n_samples), microvolts * 1e-6)
    data[1] = np.arange(n_samples) * 1e-6
    if stim is not None:
        data[3] = stim
    info = mne.create_info(names, SFREQ, kinds)
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    raw.set_annotations(mne.Annotations(onsets, [0.0] * len(onsets), labels))
    return raw


def test_volts_become_microvolts_and_only_eeg_is_taken():
    recording = read_raw(make_raw([1.0], ["target"]))
    assert recording.ch_names == ("Cz", "Pz") and recording.unit == "uV"
    assert recording.segments[0].dtype == np.float32
    assert recording.segments[0][0] == pytest.approx(30)
    assert recording.segments[0][1, 123] == pytest.approx(123)


@pytest.mark.parametrize("first_samp", [0, 250])
def test_annotations_are_counted_from_the_first_sample(first_samp):
    raw = make_raw([1.0, 2.5], ["target/7", "nontarget/2"], first_samp=first_samp)
    flashes = read_raw(raw).flashes
    assert flashes["onset"].tolist() == [1.0, 2.5]
    assert flashes["code"].tolist() == [7, 2]
    assert flashes["is_target"].tolist() == [True, False]


def test_events_of_mne_are_counted_from_the_first_sample():
    raw = make_raw(first_samp=250)
    events = np.array([[350, 0, 2], [450, 0, 1], [460, 0, 99]])
    flashes = read_raw(raw, events=events, event_id={"NonTarget": 1, "Target": 2}).flashes
    assert flashes["onset"].tolist() == [1.0, 2.0]
    assert flashes["is_target"].tolist() == [True, False]
    assert flashes["code"].tolist() == [2, 1]


def test_the_stimulus_channel_gives_flashes_but_no_eeg():
    stim = np.zeros(1000)
    stim[0:4], stim[300:304] = 5, 6  # one flash at the very first sample
    recording = read_raw(make_raw(stim=stim))
    assert recording.ch_names == ("Cz", "Pz")
    assert recording.flashes["onset"].tolist() == [0.0, 3.0]
    assert recording.flashes["code"].tolist() == [5, 6]
    assert recording.flashes["is_target"].isna().all()


def test_labels_of_another_laboratory_are_translated():
    raw = make_raw([1.0, 2.0, 3.0], ["S  1", "S  2", "New Segment"])
    flashes = read_raw(raw, targets={"S  1": False, "S  2": True}).flashes
    assert flashes["is_target"].tolist() == [False, True] and flashes["code"].tolist() == [1, 2]


def test_characters_and_repetitions_follow_from_pauses_and_codes():
    onsets = [k * 0.1 for k in range(24)] + [4 + k * 0.1 for k in range(24)]
    raw = make_raw(onsets, [f"nontarget/{1 + k % 12}" for k in range(48)])
    flashes = read_raw(raw, speller=WADSWORTH).flashes
    assert flashes["character"].tolist() == [1] * 24 + [2] * 24
    assert flashes["repetition"].tolist() == ([0] * 12 + [1] * 12) * 2


def test_a_speller_needs_codes_that_are_on_its_screen():
    with pytest.raises(InputError, match="1 of 2 flashes have no code .*the first: 13"):
        read_raw(make_raw([1.0, 2.0], ["target/1", "nontarget/13"]), speller=WADSWORTH)


@pytest.mark.parametrize("first_samp", [0, 300])
def test_runs_joined_by_mne_are_cut_at_their_seam(first_samp):
    raws = [
        make_raw([1.0], ["target"], first_samp=first_samp),
        make_raw([2.0], ["nontarget"], n_samples=700),
    ]
    recording = read_raw(mne.concatenate_raws(raws, verbose="error"))
    assert [s.shape[1] for s in recording.segments] == [1000, 700]
    assert recording.segments[1][1, 5] == pytest.approx(5)
    assert recording.flashes["segment"].tolist() == [0, 1]
    assert recording.flashes["onset"].tolist() == [1.0, 2.0]


def test_skipped_acquisition_is_no_signal_and_its_flashes_are_left_out():
    raw = make_raw([1.0, 4.0, 6.0], ["target", "target", "nontarget"])
    raw.set_annotations(raw.annotations + mne.Annotations([3.0], [2.0], ["BAD_ACQ_SKIP"]))
    with pytest.warns(UserWarning, match="1 of 3 flashes"):
        recording = read_raw(raw)
    assert [s.shape[1] for s in recording.segments] == [300, 500]
    assert recording.flashes["onset"].tolist() == [1.0, 1.0]


def test_an_artefact_leaves_flashes_out_but_the_signal_whole():
    raw = make_raw([1.0, 4.0], ["target", "nontarget"])
    raw.set_annotations(raw.annotations + mne.Annotations([3.5], [1.0], ["BAD_blink"]))
    with pytest.warns(UserWarning, match="1 of 2 flashes"):
        recording = read_raw(raw)
    assert len(recording.segments) == 1 and recording.flashes["onset"].tolist() == [1.0]


def test_bad_channels_are_left_out_and_picked_channels_must_be_eeg():
    raw = make_raw([1.0], ["target"])
    raw.info["bads"] = ["Cz"]
    assert read_raw(raw).ch_names == ("Pz",)
    assert read_raw(raw, picks=["Pz", "Cz"]).ch_names == ("Pz", "Cz")
    with pytest.raises(InputError, match=r"\['Fz'\] do not exist and \['EOG'\] are not EEG"):
        read_raw(raw, picks=["Fz", "EOG"])
    raw.info["bads"] = ["Cz", "Pz"]
    with pytest.raises(InputError, match="no usable EEG channel"):
        read_raw(raw)


def test_a_raw_without_flashes_lists_the_labels_it_has():
    with pytest.raises(InputError, match=r"no flash among 2 events \(labels: left, right\)"):
        read_raw(make_raw([1.0, 2.0], ["left", "right"]))
    with pytest.raises(InputError, match="no flash among 0 events"):
        read_raw(make_raw())


def test_a_recording_survives_the_way_through_mne():
    recording = simulate_recording("P3", n_repetitions=2, subject="7", session="b", seed=3)
    (raw,) = to_raw(recording)
    assert raw.get_data()[0, :50] == pytest.approx(recording.segments[0][0, :50] * 1e-6)
    assert set(raw.annotations.description[:1]) <= {f"nontarget/{k}" for k in range(1, 13)} | {
        f"target/{k}" for k in range(1, 13)
    }
    back = read_raw(raw, speller=WADSWORTH)
    assert back.segments[0] == pytest.approx(recording.segments[0], rel=1e-5)
    pd.testing.assert_frame_equal(back.flashes, recording.flashes)


def test_every_segment_becomes_a_raw_with_places_of_the_electrodes():
    flashes = flash_table(onset=[0.1, 0.1], code=[1, 2], segment=[0, 1])
    segments = [np.ones((3, 50)), np.ones((3, 70))]
    raws = to_raw(Recording(segments, flashes, ["FZ", "cz", "X1"], 100))
    assert [raw.n_times for raw in raws] == [50, 70]
    places = raws[0].get_montage().get_positions()["ch_pos"]
    assert places["FZ"][1] > places["cz"][1]  # Fz lies in front of Cz
    assert np.isnan(places["X1"]).all()


def test_amplifier_steps_have_no_volts():
    flashes = flash_table(onset=[0.1], code=[1])
    recording = Recording([np.ones((1, 100), np.float32)], flashes, ["Cz"], 100, "AD")
    with pytest.raises(InputError, match="got unit 'AD'; expected one of known size in volts"):
        to_raw(recording)
    assert to_raw(recording, volts_per_unit=1e-7)[0].get_data()[0, 0] == pytest.approx(1e-7)


def test_epochs_carry_their_flash_table_and_are_selected_by_target():
    rng = np.random.default_rng(0)
    data = rng.normal(0, 10, (3, 2, 78)).astype(np.float32)
    flashes = flash_table(
        onset=[0.0, 0.2, 0.2], code=[1, 7, 2], is_target=[True, False, None], run=[1, 1, 2]
    )
    epochs = to_epochs(data, flashes, ["Fz", "Oz"], 120.0, 0.1)
    assert epochs.event_id == EVENT_ID and epochs.tmin == pytest.approx(0.1)
    assert epochs["target"].get_data() == pytest.approx(data[:1] * 1e-6)
    assert epochs["run == 2"].events[:, 2].tolist() == [3]
    assert epochs.get_montage() is not None
    back = read_epochs(epochs)
    assert back["data"].dtype == np.float32 and back["data"] == pytest.approx(data, rel=1e-5)
    pd.testing.assert_frame_equal(back["flashes"], flashes)
    assert (back["sfreq"], back["tmin"], back["ch_names"]) == (120.0, 0.1, ("Fz", "Oz"))
    assert to_epochs(**back).get_data() == pytest.approx(epochs.get_data())


def test_epochs_without_metadata_are_labelled_by_their_event_names():
    info = mne.create_info(["Cz", "STI"], 100, ["eeg", "stim"])
    events = np.array([[100, 0, 1], [200, 0, 2]])
    epochs = mne.EpochsArray(
        np.ones((2, 2, 10)), info, events, event_id={"Target/7": 1, "NonTarget/3": 2},
        verbose="error",
    )  # fmt: skip
    read = read_epochs(epochs)
    assert read["ch_names"] == ("Cz",) and read["data"].shape == (2, 1, 10)
    assert read["flashes"]["is_target"].tolist() == [True, False]
    assert read["flashes"]["code"].tolist() == [7, 3]
    assert read["flashes"]["onset"].tolist() == [1.0, 2.0]


def test_scaled_epochs_have_no_volts():
    flashes = flash_table(onset=[0.0], is_target=[True])
    with pytest.raises(InputError, match="got unit 'sd'; expected one of known size in volts"):
        to_epochs(np.zeros((1, 1, 4)), flashes, ["Cz"], 120, 0, "sd")
