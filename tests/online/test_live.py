"""Running a session: streams that stall, vanish and come back, and what a command imports."""

import logging
import subprocess
import sys
import time

import numpy as np
import pytest
from simulated_session import DETECTOR, RECORDING, RULE

from p300.errors import InputError
from p300.online import live as command
from p300.online.events import Decided, Ended, Scored
from p300.online.journal import NOTE, Journal, read_records
from p300.online.live import Run
from p300.online.playback import format_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.online.setup import choose_rule, describe, make_speller
from p300.online.streams.format import StreamFormat
from p300.online.telling import Telling

SILENCE = np.empty((4, 0), np.float32), np.empty(0), []


class Script:
    """A listener that gives what is written down for it: inputs, "silence", or news."""

    def __init__(self, *script):
        self.script = list(script)
        self.news = []
        self.n_looked = 0

    def pull(self, timeout_s):
        step = self.script.pop(0) if self.script else "silence"
        if step == "silence":
            time.sleep(0.02)
            return SILENCE
        if isinstance(step, str):
            self.news.append(("news", step))
            return SILENCE
        samples, timestamps, markers = step
        return samples, timestamps, [(text, at, at) for text, at in markers]

    def look_again(self):
        self.n_looked += 1


@pytest.fixture
def run(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(command, "STALL_S", 0.05)
    caplog.set_level(logging.INFO, "p300.online")
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    with Journal(tmp_path / "session", {}) as journal:
        yield Run(speller, journal, Telling(4), lambda text: None)


INPUTS = list(recording_inputs(RECORDING))


def test_a_session_ends_by_its_stop_marker(run, capsys):
    run.listen(Script(*INPUTS), give_up_s=5)
    assert run.speller.text == "ABCD"
    assert [line[0] for line in capsys.readouterr().out.splitlines()] == list("ABCD")
    assert len(run.latencies_s) == 4


def test_a_stream_that_stalls_is_told_kept_and_waited_for(run, caplog):
    run.listen(Script(*INPUTS[:300], *["silence"] * 6, *INPUTS[300:]), give_up_s=5)
    assert caplog.text.count("waiting for it") == 1
    assert caplog.text.count("EEG again after") == 1
    assert run.speller.text == "ABCD"
    kept = [
        content[1]
        for kind, content in read_records(run.journal.folder / "journal.bin")
        if kind == NOTE
    ]
    assert any("waiting for it" in text for text in kept)


def test_a_stream_that_stays_away_ends_the_session_with_a_sentence(run):
    with pytest.raises(InputError, match=r"got no EEG for \d+ s; expected some within 0.2 s;"):
        run.listen(Script(*INPUTS[:300]), give_up_s=0.2)


def test_silence_after_the_stop_marker_ends_the_session(run):
    early_stop = [*INPUTS[-2][2], ("stop", float(INPUTS[-1][1][-1]))]
    run.listen(Script(*INPUTS[:-2], (*INPUTS[-2][:2], early_stop)), give_up_s=60)
    assert not run.speller.is_over


def test_what_happens_to_a_stream_is_told_once_and_kept(run, caplog):
    script = Script(*INPUTS[:300], "gone", "gone", *["silence"] * 6, *INPUTS[300:])
    run.listen(script, give_up_s=5)
    assert script.n_looked > 0
    assert caplog.text.count("gone") == 1
    notes = [c for kind, c in read_records(run.journal.folder / "journal.bin") if kind == NOTE]
    assert "gone" in [text for _, text in notes]
    assert run.speller.text == "ABCD"


def test_a_decision_at_the_end_has_no_latency(run):
    for samples, timestamps, markers in INPUTS[:-20]:
        run.push(samples, timestamps, [(text, at, at) for text, at in markers])
    n_before = len(run.latencies_s)
    time.sleep(0.1)
    run.take(run.speller.finish())
    assert len(run.latencies_s) == n_before
    assert max(run.latencies_s) < 0.1


def test_rules_are_chosen_by_name():
    assert choose_rule(DETECTOR, "posterior") is RULE
    assert choose_rule(DETECTOR, None) is None
    with pytest.raises(InputError, match=r"got rule=rate; expected one .* \(posterior\), or null"):
        choose_rule(DETECTOR, "rate")


def test_a_language_file_becomes_the_prior(tmp_path):
    (tmp_path / "words.txt").write_text("abababab" * 20, "utf-8")
    settings = {"language": str(tmp_path / "words.txt"), "offset_s": 0.0, "idle_prior": 0.0}
    speller = make_speller(DETECTOR, format_of(RECORDING), settings, RULE)
    assert np.argmax(speller.language.log_prior("ABA")) == 1  # B


STREAM = StreamFormat("amplifier", RECORDING.ch_names, ("V", "uV", "mV", "uV"), 240.0)


def test_units_are_converted_channel_by_channel():
    assert STREAM.gain_to(DETECTOR.preprocessor).tolist() == [1e6, 1, 1e3, 1]


def test_another_rate_or_unit_is_refused():
    with pytest.raises(InputError, match="'amplifier' has 250 Hz; expected 240 Hz"):
        StreamFormat("amplifier", STREAM.ch_names, STREAM.units, 250.0).gain_to(
            DETECTOR.preprocessor
        )
    with pytest.raises(InputError, match="gives Oz in AD; expected uV"):
        StreamFormat("amplifier", STREAM.ch_names, ("uV", "uV", "uV", "AD"), 240.0).gain_to(
            DETECTOR.preprocessor
        )
    # a channel that the detector does not use may have any unit
    names = (*STREAM.ch_names, "trigger")
    other = StreamFormat("amplifier", names, (*STREAM.units, "AD"), 240.0)
    assert other.gain_to(DETECTOR.preprocessor).tolist() == [1e6, 1, 1e3, 1, 1]


def test_the_unit_of_a_channel_that_is_read_must_be_known():
    names = (*STREAM.ch_names, "trigger")
    stream = StreamFormat("amplifier", names, (*["uV"] * 4, None), 240.0)
    assert stream.gain_to(DETECTOR.preprocessor).tolist() == [1] * 5
    with pytest.raises(InputError, match=r"names no known unit for Cz; expected .* eeg\.unit=uV"):
        StreamFormat("amplifier", names, ("uV", None, *["uV"] * 3), 240.0).gain_to(
            DETECTOR.preprocessor
        )


def test_a_fault_of_every_flash_does_not_flood_the_screen(run, caplog):
    twice = [(s, t, [m for m in markers for _ in range(2)]) for s, t, markers in INPUTS]
    run.listen(Script(*twice), give_up_s=5)
    run.report()
    told = [r.getMessage() for r in caplog.records if "came twice" in r.getMessage()]
    assert len(told) == 3  # the first flash, the tenth, and the first begin
    assert "noticed: 8 markers out of place, 96 flashes sent twice" in caplog.text
    notes = [kind for kind, _ in read_records(run.journal.folder / "journal.bin") if kind == NOTE]
    assert len(notes) == 104  # every begin and end came twice, too


@pytest.mark.parametrize("speed", [1, 10])
def test_a_shift_is_said_at_the_pace_of_a_live_stream_only(run, caplog, monkeypatch, speed):
    clock = iter(np.arange(10**5) / 30 / speed)
    monkeypatch.setattr(command.time, "perf_counter", lambda: next(clock))
    for samples, timestamps, markers in INPUTS[:250]:
        run.push(samples, timestamps, [(text, at + 0.5, at) for text, at in markers])
    assert ("s ahead of the newest sample" in caplog.text) == (speed == 1)


def test_the_session_says_what_it_was(tmp_path):
    (tmp_path / "detector.json").write_text("{}", "utf-8")
    settings = {"rule": "posterior", "offset_s": 0.0, "language": None, "idle_prior": 0.0}
    about = describe(None, tmp_path, STREAM, settings, RULE)
    assert about["stream"]["units"] == ("V", "uV", "mV", "uV")
    assert about["rule"] == {"rule": "posterior", "threshold": 0.95, "max_repetitions": 6}
    # of the two letters "{}"
    assert about["model_sha256"].startswith("44136fa355b3678a")


def test_the_time_saved_is_that_of_the_flashes_after_the_decision():
    telling = Telling(n_codes=2)
    for k in range(30):
        telling.take(Scored(0, 1, k // 2, 1 + k % 2, 10 + 0.5 * k, None, 0.0))
    telling.take(Decided(1, "A", "B", 0.9, 5, 10, 20.0, True))
    telling.take(Ended(1, 5, 15))
    assert telling.summary().splitlines() == [
        "A: 1 characters, 5.0 repetitions each, 0 of 1 as wanted",
        "against all 15 repetitions that were shown: 10 of 15 s of flashing saved (67%)",
    ]
    assert Telling(2).summary() == "no character was read"


@pytest.mark.slow
def test_spelling_imports_neither_torch_nor_lightning_nor_anything_slow():
    code = (
        "import sys, p300.export.onnx_detector, p300.online.live, p300.online.session;"
        "import p300.spelling.language, p300.spelling.rules, p300.spelling.posterior;"
        "heavy = {'torch', 'lightning', 'pytorch_lightning', 'mne', 'sklearn', 'matplotlib',"
        " 'wandb', 'hydra', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
