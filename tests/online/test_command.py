"""The commands as they are typed: paths, keys pressed, files that changed, runs trained on."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from simulated_session import DETECTOR, RECORDING, RULE, simulate

from p300.errors import InputError
from p300.integrity.levels import segment_digests
from p300.online import playback
from p300.online.journal import (
    LOST,
    TABLES,
    Journal,
    as_row,
    count_lost,
    read_inputs,
    read_records,
)
from p300.online.live import Run
from p300.online.playback import check_language, compare, events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.online.setup import describe
from p300.online.supervisor import Limits
from p300.online.telling import Telling

INPUTS = list(recording_inputs(RECORDING))


def test_a_language_file_that_changed_is_named(tmp_path):
    (tmp_path / "detector.json").write_text("{}", "utf-8")
    text = tmp_path / "book.txt"
    text.write_text("ABBA", "utf-8")
    settings = {"rule": None, "offset_s": 0.0, "language": str(text), "idle_prior": 0.0}
    stream = playback.format_of(RECORDING)
    about = json.loads(json.dumps(describe(None, tmp_path, stream, settings, None)))
    check_language(about)
    text.write_text("ABBAD", "utf-8")
    with pytest.raises(InputError, match=r"book.txt has changed since the session: its SHA-256"):
        check_language(about)
    text.unlink()
    with pytest.raises(InputError, match=r"book.txt: cannot be read, No such file"):
        check_language(about)
    del about["language_sha256"]  # as older versions wrote it
    check_language(about)


def record(folder, fail_at=()):
    """Run a session; while the disk is full, nothing is written."""
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    with Journal(folder, {"stream": {}}) as journal:
        run, append = Run(speller, journal, Telling(4), lambda text: None), journal._signal.append
        for k, (samples, timestamps, markers) in enumerate(INPUTS):
            is_full = k in fail_at
            journal._signal.append = (lambda _: lose(journal._signal)) if is_full else append
            run.push(samples, timestamps, [(text, at, at) for text, at in markers])
        run.take(speller.finish())


def lose(file):
    file.n_lost += 1


def replay(folder):
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    events = list(events_of(speller, read_inputs(folder)))
    rows = {kind: [as_row(e) for e in events if isinstance(e, kind)] for kind in TABLES}
    return compare(folder, rows)


def test_a_session_that_lost_records_is_told_from_a_changed_program(tmp_path):
    record(tmp_path / "whole")
    assert count_lost(tmp_path / "whole") == 0
    assert replay(tmp_path / "whole") == "identical: 96 scores, 4 decisions"
    record(tmp_path / "lossy", range(200, 230))
    n_lost = count_lost(tmp_path / "lossy")
    assert n_lost >= 30
    with pytest.raises(InputError, match=f"this session lost {n_lost} records that could not be"):
        replay(tmp_path / "lossy")
    told = [c for kind, c in read_records(tmp_path / "lossy" / "journal.bin") if kind == LOST]
    assert told == [[n_lost]]


def test_a_replay_of_what_was_trained_on_says_so(monkeypatch, caplog):
    class Loaded:
        trained_on = segment_digests(simulate())

    monkeypatch.setattr(playback.OnnxDetector, "load", lambda path: Loaded)
    playback.tell_trained_on("model", simulate(seed=7))
    assert not caplog.text
    playback.tell_trained_on("model", RECORDING)
    assert "the detector was trained on 1 of the 1 segments that are played" in caplog.text


def test_the_limits_of_a_session_are_kept_for_its_replay(tmp_path):
    (tmp_path / "detector.json").write_text("{}", "utf-8")
    limits = {"min_probability": 0.25, "max_gap_s": 0.05}
    settings = {"rule": None, "offset_s": 0.0, "language": None, "idle_prior": 0.0}
    about = describe(
        None, tmp_path, playback.format_of(RECORDING), settings | {"limits": limits}, None
    )
    assert Limits(**about["settings"]["limits"]).max_gap_s == 0.05


def test_the_file_of_settings_names_every_limit():
    from omegaconf import OmegaConf

    from p300.experiments.configuration import conf_dir

    for name in ("online", "replay"):
        limits = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{name}.yaml").limits)
        assert Limits(**limits) == Limits()


@pytest.mark.slow
def test_paths_may_hold_equals_signs_and_brackets(p300, exported, tmp_path):
    odd = tmp_path / "lr=0.1 [a], 'b'"
    shutil.copytree(exported, odd)
    status, _, errors = p300("replay", f"detector={odd}", "session=a=[b]", "hydra.run.dir=x=[1]")
    assert (status, errors.partition(":")[0]) == (1, "p300 replay")
    assert "a=[b]: session.json is missing" in errors
    assert (tmp_path / "x=[1]").is_dir()
    status, _, errors = p300("online", os.path.relpath(odd, tmp_path), "wait_s=0.5")
    assert status == 1 and "got 0 " in errors and "streams with type" in errors, errors


@pytest.mark.slow
def test_ctrl_c_while_looking_for_streams_is_one_line(lsl, exported, tmp_path):
    code = "from p300.cli import main; main()"
    looking = subprocess.Popen(
        [sys.executable, "-c", code, "online", str(exported), "eeg.name=nobody sends this"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    lines = []
    for line in looking.stdout:
        lines.append(line.strip())
        if "looking for an EEG stream" in line:
            break
    looking.send_signal(signal.SIGINT)
    rest, _ = looking.communicate(timeout=60)
    assert rest.strip() == "stopped by hand before both streams were found", (lines, rest)
    assert looking.returncode == 0
