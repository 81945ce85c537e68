"""Over Lab Streaming Layer on this machine alone: what is sent is what is spelled."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from simulated_session import DETECTOR, EXPECTED, RECORDING

from p300.errors import InputError
from p300.online.journal import read_rows
from p300.online.playback import format_of, play, recording_inputs
from p300.online.streams.listener import Listener


def names(test):
    return f"{test} {os.getpid()}", f"{test} markers {os.getpid()}"


@pytest.mark.slow
def test_samples_arrive_as_they_were_sent_with_names_units_and_times(lsl):
    eeg_name, marker_name = names("arrive")
    stream = lsl.StreamFormat(eeg_name, ("Fz", "Cz", "EOG"), ("uV", "V", "AD"), 250.0)
    eeg, texts = lsl.open_signal(stream), lsl.open_texts(marker_name)
    listener = Listener({"name": eeg_name}, {"name": marker_name}, timeout_s=10)
    assert listener.format == stream
    sent = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    times = lsl.library().local_clock() + np.arange(40) / 250
    time.sleep(0.5)
    texts.push_sample(["flash 7"], timestamp=times[3])
    eeg.push_chunk(sent.copy(), timestamp=times)
    parts, markers, deadline = [], [], time.monotonic() + 10
    while sum(len(t) for _, t in parts) < 40 or not markers:
        samples, stamps, some = listener.pull(0.05)
        parts.append((samples, stamps))
        markers += some
        assert time.monotonic() < deadline
    np.testing.assert_array_equal(np.concatenate([s for s, _ in parts], axis=1), sent.T)
    np.testing.assert_array_equal(np.concatenate([t for _, t in parts]), times)
    # both are of this machine's clock: nothing is estimated and nothing shifted
    assert markers == [("flash 7", times[3], times[3])]
    listener.close()


@pytest.mark.slow
def test_streams_that_cannot_be_used_are_refused_with_a_sentence(lsl, monkeypatch):
    eeg_name, marker_name = names("refused")
    with pytest.raises(InputError, match=f"got 0 EEG streams with name '{eeg_name}'; exp"):
        Listener({"name": eeg_name}, {"name": marker_name}, timeout_s=0.5)
    library = lsl.library()
    texts = lsl.open_texts(marker_name)
    mute = library.StreamOutlet(
        library.StreamInfo(eeg_name, "EEG", 2, 250.0, "float32", f"mute {eeg_name}")
    )
    with pytest.raises(InputError, match=r"names 0 of its 2 channels; expected all, or eeg\.ch"):
        Listener({"name": eeg_name}, {"name": marker_name}, timeout_s=10)
    named = {"name": eeg_name, "ch_names": ["Fz", "Cz"]}
    listener = Listener(named, {"name": marker_name}, timeout_s=10)
    assert listener.format.units == (None, None)
    listener.close()
    listener = Listener(named | {"unit": "V"}, {"name": marker_name}, timeout_s=10)
    assert listener.format.units == ("V", "V")
    listener.close()
    with pytest.raises(InputError, match="expected text markers such as 'flash 7'"):
        Listener(named | {"unit": "V"}, {"name": eeg_name}, timeout_s=10)
    second = library.StreamOutlet(
        library.StreamInfo(marker_name, "Markers", 1, 0.0, "string", "second")
    )
    assert len(library.resolve_streams(20, name=marker_name, minimum=2)) == 2
    monkeypatch.setattr(lsl, "ALONE_S", 8.0)  # a busy machine answers late
    with pytest.raises(InputError, match="got 2 marker streams with name"):
        Listener(named | {"unit": "V"}, {"name": marker_name}, timeout_s=10)
    del texts, mute, second


def test_nobody_listening_is_told(lsl):
    with pytest.raises(InputError, match="nobody listened to both streams within 0.1 s; start"):
        play(format_of(RECORDING), iter(()), speed=1, wait_s=0.1, names=names("alone"))


@pytest.mark.slow
def test_a_replayed_recording_is_spelled_and_published_by_another_process(lsl, exported, tmp_path):
    eeg_name, marker_name = names("replay")
    player = threading.Thread(
        target=play,
        args=(format_of(RECORDING), recording_inputs(RECORDING)),
        kwargs={"speed": 6, "wait_s": 20, "names": (eeg_name, marker_name)},
    )
    player.start()
    code = (
        "import sys; from p300.cli import main; main();"
        "heavy = {'torch', 'lightning', 'pytorch_lightning', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    spelling = subprocess.Popen(
        [
            *(sys.executable, "-c", code, "online", str(exported)),
            *(f"eeg.name={eeg_name}", f"markers.name={marker_name}"),
            f"hydra.run.dir={tmp_path / 'session'}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    found, published = [], []
    try:
        while not found and spelling.poll() is None:
            found = lsl.library().resolve_streams(timeout=1.0, name=lsl.DECISIONS)
        if found:
            inlet = lsl.library().StreamInlet(found[0])
            inlet.open_stream(timeout=10)
        while spelling.poll() is None and len(published) < 4:
            published += [text for (text,) in inlet.pull_chunk(timeout=0.2, max_samples=1)[0]]
        printed, errors = spelling.communicate(timeout=60)
    finally:
        spelling.kill()
        player.join()
    assert spelling.returncode == 0, errors
    # the first may have been published before we listened
    assert published and published == [f"symbol {c}" for c in "ABCD"][-len(published) :]
    lines = [line for line in printed.splitlines() if " after " in line]
    assert [line[0] for line in lines] == list("ABCD")
    decided = read_rows(tmp_path / "session" / "decisions.csv")
    assert [(row[1], int(row[5])) for row in decided] == EXPECTED
    scores = [float(row[-1]) for row in read_rows(tmp_path / "session" / "scores.csv")]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)
    again = subprocess.run(
        [
            *(sys.executable, "-c", "from p300.cli import main; main()", "replay"),
            *(f"session={tmp_path / 'session'}", f"detector={exported}"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "identical: 96 scores, 4 decisions" in again.stdout, again.stderr
