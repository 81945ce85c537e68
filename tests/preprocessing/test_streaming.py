"""The streaming twin: the same epochs, however the stream is chopped, paused or restarted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p300.errors import InputError
from p300.preprocessing import (
    Preprocessor,
    StreamingPreprocessor,
    design_bandpass,
    filter_segment,
    recording_from_arrays,
)
from p300.preprocessing._engine.memory import Tape
from p300.recording import flash_table


def eeg(seed, n_chans, n_samples, sfreq):
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.standard_normal((n_chans, n_samples)), axis=1) * np.sqrt(240 / sfreq)
    return (drift + 1000 * rng.standard_normal((n_chans, 1))).astype(np.float32)


def stream(streaming, signal, times, onsets, sizes):
    """Push a signal in chunks of the given sizes (again and again); epochs by onset."""
    epochs, begin, k = [], 0, 0
    waiting = sorted(onsets)
    while begin < signal.shape[1]:
        end = min(begin + sizes[k % len(sizes)], signal.shape[1])
        now = [t for t in waiting if t <= times[end - 1]]
        waiting = waiting[len(now) :]
        epochs.append(streaming.push(signal[:, begin:end], times[begin:end], now or None))
        begin, k = end, k + 1
    epochs.append(streaming.finish())
    found = np.concatenate([e.flashes["onset"] for e in epochs])
    return found, np.concatenate([e.data for e in epochs])


CHAINS = {
    "paper": {},
    "paper's order": {"resample": "subsample_first"},
    "low-pass": {"l_freq": None},
    "before the flash": {"tmin": -0.1, "tmax": 0.5, "baseline": (-0.1, 0.0)},
    "average reference": {"reference": "average", "scaling": "center"},
    "few channels": {"channels": ["2", "0"], "scaling": "standardize"},
    "steep": {"order": 12},
    "weak": {"order": 1},
    "no filter": {"l_freq": None, "h_freq": None},
}


@pytest.mark.parametrize("chain", CHAINS)
@settings(max_examples=8, deadline=None)
@given(
    sfreq=st.sampled_from([120, 240, 250, 256, 480, 512, 1000]),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8),
    positions=st.lists(st.floats(0, 1), max_size=8),
    start=st.sampled_from([0.0, 17.3, 1e5]),
    seed=st.integers(0, 99),
)
def test_every_chunking_gives_what_the_whole_recording_gives(
    chain, sfreq, sizes, positions, start, seed
):
    if CHAINS[chain].get("resample") and sfreq % 120:
        sfreq = 240
    n_samples = 5 * sfreq + 3
    signal = eeg(seed, 4, n_samples, sfreq)
    room = ((n_samples - 1) // 4 * 4) / sfreq - 77 / 120
    onsets = np.unique([0.11, room, *(0.11 + p * (room - 0.11) for p in positions)])
    recording = recording_from_arrays(signal, onsets, sfreq=sfreq)
    preprocessor = Preprocessor(phase="causal", **CHAINS[chain]).fit(recording)
    times = start + np.arange(n_samples) / sfreq
    streaming = StreamingPreprocessor(preprocessor, ch_names=recording.ch_names)
    found, data = stream(streaming, signal, times, start + onsets, sizes)
    np.testing.assert_allclose(found, start + onsets)
    offline = preprocessor.transform(recording)
    # without a filter the level of 1000 stays, of which float32 keeps seven digits
    atol = 1e-3 if chain == "no filter" else 1e-4
    np.testing.assert_allclose(data, offline, atol=atol * max(1, offline.std()))
    assert not streaming.lost


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    cut=st.integers(400, 800),
    pause=st.floats(0.02, 5.0) | st.floats(-50.0, -10.0),
)
def test_a_gap_or_a_clock_set_back_ends_the_segment(sizes, cut, pause):
    signal = eeg(0, 3, 1200, 240)
    first, second = signal[:, :cut], signal[:, cut:]
    onsets = np.array([0.0, 0.9])
    both = recording_from_arrays(
        [first, second], [*onsets, 0.0], sfreq=240, segment=[0, 0, 1], code=[1, 2, 3]
    )
    preprocessor = Preprocessor(phase="causal").fit(both)
    times = np.arange(1200) / 240
    times[cut:] += pause + 1 / 240
    streaming = StreamingPreprocessor(preprocessor)
    lost = (cut - 10) / 240  # its epoch is cut by the gap
    old, new = [*onsets, lost], [times[cut]]
    epochs, begin, k = [], 0, 0
    while begin < 1200:
        end = min(begin + sizes[k % len(sizes)], 1200)
        if begin < cut < end and pause < 0:
            end = cut  # which clock a flash goes by is known from the chunk that it comes with
        now = [t for t in old if t <= times[min(end, cut) - 1]]
        old = [t for t in old if t not in now]
        if end > cut:
            now, new = now + new, []
        epochs.append(streaming.push(signal[:, begin:end], times[begin:end], now or None))
        begin, k = end, k + 1
    data = np.concatenate([e.data for e in epochs])
    np.testing.assert_allclose(data, preprocessor.transform(both), atol=1e-4)
    assert [row["onset"] for row in streaming.lost] == [lost]
    assert streaming.n_segments == 2


@pytest.mark.slow
def test_an_hour_of_streaming_stays_exact_and_small():
    sfreq, n_chans, chunk = 240, 2, 1200
    rng = np.random.default_rng(0)
    whole = np.cumsum(rng.standard_normal((n_chans, 3600 * sfreq)), axis=1)
    whole += 5e4 + 5 * np.arange(whole.shape[1]) / sfreq  # and an electrode that drifts by 18 mV
    plain = filter_segment(whole, design_bandpass(0.1, 20, sfreq=sfreq), phase="causal")
    head = recording_from_arrays(whole[:, :2400], [0.0], sfreq=sfreq)
    streaming = StreamingPreprocessor(Preprocessor(phase="causal", scaling="none").fit(head))
    for begin in range(0, whole.shape[1], chunk):
        times = np.arange(begin, begin + chunk) / sfreq
        epochs = streaming.push(whole[:, begin : begin + chunk], times, [times[0]])
        sample = begin + 2 * np.arange(78)
        expected = plain[:, sample]
        np.testing.assert_allclose(epochs.data[0], expected, atol=1e-4 * plain.std())
    assert streaming._tape._samples.shape[1] < 60 * sfreq
    assert len(streaming._anchors) < 50


@pytest.mark.parametrize("chain", ["paper", "average reference"])
def test_a_stream_of_single_samples_gives_what_the_whole_recording_gives(chain):
    signal = eeg(0, 3, 2400, 240)
    recording = recording_from_arrays(signal, [0.0, 9.0], sfreq=240)
    preprocessor = Preprocessor(phase="causal", **CHAINS[chain]).fit(recording)
    streaming = StreamingPreprocessor(preprocessor)
    _, data = stream(streaming, signal, np.arange(2400) / 240, [0.0, 9.0], [1])
    np.testing.assert_allclose(data, preprocessor.transform(recording), atol=1e-4)


@pytest.mark.parametrize("sfreq", [240, 256])
def test_epochs_of_the_first_and_last_samples_are_taken_and_a_later_one_is_lost(sfreq):
    signal = eeg(0, 2, 5 * sfreq + 1, sfreq)
    last = 5 - 77 / 120
    recording = recording_from_arrays(signal, [0.0, last], sfreq=sfreq)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    streaming = StreamingPreprocessor(preprocessor)
    onsets = [0.0, last, last + 1 / sfreq]
    found, data = stream(streaming, signal, np.arange(5 * sfreq + 1) / sfreq, onsets, [700])
    assert found.tolist() == [0.0, last]
    assert [row["onset"] for row in streaming.lost] == onsets[2:]
    np.testing.assert_allclose(data, preprocessor.transform(recording), atol=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=40),
    time_major=st.booleans(),
)
def test_a_tape_holds_what_was_written_last_and_nothing_that_was_forgotten(steps, time_major):
    tape = Tape(2, time_major=time_major)
    start = stop = 0
    for n_new, n_kept in steps:
        tape.grow(n_new)[:] = [[1], [-1]] * np.arange(stop, stop + n_new)
        stop += n_new
        tape.forget(stop - n_kept)
        start = max(start, stop - n_kept)
        assert (tape.start, tape.stop) == (start, stop)
        np.testing.assert_array_equal(tape.signal, [[1], [-1]] * np.arange(start, stop))
    tape.clear()
    assert tape.signal.shape == (2, 0)


def test_an_epoch_on_the_samples_grid_is_complete_with_its_last_sample():
    signal = eeg(0, 2, 480, 240)
    recording = recording_from_arrays(signal, [0.5], sfreq=240)
    streaming = StreamingPreprocessor(Preprocessor(phase="causal").fit(recording))
    times = np.arange(480) / 240
    last = 120 + 2 * 77  # of the epoch, at 120 Hz
    assert len(streaming.push(signal[:, :last], times[:last], [0.5]).data) == 0
    assert len(streaming.push(signal[:, last : last + 1], times[last : last + 1]).data) == 1


@pytest.mark.parametrize("resample", ["filter_first", "subsample_first"])
def test_what_is_remembered_of_a_long_stream_stays_small(resample):
    signal = eeg(0, 2, 120 * 240, 240)
    recording = recording_from_arrays(signal, [0.0], sfreq=240)
    preprocessor = Preprocessor(phase="causal", resample=resample).fit(recording)
    streaming = StreamingPreprocessor(preprocessor, history_s=2.0)
    times = np.arange(signal.shape[1]) / 240
    onsets = np.linspace(100, 119, 1100)
    for begin in range(0, signal.shape[1], 20):
        chunk = slice(begin, begin + 20)
        streaming.push(signal[:, chunk], times[chunk])
    assert len(streaming._anchors) < 5 / 0.25  # a few seconds, noted four times a second
    late = streaming.push(signal[:, :0], [], onsets[onsets < 116])
    assert len(late.data) == 0
    assert len(streaming.lost) == (onsets < 116).sum() < 1000
    streaming.push(signal[:, :0], [], onsets[onsets < 116])
    assert len(streaming.lost) == 1000
    assert streaming.lost[-1]["onset"] == onsets[onsets < 116][-1]


def test_flashes_may_come_early_or_late_and_keep_their_table():
    signal = eeg(0, 2, 1440, 240)
    times = np.arange(1440) / 240
    recording = recording_from_arrays(signal, [0.5, 1.0], sfreq=240)
    preprocessor = Preprocessor(phase="causal", reject_uv=1e9).fit(recording)
    streaming = StreamingPreprocessor(preprocessor, history_s=3.0)
    assert streaming.push(signal[:, :0], []).name == "stream"
    early = flash_table(onset=[1.0], code=[7], character=[3], is_target=[True])
    assert len(streaming.push(signal[:, :120], times[:120], early).data) == 0
    ready = streaming.push(signal[:, 120:480], times[120:480])
    assert ready.flashes["code"].tolist() == [7] and ready.flashes["is_target"].tolist() == [True]
    assert ready.flashes.dtypes.equals(early.dtypes)
    assert ready.is_rejected.tolist() == [False]
    late = streaming.push(signal[:, 480:720], times[480:720], flash_table(onset=[0.5], code=[9]))
    assert late.flashes["code"].tolist() == [9]
    np.testing.assert_allclose(
        [late.data[0], ready.data[0]], preprocessor.transform(recording), atol=1e-4
    )
    streaming.push(signal[:, 720:1320], times[720:1320])
    streaming.push(signal[:, 1320:], times[1320:], [0.1])  # after more than three seconds
    assert [row["onset"] for row in streaming.lost] == [0.1]


def test_flashes_announced_in_any_order_come_in_the_order_of_time():
    signal = eeg(0, 2, 960, 240)
    recording = recording_from_arrays(signal, [0.5, 1.0, 1.5], sfreq=240)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    streaming = StreamingPreprocessor(preprocessor)
    streaming.push(signal[:, :100], np.arange(100) / 240, [1.5, 0.5])
    streaming.push(signal[:, 100:110], np.arange(100, 110) / 240, [1.0])
    found, data = stream(streaming, signal[:, 110:], np.arange(110, 960) / 240, [], [50])
    assert found.tolist() == [0.5, 1.0, 1.5]
    np.testing.assert_allclose(data, preprocessor.transform(recording), atol=1e-4)


def test_a_coarse_clock_that_repeats_a_time_ends_no_segment():
    signal = eeg(0, 2, 960, 240)
    recording = recording_from_arrays(signal, [0.5], sfreq=240)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    streaming = StreamingPreprocessor(preprocessor, max_gap_s=0.05)
    times = np.arange(960) // 2 / 120  # two samples each tick, and chunks that part them
    stream(streaming, signal, times, [0.5], [3, 2, 4, 1])
    assert streaming.n_segments == 1
    assert not streaming.lost


def test_a_clock_that_runs_fast_moves_the_flash_with_it():
    sfreq, fast = 240, 1.001
    signal = np.zeros((1, 60 * sfreq))
    signal[0, 50 * sfreq] = 1.0  # 50.05 s by the clock
    recording = recording_from_arrays(signal, [0.0], sfreq=sfreq)
    streaming = StreamingPreprocessor(Preprocessor(phase="causal", l_freq=None).fit(recording))
    times = np.arange(signal.shape[1]) / sfreq * fast
    _, data = stream(streaming, signal, times, [50.05 - 0.2, 50.05 - 0.1], [32])
    peaks = data[:, 0].argmax(axis=1) / 120
    assert peaks[0] - peaks[1] == pytest.approx(0.1, abs=1 / 120)
    assert 0.2 < peaks[0] < 0.25  # the causal filter's delay behind the impulse


def test_what_cannot_be_streamed_is_refused():
    recording = recording_from_arrays(np.zeros((2, 1000)), [0.0], sfreq=250)
    with pytest.raises(InputError, match="got phase 'zero', which needs future samples"):
        StreamingPreprocessor(Preprocessor().fit(recording))
    with pytest.raises(InputError, match="from 250 to 120 Hz, which needs future samples"):
        StreamingPreprocessor(
            Preprocessor(phase="causal", resample="subsample_first").fit(recording)
        )
    with pytest.raises(InputError, match="not fitted"):
        StreamingPreprocessor(Preprocessor(phase="causal"))


def test_a_bad_chunk_is_refused_and_nothing_of_it_taken():
    signal = eeg(0, 2, 480, 240)
    recording = recording_from_arrays(signal, [0.0], sfreq=240)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    streaming = StreamingPreprocessor(preprocessor)
    times = np.arange(480) / 240
    broken = signal.copy()
    broken[1, 3] = np.nan
    with pytest.raises(InputError, match="1 non-finite samples"):
        streaming.push(broken, times)
    with pytest.raises(InputError, match=r"shape \(3, 2\) with 2 timestamps; expected \(2 chan"):
        streaming.push(np.zeros((3, 2)), times[:2])
    with pytest.raises(InputError, match=r"shape \(2,\) with 0 timestamps"):
        streaming.push(np.zeros(2), [])
    with pytest.raises(InputError, match="with 1 timestamps"):
        streaming.push(np.zeros((2, 2)), times[:1])
    with pytest.raises(InputError, match="no column onset, only .*; expected onset in seconds"):
        streaming.push(signal, times, flash_table(onset=[0.0]).drop(columns="onset"))
    with pytest.raises(InputError, match="1 of 2 flashes have no finite onset; expected seconds"):
        streaming.push(signal, times, [0.0, np.nan])
    epochs = streaming.push(signal, times, [0.0])
    np.testing.assert_allclose(epochs.data, preprocessor.transform(recording), atol=1e-4)


@pytest.mark.parametrize("sfreq", [250, 256, 1000])
@pytest.mark.parametrize("of_chunks", [True, False], ids=["chunks", "samples"])
@pytest.mark.parametrize("jitter_s", [0.0005, 0.002, 0.02])
def test_jitter_of_the_time_stamps_loses_no_epoch(sfreq, of_chunks, jitter_s):
    rng = np.random.default_rng(0)
    n, size = 40 * sfreq, sfreq // 20
    signal, onsets = eeg(1, 2, n, sfreq), np.arange(2, 38, 0.2)
    recording = recording_from_arrays(signal, onsets, sfreq=sfreq)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    true = np.arange(n) / sfreq
    late = np.abs(rng.normal(size=n)) * jitter_s
    times = true + (late[::size].repeat(size)[:n] if of_chunks else late)
    streaming = StreamingPreprocessor(preprocessor)
    found = []
    for k in range(0, n, size):
        now = onsets[(onsets >= true[k]) & (onsets < true[k] + size / sfreq)]
        found.append(streaming.push(signal[:, k : k + size], times[k : k + size], now))
    data = np.concatenate([epochs.data for epochs in (*found, streaming.finish())])
    assert len(data) == len(onsets) and not streaming.lost and streaming.n_segments == 1
    # the epochs are those of the true times, later by the mean delay of the stamps
    shifted = recording_from_arrays(signal, onsets - late.mean(), sfreq=sfreq)
    expected = preprocessor.transform(shifted)
    close = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(data, expected, strict=True)]
    assert np.median(close) > 0.99


def test_time_stamps_can_be_taken_as_they_are():
    signal = eeg(1, 2, 1000, 250)
    recording = recording_from_arrays(signal, [1.0], sfreq=250)
    preprocessor = Preprocessor(phase="causal").fit(recording)
    times = np.arange(1000) / 250
    times[500:] += 0.02  # five samples were lost
    for max_jitter_s in (0.0, 0.1):
        streaming = StreamingPreprocessor(preprocessor, max_jitter_s=max_jitter_s)
        for k in range(0, 1000, 25):
            streaming.push(signal[:, k : k + 25], times[k : k + 25])
        assert streaming.n_segments == 2
