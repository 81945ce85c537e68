"""What a session leaves on disk: whole, to the last record, whatever happens to the process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from simulated_session import DETECTOR, RECORDING, RULE

from p300.errors import InputError
from p300.online.events import Noted, Scored
from p300.online.journal import (
    CHUNK,
    MARKER,
    NOTE,
    TABLES,
    Journal,
    as_row,
    read_about,
    read_inputs,
    read_records,
    read_rows,
)
from p300.online.live import Run
from p300.online.playback import compare, events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.online.telling import Telling

CHUNKS = [np.random.default_rng(k).normal(size=(3, 5)).astype(np.float32) for k in range(4)]


def write(folder, n=4):
    with Journal(folder, {"stream": {}}) as journal:
        for k in range(n):
            journal.marker(f"flash {k}", k + 0.5, k + 0.25)
            journal.chunk(CHUNKS[k], k + np.arange(5) / 10)
            journal.event(Noted(float(k), "nötig"))
    return folder / "journal.bin"


def run_session(folder, inputs, speller=None):
    """Run a session into a folder as the command does."""
    speller = speller or OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    published = []
    with Journal(folder, {"stream": {}}) as journal:
        run = Run(speller, journal, Telling(4), published.append)
        for samples, timestamps, markers in inputs:
            run.push(samples, timestamps, [(text, at, at) for text, at in markers])
        run.take(speller.finish())
    return run, published


def test_what_was_written_is_read_bit_by_bit(tmp_path):
    write(tmp_path / "session")
    records = list(read_records(tmp_path / "session" / "journal.bin"))
    assert [kind for kind, _ in records] == [MARKER, CHUNK, NOTE] * 4
    for k, (samples, timestamps, markers) in enumerate(read_inputs(tmp_path / "session")):
        assert samples.dtype == np.float32 and (samples == CHUNKS[k]).all()
        assert (timestamps == k + np.arange(5) / 10).all()
        assert markers == [(f"flash {k}", k + 0.5)]
    assert records[-1][1] == [3.0, "nötig"]


def test_doubles_stay_doubles(tmp_path):
    with Journal(tmp_path / "session", {}) as journal:
        journal.chunk(np.array([[1 / 3, 1e9 + 0.1]]), np.array([0.0, 0.1]))
    ((samples, _, _),) = read_inputs(tmp_path / "session")
    assert samples.dtype == np.float64 and samples.tolist() == [[1 / 3, 1e9 + 0.1]]


@pytest.mark.slow
def test_a_torn_end_is_cut_wherever_it_was_torn(tmp_path):
    path = write(tmp_path / "session")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    kept = [record for record in read_records(path) if record[0] != b"TORN"]
    assert len(kept) == 11
    ends = []
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        *records, last = list(read_records(path)) or [(b"", 0)]
        n_torn = last[1] if last[0] == b"TORN" else 0
        ends.append(n - n_torn)
        assert len(records) + (last[0] not in (b"TORN", b"")) <= 11
    assert sorted(set(ends)) == sorted(set(np.maximum.accumulate(ends).tolist()))
    assert len(set(ends)) == 12  # none, and after each of the eleven whole records


def test_a_flipped_bit_is_found(tmp_path):
    path = write(tmp_path / "session")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    records = list(read_records(path))
    assert records[-1][0] == b"TORN" and len(records) < 12


def test_a_session_that_is_killed_loses_nothing_that_was_taken(tmp_path):
    code = """
import sys, numpy as np
from p300.online.journal import Journal
journal = Journal(sys.argv[1], {})
for k in range(10**6):
    journal.chunk(np.full((8, 8), k, np.float32), np.zeros(8))
    print(k, flush=True)
"""
    folder = tmp_path / "session"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if int(line) == 2000:
                os.kill(process.pid, signal.SIGKILL)
                break
        last = max(int(line) for line in ["2000", *process.stdout.read().split()])
    values = [samples[0, 0] for samples, _, _ in read_inputs(folder)]
    assert values == list(range(len(values)))
    assert len(values) >= last + 1


def test_a_session_comes_out_again_to_the_last_digit(tmp_path):
    inputs = list(recording_inputs(RECORDING, start=1234.5))
    _, published = run_session(tmp_path / "session", inputs)
    assert published == [f"symbol {c}" for c in "ABCD"]
    again = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    events = list(events_of(again, read_inputs(tmp_path / "session")))
    rows = {kind: [as_row(e) for e in events if isinstance(e, kind)] for kind in TABLES}
    assert compare(tmp_path / "session", rows) == "identical: 96 scores, 4 decisions"
    rows[Scored][7][-1] += "1"
    with pytest.raises(InputError, match=r"scores.csv, row 8: got .* now; expected .*, as then"):
        compare(tmp_path / "session", rows)


def test_the_scores_on_disk_are_a_flash_table(tmp_path):
    import pandas as pd

    run_session(tmp_path / "session", recording_inputs(RECORDING))
    table = pd.read_csv(tmp_path / "session" / "scores.csv")
    for column in ("character", "repetition", "code", "is_target"):
        assert table[column].tolist() == RECORDING.flashes[column].tolist()
    np.testing.assert_allclose(table["score"], DETECTOR.score(RECORDING), atol=1e-3)


def test_rows_that_were_not_written_to_the_end_are_left_out(tmp_path):
    run_session(tmp_path / "session", recording_inputs(RECORDING))
    path = tmp_path / "session" / "decisions.csv"
    path.write_text(path.read_text("utf-8")[:-3], "utf-8")
    assert [row[1] for row in read_rows(path)] == list("ABC")


@pytest.mark.slow
def test_a_full_disk_is_told_and_spelling_goes_on(tmp_path):
    code = """
import logging, os, resource, sys
sys.path[:0] = sys.argv[2].split(os.pathsep)
from pathlib import Path
from test_journal import RECORDING, recording_inputs, run_session
logging.basicConfig(format="%(message)s")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, most))
def until_there_is_room_again():
    for k, part in enumerate(recording_inputs(RECORDING)):
        if k == 400:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            time.sleep(1.1)
        yield part
import time
run, published = run_session(Path(sys.argv[1]), until_there_is_room_again())
print(published, run.journal.n_lost)
"""
    folder = tmp_path / "session"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            str(folder),
            os.pathsep.join(map(str, Path(__file__).parents[:2])),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "['symbol A', 'symbol B', 'symbol C', 'symbol D']" in done.stdout
    assert done.stderr.count("NOT RECORDED: File too large; spelling goes on") == 1
    assert "recording again; " in done.stderr
    n_lost = int(done.stdout.split()[-1])
    kinds = [kind for kind, _ in read_records(folder / "journal.bin")]
    assert b"TORN" not in kinds and kinds.count(NOTE) >= 1
    n_inputs = sum(1 + len(markers) for _, _, markers in recording_inputs(RECORDING))
    assert n_lost > 100
    assert kinds.count(CHUNK) + kinds.count(MARKER) + n_lost >= n_inputs


def test_a_folder_that_holds_no_session_or_another_is_refused(tmp_path):
    with pytest.raises(InputError, match="session.json is missing; expected the folder of a"):
        read_about(tmp_path)
    Journal(tmp_path / "one", {}).close()
    with pytest.raises(InputError, match="already holds a session"):
        Journal(tmp_path / "one", {})
    path = tmp_path / "one" / "session.json"
    path.write_text(json.dumps({"format": "p300 session 0"}), "utf-8")
    with pytest.raises(InputError, match="its format is 'p300 session 0'; expected 'p300 sess"):
        read_about(tmp_path / "one")
    path.write_text("{", "utf-8")
    with pytest.raises(InputError, match="damaged .*; expected the JSON"):
        read_about(tmp_path / "one")
