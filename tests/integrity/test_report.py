import dataclasses
import time

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from p300.errors import InputError
from p300.integrity import check_recording
from p300.recording import Recording, flash_table, label_flashes
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH, Speller
from p300.spelling import PosteriorThreshold, ScoreLikelihood, SymbolPosterior


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
    assert "say what each flash lit (Speller.changing and the column lit)" in finding.text


def test_a_repetition_that_was_broken_off_is_warned_of(good):
    rows = np.arange(len(good.flashes)) != 7
    finding = found(good.select(rows), "warn")["repetitions"]
    assert "1 of 8 repetitions that another one follows have 11 codes; expected 12" in finding.text


def test_a_character_may_end_before_its_last_repetition_does(good):
    rows = np.arange(len(good.flashes)) < len(good.flashes) - 5
    assert not found(good.select(rows), "warn") and not found(good.select(rows), "refuse")
    assert found(good.select(rows), "note")["repetitions"].count == 1


def test_a_recording_under_the_projects_own_stopping_rule_is_not_doubted():
    # until 90 % sure, at a distance of 4 standard deviations: most end within a repetition, and
    # for some neither the wanted row nor its column is the only one left
    recording = simulate_recording("HELLO_WORLD_IN_EEG", n_repetitions=4, seed=1)
    likelihood, rule = (
        ScoreLikelihood(4.0, -8.0),
        PosteriorThreshold(threshold=0.9, max_repetitions=4),
    )
    rng = np.random.default_rng(0)
    kept = np.zeros(len(recording.flashes), bool)
    for _, flashes in recording.flashes.groupby("character"):
        posterior = SymbolPosterior(WADSWORTH)
        for n, (row, code, is_target) in enumerate(flashes[["code", "is_target"]].itertuples(), 1):
            posterior.update(code, float(likelihood.log_ratio(rng.normal() + 4.0 * is_target)))
            kept[row] = True
            if rule.is_over(posterior.belief, n, n // 12 if n % 12 == 0 else 0):
                break
    assert kept.mean() < 0.4
    report = check_recording(recording.select(kept), tmax=0.65)
    assert not report.at("warn") and not report.at("refuse")


def test_characters_whose_labels_fit_several_symbols_are_counted():
    recording = simulate_recording("HI", n_repetitions=1)
    targets = recording.flashes.query("character == 2 and is_target").index
    finding = found(recording.select(np.arange(24) <= targets[0]), "note")["labels"]
    assert finding.count == 1 and "In 1 of 2 characters several symbols fit" in finding.text


def test_flashes_without_a_character_are_warned_of(good):
    anonymous = change_flashes(good, character=good.flashes["character"].mask([True] * 144))
    assert found(anonymous, "warn")["characters"].count == 144


def test_flashes_beyond_the_end_of_their_segment_are_refused(good):
    onset = good.flashes["onset"].copy()
    onset.iloc[-1] = good.segments[1].shape[1] / good.sfreq
    finding = found(change_flashes(good, onset=onset), "refuse")["onsets"]
    assert finding.count == 1 and "segment 1" in finding.text


def test_an_epoch_longer_than_what_follows_the_last_flash_is_left_out_and_warned_of():
    # BCI III: 276 samples, 1.15 s, follow the last onset
    segment = np.random.default_rng(0).normal(0, 10, (2, 7794)).astype(np.float32)
    flashes = flash_table(onset=np.arange(180) * 42 / 240, code=1)
    recording = Recording([segment], flashes, ["Cz", "Pz"], 240)
    assert not found(recording, "refuse", tmax=1.15)
    assert found(recording, "warn", tmax=1.2)["epochs"].count == 1
    assert "1.150 s. They are left out." in found(recording, "warn", tmax=1.2)["epochs"].text
    # no baseline precedes the flash at sample 0
    assert found(recording, "warn", tmin=-0.1)["epochs"].count == 1
    assert "More than 50% do." in found(recording, "refuse", tmax=20)["epochs"].text


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


@pytest.mark.parametrize("delay_s", [0.2, 0.5, 0.75])
@pytest.mark.parametrize("column", ["code", "is_target"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_stimulus_channel_that_comes_late_or_inverted_is_found(good, column, delay_s, sign):
    def late(recording, k, n):
        return sign * np.roll(shown(column)(recording, k, n), round(delay_s * recording.sfreq))

    leaking = add_channel(good, "EEG9", late)
    assert "EEG9" in found(leaking, "refuse")["stimulus channel"].text


def test_a_large_p300_is_not_taken_for_a_late_stimulus_channel():
    loud = simulate_recording(
        "P3WAVE", n_repetitions=8, seed=1, brain={"noise_uv": 1.5, "alpha_uv": 0.5}
    )
    assert "stimulus channel" not in found(loud, "refuse")


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


def lowpassed(column, noise):
    """A stimulus channel behind the amplifier's filter, with its noise."""

    def make(recording, k, n):
        sos = butter(4, 60, fs=recording.sfreq, output="sos")
        rng = np.random.default_rng(k)
        return sosfiltfilt(sos, shown(column)(recording, k, n)) + noise * rng.normal(size=n)

    return make


@pytest.mark.parametrize("column", ["code", "is_target"])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_stimulus_channel_that_was_filtered_is_found_by_what_it_shows(good, column, noise):
    leaking = add_channel(good, "EEG9", lowpassed(column, noise))
    assert "EEG9" in found(leaking, "refuse")["stimulus channel"].text


def test_quiet_eeg_in_coarse_steps_and_drifting_eeg_are_no_stimulus_channels():
    keys = Speller.single_keys([f"k{k}" for k in range(40)])
    quiet = {"noise_uv": 3, "alpha_uv": 1, "blinks_per_minute": 0, "line_uv": 0}
    recording = simulate_recording(["k1", "k5"], speller=keys, n_repetitions=4, brain=quiet)
    coarse = dataclasses.replace(
        recording,
        segments=[np.round(s / 0.488).astype(np.int16) for s in recording.segments],
        unit="AD",
    )
    assert not found(coarse, "refuse")
    drift = np.linspace(0, 40_000, recording.segments[0].shape[1])
    drifting = change_signal(recording, lambda s: np.add(s, drift, out=s, casting="unsafe"))
    assert not found(drifting, "refuse") and "unit" not in found(drifting, "warn")


def test_a_railed_electrode_is_saturated_and_no_stimulus_channel(good):
    rail = add_channel(good, "P9", lambda r, k, n: np.where(np.arange(n) % 97 < 50, 2e5, -2e5))
    assert not found(rail, "refuse")
    assert "P9" in found(rail, "warn")["saturated channels"].text


@pytest.fixture(scope="module")
def oddball():
    return simulate_recording(None, speller=None, n_flashes=400, seed=3)


def changed(recording, edit):
    return dataclasses.replace(recording, flashes=edit(recording.flashes))


DISPLACED = {
    "labels one flash late": lambda f: f.assign(
        is_target=f["is_target"].shift(1, fill_value=False)
    ),
    "onsets 300 ms early": lambda f: f.assign(onset=f["onset"] - 0.3),
    "onsets half a second late": lambda f: f.assign(onset=f["onset"] + 0.5),
    "onsets at random": lambda f: f.assign(
        onset=np.sort(np.random.default_rng(0).uniform(1, f["onset"].max(), len(f)))
    ),
    "labels at random": lambda f: f.assign(
        is_target=np.random.default_rng(0).permutation(f["is_target"])
    ),
}


@pytest.mark.parametrize("kind", DISPLACED)
def test_labels_and_onsets_that_the_eeg_does_not_follow_are_warned_of(oddball, kind):
    assert not found(oddball, "warn", tmax=0.65)
    text = found(changed(oddball, DISPLACED[kind]), "warn", tmax=0.65)["response"].text
    assert ("random order" in text) == (kind.endswith("random"))


@pytest.fixture(scope="module")
def spelled():
    return simulate_recording("PACK_MY_BOX_", n_repetitions=12, n_runs=2, sfreq=120, seed=4)


def relabelled(recording, text):
    flashes = label_flashes(recording.flashes, text, recording.speller)
    return dataclasses.replace(recording, flashes=flashes)


def test_a_text_that_is_wrong_in_part_is_warned_of_with_what_the_eeg_spells(spelled):
    finding = found(relabelled(spelled, "PACK_MFIVE_D"), "warn", tmax=0.65)["symbols"]
    assert finding.count == 6 and "In 6 of 12 characters looked at" in finding.text
    assert "run 2, character 1: Y instead of F; run 2, character 2: _ instead of I" in finding.text


@pytest.mark.parametrize("text", ["PACK_MY_BOX_", "PACK_MZ_BOX_"])
def test_a_right_text_and_a_single_slip_are_no_finding(spelled, text):
    assert not found(relabelled(spelled, text), "warn", tmax=0.65)


def test_symbols_of_changing_groups_and_of_weak_responses():
    changing = Speller.changing([*"ABCDEFGHIJKLMNOPQRSTUVWXYZ_1234"], 12)
    text = "PACK_MY_BOX_WITH_D"
    recording = simulate_recording(
        text, speller=changing, n_repetitions=12, sfreq=120, seed=5, brain={"p300_uv": 12}
    )
    assert not found(recording, "warn", tmax=0.65)
    wrong = relabelled(recording, "PACK_MY_B" + "ZEBRAFOUR")
    assert found(wrong, "warn", tmax=0.65)["symbols"].count >= 6
    for seed in range(20):
        weak = simulate_recording(
            text, n_repetitions=5, sfreq=120, seed=seed, brain={"p300_uv": 2.5}
        )
        assert "symbols" not in found(weak, "warn", tmax=0.65)


def test_few_flashes_say_nothing_of_the_response():
    noise = np.random.default_rng(0).normal(0, 10, (4, 20_000))
    is_target = np.arange(100) % 5 == 0
    recording = Recording(
        [noise], flash_table(onset=1 + np.arange(100) * 0.5, is_target=is_target), "abcd", 250
    )
    assert "response" not in found(recording, "warn")


@pytest.mark.parametrize("name", ["EOG", "VEOG", "ECG", "EXG1", "ACC_X", "Battery", "EMG2"])
def test_channels_that_are_no_eeg_by_their_names_are_warned_of(good, name):
    other = add_channel(good, name, lambda r, k, n: np.random.default_rng(k).normal(size=n))
    assert name in found(other, "warn")["channels"].text


def test_findings_that_are_known_can_be_accepted(good):
    small = dataclasses.replace(good, segments=tuple(s * 1e-6 for s in good.segments))
    assert "unit" in found(small, "warn")
    assert "unit" not in found(small, "warn", accept=["unit"])
    assert "(accepted)" in found(small, "note", accept=["unit"])["unit"].text
    with pytest.raises(InputError, match=r"got accept=\['units'\]; expected some of flashes"):
        check_recording(good, accept=["units"])


def test_characters_that_are_labelled_in_part_are_warned_of(good):
    partly = good.flashes["is_target"].mask(good.flashes.index < 5)
    finding = found(change_flashes(good, is_target=partly), "warn")["labels"]
    assert finding.count == 1 and "for some of their flashes alone" in finding.text


def test_notes_of_the_reader_are_findings(good):
    noted = dataclasses.replace(good, notes=["2 characters, told apart by pauses."])
    assert "told apart" in found(noted, "note")["reading"].text


def test_what_the_reader_warned_of_is_said_once_and_as_a_warning(good):
    noted = dataclasses.replace(good, notes=["3 of 9 flashes are left out: why.", "all is well."])
    report = check_recording(
        noted, doubts=[UserWarning("a.edf: 3 of 9 flashes\nare left out: why.")]
    )
    (doubt,) = report.at("warn")
    assert doubt.check == "reader" and "3 of 9 flashes are left out: why." in doubt.text
    assert [f.text for f in report.at("note") if f.check == "reading"] == ["all is well."]
