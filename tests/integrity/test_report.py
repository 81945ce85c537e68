import dataclasses
import time

import numpy as np
import pytest

from p300.errors import InputError
from p300.integrity import check_recording
from p300.recording import Recording, flash_table
from p300.simulation import simulate_recording


@pytest.fixture(scope="module")
def good():
    return simulate_recording("WAVE", n_repetitions=3, n_runs=2, seed=1)


def change_flashes(recording, **columns):
    return dataclasses.replace(recording, flashes=recording.flashes.assign(**columns))


def change_signal(recording, edit, segment=0):
    segments = [s.copy() for s in recording.segments]
    edit(segments[segment])
    return dataclasses.replace(recording, segments=tuple(segments))


def add_channel(recording, name, make):
    """Append a channel; ``make(recording, k, n_samples)`` gives its samples in segment k."""
    segments = [
        np.vstack([s, make(recording, k, s.shape[1])[None]]).astype(np.float32)
        for k, s in enumerate(recording.segments)
    ]
    return dataclasses.replace(
        recording, segments=tuple(segments), ch_names=(*recording.ch_names, name)
    )


def shown(column, scale=1.0):
    """Samples that hold a column of the flash table while the flash is lit."""

    def make(recording, k, n_samples):
        channel = np.zeros(n_samples)
        flashes = recording.flashes.query("segment == @k")
        for onset, value in zip(flashes["onset"], flashes[column], strict=True):
            start = round(onset * recording.sfreq)
            channel[start : start + 24] = scale * float(value)
        return channel

    return make


def found(recording, level, **arguments):
    return {f.check: f for f in check_recording(recording, **arguments).at(level)}


def test_a_good_recording_is_only_counted(good):
    report = check_recording(good, tmax=0.65)
    assert not report.at("refuse") and not report.at("warn")
    assert "144 flashes in 2 segments: 24 target, 120 nontarget" in str(report)
    assert "4 characters of 3 repetitions" in str(report)
    report.raise_if_refused()


def test_an_oddball_is_only_counted():
    report = check_recording(simulate_recording(speller=None, seed=1), tmax=0.65)
    assert [f.level for f in report.findings] == ["note"]


def test_a_report_is_plain_containers(good):
    report = check_recording(change_signal(good, lambda s: s[0].fill(1.0)))
    plain = report.to_dict()
    assert plain["findings"][0]["level"] == "warn" and plain["findings"][-1]["level"] == "note"
    assert {type(v) for f in plain["findings"] for v in f.values()} == {str, int}


def test_samples_that_are_no_numbers_are_located(good):
    def edit(segment):
        segment[2, 10:15] = np.nan
        segment[3, 7] = np.inf

    finding = found(change_signal(good, edit, 1), "refuse")["non-finite samples"]
    assert finding.count == 6
    assert "in 2 channels (P3, Pz) and 1 segments; most, 5, in channel Pz of segment 1" in (
        finding.text
    )


def test_flat_channels_are_named(good):
    finding = found(change_signal(good, lambda s: s[4].fill(3.0)), "warn")["flat channels"]
    assert finding.count == 1 and "['P4'] are flat in some segments" in finding.text


def test_saturated_channels_are_named(good):
    def edit(segment):
        np.clip(segment[1], -5, 5, out=segment[1])

    both = change_signal(change_signal(good, edit, 0), edit, 1)
    finding = found(both, "warn")["saturated channels"]
    assert finding.count == 1 and "['Cz']" in finding.text


def test_swapped_labels_are_refused(good):
    swapped = change_flashes(good, is_target=~good.flashes["is_target"])
    findings = found(swapped, "refuse")
    assert "the labels are swapped" in findings["target ratio"].text
    assert findings["labels"].count == 4  # characters


def test_labels_shifted_by_one_flash_are_refused(good):
    shifted = change_flashes(good, is_target=np.roll(good.flashes["is_target"], 1))
    assert "no symbol" in found(shifted, "refuse")["labels"].text


def test_an_oddball_of_mostly_targets_is_warned_of():
    oddball = simulate_recording(speller=None, target_ratio=0.8, seed=1)
    assert "80.0%" in found(oddball, "warn")["target ratio"].text


def test_one_class_only_is_warned_of(good):
    finding = found(change_flashes(good, is_target=False), "warn")["labels"]
    assert "All 144 labelled flashes are nontargets" in finding.text


def test_missing_labels_are_noted(good):
    labels = good.flashes["is_target"].mask(good.flashes["character"] == 2)
    finding = found(change_flashes(good, is_target=labels), "note")["labels"]
    assert finding.count == good.flashes["character"].eq(2).sum() and "session 1" in finding.text


def test_codes_that_are_not_on_the_screen_are_refused(good):
    codes = good.flashes["code"].replace(12, 13)
    finding = found(change_flashes(good, code=codes), "refuse")["codes"]
    assert finding.count == 12 and "[13]" in finding.text


def test_a_code_twice_in_a_repetition_is_refused(good):
    codes = good.flashes["code"].to_numpy().copy()
    codes[0] = codes[1]
    finding = found(change_flashes(good, code=codes), "refuse")["repetitions"]
    assert finding.count == 1 and "repeat a code" in finding.text


def test_a_repetition_that_was_broken_off_is_warned_of(good):
    rows = np.arange(len(good.flashes)) < len(good.flashes) - 5
    finding = found(good.select(rows), "warn")["repetitions"]
    assert "1 of 12 repetitions have 7 codes; expected 12" in finding.text


def test_flashes_without_a_character_are_warned_of(good):
    anonymous = change_flashes(good, character=good.flashes["character"].mask([True] * 144))
    assert found(anonymous, "warn")["characters"].count == 144


def test_flashes_beyond_the_end_of_their_segment_are_refused(good):
    onset = good.flashes["onset"].copy()
    onset.iloc[-1] = good.segments[1].shape[1] / good.sfreq
    finding = found(change_flashes(good, onset=onset), "refuse")["onsets"]
    assert finding.count == 1 and "segment 1" in finding.text


def test_an_epoch_longer_than_what_follows_the_last_flash_is_refused():
    # BCI III: 276 samples, 1.15 s, follow the last onset
    segment = np.random.default_rng(0).normal(0, 10, (2, 7794)).astype(np.float32)
    flashes = flash_table(onset=np.arange(180) * 42 / 240, code=1)
    recording = Recording([segment], flashes, ["Cz", "Pz"], 240)
    assert not found(recording, "refuse", tmax=1.15)
    assert found(recording, "refuse", tmax=1.2)["epochs"].count == 1
    assert "1.150 s" in found(recording, "refuse", tmax=1.2)["epochs"].text
    # no baseline precedes the flash at sample 0
    assert found(recording, "refuse", tmin=-0.1)["epochs"].count == 1


@pytest.mark.parametrize(("step", "text"), [(0, "equals"), (-1, "comes before")])
def test_onsets_that_do_not_ascend_are_refused(good, step, text):
    onset = good.flashes["onset"].copy()
    onset.iloc[5] = onset.iloc[4] + step / good.sfreq
    finding = found(change_flashes(good, onset=onset), "refuse")["onsets"]
    assert finding.count == 1 and text in finding.text


@pytest.mark.parametrize("name", ["STI 014", "STATUS", "Marker0", "timestamps", "StimulusCode"])
def test_channels_called_like_a_stimulus_channel_are_refused(good, name):
    noisy = add_channel(good, name, lambda r, k, n: np.random.default_rng(k).normal(size=n))
    assert name in found(noisy, "refuse")["stimulus channel"].text


@pytest.mark.parametrize("column", ["code", "is_target", "character"])
@pytest.mark.parametrize("scale", [1, 1e6])
def test_channels_that_hold_the_flash_table_are_refused_whatever_their_name(good, column, scale):
    leaking = add_channel(good, "X9", shown(column, scale))
    assert "X9" in found(leaking, "refuse")["stimulus channel"].text


def test_a_clock_among_the_channels_is_refused(good):
    clock = add_channel(good, "X9", lambda r, k, n: np.arange(n) / r.sfreq)
    assert "like a clock" in found(clock, "refuse")["stimulus channel"].text


def test_segments_of_one_flash_each_show_no_clock():
    rng = np.random.default_rng(0)
    segments = [rng.normal(0, 10, (2, 100)) for _ in range(40)]
    recording = Recording(segments, flash_table(onset=[0.1] * 40, segment=range(40)), "ab", 100)
    assert not found(recording, "refuse")


def test_microvolts_taken_for_volts_are_warned_of(good):
    small = dataclasses.replace(good, segments=tuple(s * 1e-6 for s in good.segments))
    assert "is the unit 'uV' right?" in found(small, "warn")["unit"].text
    assert not found(dataclasses.replace(small, unit="V"), "warn")


def test_a_refusal_is_one_sentence_for_each_reason(good):
    with pytest.raises(InputError, match="simulation cannot be used: .*like a clock"):
        check_recording(add_channel(good, "X9", lambda r, k, n: np.arange(n))).raise_if_refused()


def test_a_recording_without_flashes_or_samples_is_refused(good):
    empty = dataclasses.replace(good, flashes=good.flashes[:0])
    assert "There is no flash." in found(empty, "refuse")["flashes"].text
    hollow = dataclasses.replace(good, segments=tuple(s[:, :0] for s in good.segments))
    assert "no samples" in found(hollow, "refuse")["segments"].text


def test_whole_amplifier_steps_and_missing_onsets_are_checked_too():
    steps = np.random.default_rng(0).integers(-99, 99, (1, 1000)).astype(np.int16)
    recording = Recording([steps], flash_table(onset=[1.0, np.nan]), ["Cz"], 100, "AD")
    assert found(recording, "refuse", tmax=0.5)["onsets"].count == 1


def test_the_recording_is_left_as_it_was(good):
    segments = [s.copy() for s in good.segments]
    flashes = good.flashes.copy()
    check_recording(good, tmax=0.65)
    assert all((a == b).all() for a, b in zip(segments, good.segments, strict=True))
    assert flashes.equals(good.flashes)


def test_a_subject_of_the_competition_is_checked_within_a_second():
    rng = np.random.default_rng(0)
    one = rng.normal(0, 100, (64, 7794)).astype(np.float32)
    segments = [one + k for k in range(185)]
    onset = np.tile(np.arange(180) * 42 / 240, 185)
    table = flash_table(onset=onset, segment=np.repeat(np.arange(185), 180), code=1)
    recording = Recording(segments, table, [f"E{k}" for k in range(64)], 240, "AD")
    start = time.process_time()
    check_recording(recording, tmax=0.65)
    assert time.process_time() - start < 1
