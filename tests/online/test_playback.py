"""Playing recordings: as chunks and markers, at once, and the competition's own test runs."""

import numpy as np
import pytest
from simulated_session import DETECTOR, RECORDING, decide_offline, of

from p300.errors import InputError
from p300.experiments.prepare import read_runs
from p300.online.events import Decided, Noted, Scored
from p300.online.playback import PAUSE_S, events_of, format_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.simulation import simulate_recording
from p300.spelling import SymbolPosterior


def test_every_sample_and_every_flash_is_played_once_and_in_time():
    recording = simulate_recording("ABCD", n_repetitions=1, ch_names=["Cz", "Pz"], n_runs=2)
    inputs = list(recording_inputs(recording, start=50.0))
    samples = np.concatenate([chunk for chunk, _, _ in inputs], axis=1)
    np.testing.assert_array_equal(samples, np.concatenate(recording.segments, axis=1))
    markers = [marker for _, _, some in inputs for marker in some]
    first_s = recording.segments[0].shape[1] / recording.sfreq
    begins = np.where(recording.flashes["segment"] == 0, 50.0, 50.0 + first_s + PAUSE_S)
    flashes = [(text, at) for text, at in markers if text.startswith("flash")]
    assert [int(text.split()[1]) for text, _ in flashes] == recording.flashes["code"].tolist()
    np.testing.assert_allclose([at for _, at in flashes], begins + recording.flashes["onset"])
    assert [text for text, _ in markers if "flash" not in text] == [
        *(text for c in "ABCD" for text in (f"begin {c}", "end")),
        "stop",
    ]
    times = np.concatenate([t for _, t, _ in inputs])
    for _, timestamps, some in inputs:
        assert all(at <= timestamps[-1] for _, at in some)
    assert np.isclose(np.diff(times), 1 / recording.sfreq).sum() == len(times) - 2


def test_a_pause_between_runs_is_a_new_segment():
    recording = simulate_recording(
        "ABCD", n_repetitions=6, ch_names=RECORDING.ch_names, speller=RECORDING.speller, n_runs=2
    )
    speller = OnlineSpeller(DETECTOR, recording.ch_names)
    events = list(events_of(speller, recording_inputs(recording)))
    scored = of(Scored, events)
    assert [s.segment for s in scored] == recording.flashes["segment"].tolist()
    np.testing.assert_allclose([s.score for s in scored], DETECTOR.score(recording), atol=1e-3)
    assert [n.text for n in of(Noted, events)] == [
        f"signal missing for {PAUSE_S:.3f} s: the filter restarts"
    ]


def test_some_runs_of_a_recording_are_read_by_number_and_others_refused():
    from omegaconf import OmegaConf

    read = {
        "_target_": "p300.simulation.simulate_recording",
        "text": "ABCD",
        "n_runs": 2,
        "n_repetitions": 1,
        "ch_names": ["Cz"],
    }
    data = OmegaConf.create({"read": read})
    assert set(read_runs(data, [2]).flashes["run"]) == {2}
    assert len(read_runs(data, None).segments) == 2
    with pytest.raises(InputError, match=r"no run \[3\]; expected some of \[1, 2\]"):
        read_runs(data, [3])
    data.read.text, data.read.n_runs, data.read.speller = None, 1, None
    with pytest.raises(InputError, match="has no speller"):
        read_runs(data, None)


@pytest.fixture(scope="session")
def lda_of_iib(data_root, tmp_path_factory):
    """An LDA trained on the four train runs of IIb and exported, with the rules chosen there."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
    pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
    import torch

    from p300.experiments.train import train
    from p300.export.onnx_detector import OnnxDetector
    from p300.export.write import export

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "lda"
    train(
        folder,
        "data=bci2_iib",
        "experiment=lda",
        "logger=csv",
        "preprocessing.phase=causal",
        "progress=false",
    )
    export(folder)
    return OnnxDetector.load(folder)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_competitions_test_runs_are_spelled_live_as_offline_flash_by_flash(
    data_root, lda_of_iib
):
    from p300.readers.datasets.bci2_iib import read

    recording = read(data_root / "bci2_iib", ["AAS012R03", "AAS012R04"])
    rule = lda_of_iib.stopping["posterior"]
    speller = OnlineSpeller(lda_of_iib, recording.ch_names, rule=rule)
    events = list(events_of(speller, recording_inputs(recording, start=2e4)))
    scores = lda_of_iib.score(recording)
    live = np.array([event.score for event in of(Scored, events)])
    # 1e-4 of a deviation of the epochs is what streaming promises
    assert np.abs(live - scores).max() < 1e-4 * scores.std()
    decided = of(Decided, events)
    assert "".join(d.symbol for d in decided) == "HAMPIE"
    assert [d.symbol == d.target for d in decided] == [True] * 6
    assert np.mean([d.n_repetitions for d in decided]) < 7.5  # less than half of 15

    ratios = lda_of_iib.likelihood.log_ratio(scores)
    offline = []
    for _, rows in recording.flashes.groupby(["run", "character"], sort=False):
        posterior = SymbolPosterior(recording.speller)
        for k, i in enumerate(rows.index, start=1):
            posterior.update(rows["code"][i], ratios[i])
            if symbol := rule.decide(posterior, k // 12, k % 12 == 0):
                break
        offline.append((symbol, k))
    assert [(d.symbol, d.n_flashes) for d in decided] == offline


def test_the_stream_of_a_recording_says_channels_unit_and_rate():
    stream = format_of(RECORDING)
    assert stream.ch_names == RECORDING.ch_names
    assert set(stream.units) == {"uV"} and stream.sfreq == 240
    assert (stream.gain_to(DETECTOR.preprocessor) == 1).all()
    assert decide_offline(RECORDING)
