import dataclasses
import datetime

import mne
import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.integrity import check_recording
from p300.readers.mne_epochs import EVENT_ID, read_epochs, to_epochs
from p300.readers.mne_raw import read_raw, to_raw
from p300.recording import Recording, concatenate_recordings, flash_table
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
    with pytest.raises(
        InputError, match=r"'nontarget/13' 1\) \(the screen 'Wad.*no code \[13\]\)"
    ):
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
    with pytest.raises(InputError, match="no flash among the events: .*'left' 1, 'right' 1"):
        read_raw(make_raw([1.0, 2.0], ["left", "right"]))
    with pytest.raises(InputError, match="no flash among the events: 0 in annotations"):
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


def two_characters(extra=(), *, is_labelled=True, drop=()):
    """A Raw in which A and B are spelled with two repetitions each, and its labels."""
    rng = np.random.default_rng(0)
    onsets, labels = [], []
    for k, symbol in enumerate("AB"):
        for _ in range(2):
            for code in rng.permutation(WADSWORTH.codes):
                onsets.append(1 + 8 * k + 0.1 * (len(onsets) - 24 * k))
                is_target = code in WADSWORTH.codes_of(symbol)
                kind = {True: "target/", False: "nontarget/"}[is_target] if is_labelled else "S "
                labels.append(f"{kind}{code}")
    onsets, labels = (np.delete(np.array(v, object), drop) for v in (onsets, labels))
    marks = mne.Annotations(onsets.astype(float), 0.0, labels.astype(str))
    for onset, duration, label in extra:
        marks.append(onset, duration, label)
    return make_raw(n_samples=2000).set_annotations(marks)


@pytest.mark.parametrize("label", ["BAD_blink", "bad", "Bad muscle"])
def test_characters_are_numbered_before_bad_flashes_are_left_out(label):
    whole = read_raw(two_characters(), speller=WADSWORTH).flashes
    with pytest.warns(UserWarning, match="7 meet a bad stretch within 0 to 0.3 s .*at 1.300"):
        left = read_raw(
            two_characters([(1.55, 0.37, label)]), speller=WADSWORTH, interval=(0.0, 0.3)
        )
    expected = whole.drop(index=range(3, 10)).reset_index(drop=True)
    pd.testing.assert_frame_equal(left.flashes, expected)
    assert any("7 of 48 flashes are left out" in note for note in left.notes)


def test_epochs_that_meet_a_bad_stretch_are_those_that_mne_drops():
    raw = two_characters([(3.07, 0.2, "BAD_x"), (10.02, 0.05, "bad y")])
    events, ids = mne.events_from_annotations(raw, verbose="error")
    kept = mne.Epochs(raw, events, ids, 0, 0.65, baseline=None, preload=True, verbose="error")
    with pytest.warns(UserWarning, match="meet a bad stretch"):
        flashes = read_raw(raw, speller=WADSWORTH).flashes
    assert len(flashes) == len(kept)


@pytest.mark.parametrize(
    "label",
    [
        *("boundary", "New Segment/", "BAD boundary", "EDGE boundary", "BAD_ACQ_SKIP"),
        *("LostSamples/LostSamples: 12", "32766", "Data discontinuity", "Recording resumed"),
    ],
)
def test_breaks_of_every_system_cut_and_are_no_flashes(label):
    raw = make_raw([1, 2, 6], ["target", "nontarget", "target"])
    raw.annotations.append(4.0, 0.0 if label != "BAD_ACQ_SKIP" else 0.5, label)
    recording = read_raw(raw)
    assert len(recording.segments) == 2 and recording.segments[0].shape[1] == 400
    assert recording.flashes["segment"].tolist() == [0, 0, 1]
    assert any("2 segments: time is not continuous" in note for note in recording.notes)


def test_the_duration_of_eeglabs_boundary_is_that_of_what_was_cut_out_there():
    raw = make_raw([1, 2, 6], ["target", "nontarget", "target"])
    raw.annotations.append(4.0, 30.0, "boundary")
    recording = read_raw(raw)
    assert [s.shape[1] for s in recording.segments] == [400, raw.n_times - 400]
    assert recording.flashes["onset"].tolist() == [1, 2, 2]


def test_a_known_text_labels_flashes_that_have_codes_alone():
    raw = two_characters(is_labelled=False)
    recording = read_raw(raw, speller=WADSWORTH, text="ab")
    expected = read_raw(two_characters(), speller=WADSWORTH).flashes
    pd.testing.assert_frame_equal(recording.flashes, expected)
    with pytest.raises(InputError, match="23 pauses|expected at least 2 for 3 characters"):
        read_raw(raw, speller=WADSWORTH, text="ABC")
    with pytest.raises(InputError, match="got a text and no screen"):
        read_raw(raw, text="AB")


def test_marks_of_the_start_tell_characters_apart():
    raw = two_characters([(0.9, 0, "trial"), (2.15, 0, "trial"), (8.5, 0, "trial")])
    flashes = read_raw(raw, speller=WADSWORTH, starts=["trial"]).flashes
    assert flashes.groupby("character").size().tolist() == [12, 12, 24]
    pd.testing.assert_frame_equal(
        read_raw(raw, speller=WADSWORTH, starts="trial").flashes, flashes
    )
    with pytest.raises(InputError, match=r"got starts=\['begin'\], which no event has"):
        read_raw(raw, speller=WADSWORTH, starts=["begin"], ignore=["trial"])


def test_a_delay_of_the_screen_is_added_to_every_onset():
    raw = two_characters()
    later = read_raw(raw, speller=WADSWORTH, offset_s=0.035).flashes["onset"]
    assert later.to_numpy() == pytest.approx(
        read_raw(raw, speller=WADSWORTH).flashes["onset"] + 0.035
    )


def held(codes, n_each=20, start=100):
    """A stimulus channel whose code stays until the next one."""
    stim = np.zeros(1000)
    for k, code in enumerate(codes):
        stim[start + k * n_each : start + (k + 1) * n_each] = code
    return stim


def test_codes_that_do_not_go_back_to_zero_are_all_found():
    codes = [3, 7, 7, 1, 12, 3]
    stim = held(codes)
    expected = [3, 7, 1, 12, 3]  # the same code twice without a change cannot be seen
    with pytest.warns(UserWarning, match="1 may be missing"):
        assert read_raw(make_raw(stim=stim)).flashes["code"].tolist() == expected


def test_a_held_code_that_comes_twice_in_a_row_is_missed_and_said():
    stim = held([1, 1, 2, 1, 2, 2, 2, 1, 2])  # 9 flashes, 6 changes
    with pytest.warns(UserWarning, match="does not return to 0.*3 may be missing"):
        recording = read_raw(make_raw(stim=stim))
    assert recording.flashes["code"].tolist() == [1, 2, 1, 2, 1, 2]
    several = read_raw(make_raw(stim=held([1, 2, 3, 1, 2, 3, 1])))
    assert any("none seems to, by the times" in note for note in several.notes)
    pulses = read_raw(make_raw(stim=held([1, 0, 1, 0, 2, 0, 1, 0])))
    assert not any("return to 0" in note for note in pulses.notes)


def test_a_biosemi_status_channel_has_triggers_in_its_lower_16_bits():
    stim = held([1, 2, 1]) + 2**16 * (np.arange(1000) < 50) + 2**20
    raw = make_raw(stim=stim)
    raw.rename_channels({"STI": "Status"})
    recording = read_raw(raw)
    assert recording.flashes["code"].tolist() == [1, 2, 1]
    assert any("lower 16 bits" in note for note in recording.notes)


def test_a_number_on_its_way_to_another_is_no_flash():
    stim = held([5, 0, 6, 0])
    stim[140] = 4  # lines that switch one after the other
    recording = read_raw(make_raw(stim=stim))
    assert recording.flashes["code"].tolist() == [5, 6]
    assert any("1 numbers of one sample" in note for note in recording.notes)


def test_flashes_are_found_beside_annotations_that_are_none():
    stim = held([1, 0, 2, 0, 2])
    for label in ("blink", "Recording starts", "Comment/1", "keypress/2"):
        recording = read_raw(make_raw([1.0], [label], stim=stim))
        assert recording.flashes["code"].tolist() == [1, 2, 2]
        assert any("stimulus channel 'STI'" in note for note in recording.notes)
        assert any(label in note for note in recording.notes)
    mapped = read_raw(make_raw([1.0], ["blink"], stim=stim), targets={1: True, "2": False})
    assert mapped.flashes["is_target"].tolist() == [True, False, False]


@pytest.mark.parametrize("marks", [[], ["blink"]])
def test_labels_of_the_channel_are_not_missed_among_the_annotations(marks):
    raw = make_raw([1.0] * len(marks), marks, stim=held([1, 0, 2, 0, 2]))
    for keys in ({1: True, 2: False}, {"1": True, "S  2": False}):
        recording = read_raw(raw, targets=keys)
        assert recording.flashes["is_target"].tolist() == [True, False, False]
        assert not any("no event has" in note for note in recording.notes)
    with pytest.warns(UserWarning, match="labels that no event has: '3'"):
        notes = read_raw(raw, targets={1: True, 2: False, 3: False}).notes
    assert sum("no event has" in note for note in notes) == 1


def test_two_sources_that_could_both_be_right_are_refused_unless_one_is_named():
    raw = make_raw([1.0, 2.0], ["1", "2"], stim=held([1, 0, 2, 0, 2]))
    with pytest.raises(InputError, match="2 annotations that may be flashes and 3 events in the"):
        read_raw(raw)
    assert len(read_raw(raw, source="annotations").flashes) == 2
    assert len(read_raw(raw, source="stim").flashes) == 3
    assert len(read_raw(raw, source="STI").flashes) == 3
    with pytest.raises(InputError, match="got source='STX'"):
        read_raw(raw, source="STX")
    sure = read_raw(make_raw([1.0, 2.0], ["target", "nontarget"], stim=held([1, 0, 2])))
    assert sure.flashes["is_target"].tolist() == [True, False]
    assert any("events of the stimulus channel 'STI' are not used" in note for note in sure.notes)


def test_projectors_that_are_not_applied_are_applied_as_in_mnes_epochs():
    raw = make_raw([1.0, 2.0], ["target", "nontarget"])
    raw.set_eeg_reference(projection=True, verbose="error")
    recording = read_raw(raw)
    assert np.abs(recording.segments[0].mean(axis=0)).max() < 1e-4
    assert np.abs(raw.get_data("eeg").mean(axis=0)).max() > 1e-5  # the Raw itself is unchanged


@pytest.mark.parametrize(
    ("picks", "names"),
    [
        ("Pz", ("Pz",)),
        (["Pz", "Cz"], ("Pz", "Cz")),
        ([1, 0], ("Pz", "Cz")),
        (np.array([0]), ("Cz",)),
        (slice(0, 2), ("Cz", "Pz")),
        ("all", ("Cz", "Pz")),
        (["eeg"], ("Cz", "Pz")),
        (None, ("Cz", "Pz")),
    ],
)
def test_channels_are_picked_as_mne_takes_them(picks, names):
    assert read_raw(make_raw([1.0], ["target"]), picks=picks).ch_names == names


@pytest.mark.parametrize("picks", ["EOG", ["Cz", "EOG"], [2], [7], slice(0, 3), ["Cx"]])
def test_channels_that_are_not_eeg_or_do_not_exist_are_refused(picks):
    with pytest.raises(InputError, match="do not exist and .* are not EEG"):
        read_raw(make_raw([1.0], ["target"]), picks=picks)


def test_event_names_of_epochs_may_be_any_with_a_mapping():
    data, info = np.zeros((4, 2, 50)), mne.create_info(["Fz", "Cz"], 100, "eeg")
    events = np.c_[np.arange(4) * 100, [0] * 4, [1, 0, 1, 0]]
    epochs = mne.EpochsArray(data, info, events, event_id={"good": 1, "bad": 0}, verbose="error")
    with pytest.warns(UserWarning, match="'bad' .2, not understood.*set targets"):
        assert read_epochs(epochs)["flashes"]["is_target"].isna().all()
    for targets in ({"good": True, "bad": False}, {1: True, 0: False}):
        flashes = read_epochs(epochs, targets=targets)["flashes"]
        assert flashes["is_target"].tolist() == [True, False, True, False]


def measured_raw():

    raw = mne.io.RawArray(
        np.zeros((1, 2560)), mne.create_info(["Pz"], 256.0, "eeg"), verbose="error"
    )
    with raw.info._unlock():
        raw.info["highpass"], raw.info["lowpass"] = 0.1, 70.0
    raw.set_meas_date(datetime.datetime(2024, 5, 1, 9, 30, tzinfo=datetime.UTC))
    onsets = np.arange(1.0, 8.0, 0.5)
    labels = ["target", "nontarget"] * 7
    return raw.set_annotations(mne.Annotations(onsets, 0.0, labels))


def test_the_filter_of_the_amplifier_travels_and_the_date_only_if_asked_for():
    plain = read_raw(measured_raw())
    assert plain.about == {"highpass_hz": 0.1, "lowpass_hz": 70.0}
    dated = read_raw(measured_raw(), with_date=True)
    assert dated.about["measured"].startswith("2024-05-01T09:30")
    (back,) = to_raw(dated)
    assert (back.info["highpass"], back.info["lowpass"]) == (0.1, 70.0)
    assert back.info["meas_date"] == measured_raw().info["meas_date"]
    assert "The device passed frequencies from 0.1 Hz." in str(check_recording(plain))


def test_two_amplifiers_of_one_recording_are_both_told():
    one = read_raw(measured_raw(), run=1)
    other = dataclasses.replace(read_raw(measured_raw(), run=2), about={"highpass_hz": 1.0})
    assert concatenate_recordings([one, other]).about["highpass_hz"] == "0.1, 1.0"
    with pytest.raises(InputError, match=r"got about=\['colour'\]; expected some of"):
        dataclasses.replace(one, about={"colour": "blue"})
