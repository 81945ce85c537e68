import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import welch

from p300.errors import InputError
from p300.preprocessing import Preprocessor
from p300.simulation import Brain, head_positions, simulate_data_set, simulate_recording
from p300.speller import Speller
from p300.spelling import spell, text_after

CH_NAMES = ["Fz", "Cz", "Pz", "Oz"]
SILENT = {"noise_uv": 0.0, "alpha_uv": 0.0, "blinks_per_minute": 0.0, "line_uv": 0.0}


def difference_wave(recording, **steps):
    """Mean target epoch less mean nontarget epoch: (n_chans, n_times) at 120 Hz."""
    epochs = Preprocessor(scaling="none", **steps).fit(recording).transform(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    return epochs[is_target].mean(0) - epochs[~is_target].mean(0)


def test_the_same_seed_gives_the_same_recording_and_another_seed_another():
    first, again, other = (simulate_recording("EEG", seed=s) for s in (3, 3, 4))
    assert np.array_equal(first.segments[0], again.segments[0])
    assert first.flashes.equals(again.flashes)
    assert not np.array_equal(first.segments[0], other.segments[0])


@pytest.mark.parametrize("latency_s", [0.25, 0.35])
def test_the_average_difference_wave_peaks_when_and_where_the_p300_was_put(latency_s):
    recording = simulate_recording(
        "P3_WAVE", ch_names=CH_NAMES, n_repetitions=15, brain={"latency_s": latency_s}
    )
    wave = difference_wave(recording, l_freq=None)
    channel, sample = np.unravel_index(wave.argmax(), wave.shape)
    assert CH_NAMES[channel] == "Pz"
    assert abs(sample / 120 - latency_s) < 0.03


def test_without_noise_the_single_response_has_its_size_at_pz():
    recording = simulate_recording(
        "A",
        ch_names=CH_NAMES,
        n_repetitions=1,
        soa_s=1.0,
        brain={**SILENT, "visual_uv": 0.0, "jitter_s": 0.0, "habituation": 0.0, "p300_uv": 7.0},
    )
    assert recording.segments[0][2].max() == pytest.approx(7.0, rel=1e-3)


def test_a_p300_shrinks_over_the_repetitions_of_a_character():
    recording = simulate_recording(
        "A",
        ch_names=["Pz"],
        n_repetitions=4,
        soa_s=1.0,
        brain={**SILENT, "visual_uv": 0.0, "jitter_s": 0.0, "habituation": 0.5, "p300_uv": 8.0},
    )
    targets = recording.flashes[recording.flashes["is_target"].astype(bool)]
    peak = [
        recording.segments[0][0, int(240 * t) : int(240 * (t + 0.6))].max()
        for t in targets["onset"]
    ]
    assert peak[0] == pytest.approx(8.0, rel=1e-2) and peak[-1] == pytest.approx(4.0, rel=1e-2)


def test_without_a_p300_target_and_nontarget_flashes_do_not_differ():
    recording = simulate_recording(
        "P3_WAVE",
        ch_names=CH_NAMES,
        n_repetitions=15,
        brain={"p300_uv": 0.0, "blinks_per_minute": 0.0},
    )
    assert np.abs(difference_wave(recording, l_freq=None)).max() < 2.0  # µV, of 8 µV noise


def test_the_background_falls_with_frequency_and_carries_alpha_and_mains():
    recording = simulate_recording(
        None, speller=None, n_flashes=1500, ch_names=CH_NAMES, brain={"visual_uv": 0.0}
    )
    f, power = welch(recording.segments[0], 240, nperseg=960)
    at = {hz: power[:, np.argmin(np.abs(f - hz))] for hz in (1, 4, 10, 14, 40, 50, 60)}
    assert (at[1] > 2 * at[4]).all() and (at[4] > 4 * at[40]).all()
    assert at[10][3] > 3 * at[14][3]  # alpha at Oz
    assert (at[50] > 10 * at[60]).all()


def test_neighbouring_electrodes_share_more_noise_than_distant_ones():
    names = ["Pz", "CPz", "Fp1"]
    noise = simulate_recording(
        None,
        speller=None,
        n_flashes=900,
        ch_names=names,
        brain={**SILENT, "noise_uv": 8.0, "p300_uv": 0.0, "visual_uv": 0.0},
    ).segments[0]
    shared = np.corrcoef(noise)
    assert shared[0, 1] > 0.6 > shared[0, 2]


def test_flashes_spell_the_text_that_was_asked_for():
    recording = simulate_recording("HELLO_P3", n_repetitions=2, n_runs=2)
    spelled = spell(
        recording.flashes["is_target"].astype(float), recording.flashes, recording.speller
    )
    assert text_after(spelled, 2) == "HELLO_P3"
    counts = recording.flashes.groupby(["run", "character", "repetition"])["code"].nunique()
    assert (counts == 12).all()


def test_single_keys_and_an_oddball_can_be_simulated():
    keys = Speller.single_keys(["left", "right", "go"])
    recording = simulate_recording(["go", "left"], speller=keys, n_repetitions=2)
    assert recording.flashes["is_target"].mean() == pytest.approx(1 / 3)
    oddball = simulate_recording(None, speller=None, n_flashes=120, target_ratio=0.2)
    assert oddball.flashes["is_target"].sum() == 24
    assert oddball.flashes["character"].isna().all()


def test_people_differ_as_much_as_they_are_told_to():
    two = simulate_data_set(
        "EEG", "A", subjects=2, subject_spread=0.5, ch_names=["Pz"], n_runs=1, n_repetitions=1
    )
    assert two.subjects == ("1", "2")
    assert set(two.flashes["session"]) == {"train", "test"}


def test_electrodes_lie_on_a_head_of_radius_one_left_of_right():
    left, right = head_positions(("C3", "c4"))
    assert np.linalg.norm(left) == pytest.approx(1)
    assert left[0] < 0 < right[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": "AB", "n_runs": 3}, "2 characters for 3 runs"),
        ({"text": "a"}, "not on the screen"),
        ({"ch_names": ["Cz", "EOG"]}, "EOG"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        simulate_recording(**arguments)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_sample():
    code = (
        "from p300.simulation import simulate_recording as s;"
        "print(s('P3', n_repetitions=8, seed=5).checksum)"
    )
    found = set()
    for n_threads in "1", "2", "4":
        names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
        environment = os.environ | dict.fromkeys(names, n_threads)
        found.add(subprocess.check_output([sys.executable, "-c", code], env=environment))
    assert len(found) == 1


def test_an_unknown_property_of_the_brain_is_refused():
    with pytest.raises(TypeError):
        Brain(p300_volts=1)
