"""What a command says: bars on a terminal, plain lines elsewhere, and a complete log."""

import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from p300.errors import InputError
from p300.experiments import prepare as runs
from p300.experiments.fitting import fit as fitting
from p300.experiments.fitting import networks as fitting_networks
from p300.preprocessing import EpochsCache, Preprocessor
from p300.readers import _files
from p300.simulation import simulate_recording
from p300.terminal import Step, _screen, is_terminal, messages, show, step

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")

#: Bars without delay and drawn often, so that quick tests have some.
EAGER = (
    "import sys; from p300 import terminal; from p300.cli import main;"
    "terminal.DELAY_S, terminal.REFRESH_HZ = 0, 50; sys.argv = ['p300', *sys.argv[1:]]; main()"
)


class Told(Step):
    """A step that keeps what it is told."""

    def __init__(self, what, total=None, *rest, **kwargs):
        super().__init__()
        self.what, self.total, self.n = what, total, 0

    has_bar = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def advance(self, n=1):
        self.n += n

    skip = advance


@pytest.fixture
def told(monkeypatch):
    """Let fitting and reading tell everything to steps that are kept in this list."""
    steps = []

    def keep(*args, **kwargs):
        steps.append(Told(*args, **kwargs))
        return steps[-1]

    monkeypatch.setattr(fitting, "step", keep)
    monkeypatch.setattr(runs, "step", keep)
    monkeypatch.setattr(fitting_networks, "step", keep)
    monkeypatch.setattr(_files, "step", keep)
    return steps


def run_on_terminal(folder, python, *arguments, **environment):
    """Run Python, or a fork of it, on a terminal of 100 columns: its status, and all it wrote."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    command = [python, "-c", *arguments]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    return process.wait(), written.decode()


def command_on_terminal(forks, folder, *arguments):
    """Run a command there, with bars without delay."""
    return run_on_terminal(folder, forks.executable, EAGER, *arguments)


def plain(text):
    """Take the colours and movements out of what a terminal got."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


def log_of(folder):
    (path,) = Path(folder).rglob("train.log")
    return path.read_text("utf-8")


# -- on a terminal -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_shows_epochs_time_left_and_validation_auc(small, tmp_path, forks):
    epochs = ["protocol.max_epochs=20", "protocol.patience=40"]
    networks = ["experiment=mcnn3", "model=eegnet"]  # which are trained one after the other
    status, written = command_on_terminal(forks, tmp_path, "train", *small, *epochs, *networks)
    assert status == 0, written
    seen = plain(written)
    assert re.search(r"network 1 \S+ [1-9]\d*/20 epochs up to 0:\d\d left val AUC 0\.\d{3}", seen)
    assert re.search(r"detectors +\S+ 1/3 fitted +0:\d\d left", seen)
    # what is logged meanwhile stands on lines of its own, above the bars
    assert re.search(
        r"^network 2: validation/auc 0\.\d{3} in epoch \d+ of 20$", seen, re.MULTILINE
    )
    assert not CONTROL.search(log_of(tmp_path)) and "epochs up to" not in log_of(tmp_path)


@pytest.mark.slow
def test_networks_that_train_side_by_side_share_a_bar(small, tmp_path, forks):
    epochs = ["protocol.max_epochs=40", "protocol.patience=40", "experiment=mcnn3"]
    epochs.append("trainer.limit_train_batches=null")
    status, written = command_on_terminal(forks, tmp_path, "train", *small, *epochs)
    assert status == 0, written
    bar = r"network 1 to 3 \S+ [1-9]\d*/40 epochs up to 0:\d\d left val AUC 0\.\d{3}"
    assert re.search(bar, plain(written))


@pytest.mark.slow
def test_a_benchmark_shows_its_cells_and_their_time_left(small, tmp_path, forks):
    overrides = f"overrides={[*small]!r}"
    options = ["only=[own]", "experiments=[lda,mdm]", "reference=lda", "folder=out"]
    status, written = command_on_terminal(forks, tmp_path, "benchmark", *options, overrides)
    assert status == 0, written
    assert re.search(r"runs \S+ 2/4 done 0:\d\d left own mdm seed 0", plain(written))


@pytest.mark.slow
def test_a_quiet_command_shows_no_bars(small, tmp_path, forks):
    status, written = command_on_terminal(forks, tmp_path, "train", "quiet=true", *small)
    assert status == 0 and "test part" in written
    assert "network 1 " not in plain(written) and "\x1b[?25l" not in written


@pytest.mark.parametrize("cfg, is_on", [({}, True), ({"quiet": True}, False)])
def test_bars_can_be_turned_off(cfg, is_on):
    with messages(**cfg):
        assert _screen.is_on is is_on
        with messages(**{**cfg, "progress": False}):
            assert not _screen.is_on
    assert not _screen.is_on


def test_a_terminal_that_cannot_redraw_gets_no_bars(tmp_path):
    code = "import sys; from p300.terminal import is_terminal; print(is_terminal(sys.stdout))"
    assert "True" in run_on_terminal(tmp_path, sys.executable, code)[1]
    assert "False" in run_on_terminal(tmp_path, sys.executable, code, TERM="dumb")[1]


def test_what_is_over_soon_gets_no_bar(tmp_path):
    code = (
        "from p300 import terminal\n"
        "with terminal.messages(), terminal.step('reading', 4) as reading:\n"
        "    reading.advance(2)\n"
        "    terminal._screen.bars.refresh()\n"
    )
    status, written = run_on_terminal(tmp_path, sys.executable, code)
    assert status == 0 and "reading" not in written
    late = code.replace("as reading:\n", "as reading:\n    terminal.DELAY_S = 0\n", 1)
    assert "50 %" in plain(run_on_terminal(tmp_path, sys.executable, late)[1])


def test_cells_found_finished_do_not_shorten_the_time_left(tmp_path):
    code = (
        "import time; from p300 import terminal\n"
        "terminal.DELAY_S = 0\n"
        "with terminal.messages(), terminal.step('cells', 12, 'cells') as cells:\n"
        "    cells.skip(8); time.sleep(0.6); cells.advance()\n"
        "    terminal._screen.bars.refresh()\n"
    )
    assert "9/12 cells 0:02 left" in plain(run_on_terminal(tmp_path, sys.executable, code)[1])


# -- elsewhere -----------------------------------------------------------------------------------


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}])
def test_without_a_terminal_there_are_plain_lines_alone(p300, small, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status, printed, errors = p300("train", "experiment=mcnn3", *small)
    assert status == 0, errors
    assert not CONTROL.search(printed) and not CONTROL.search(errors)
    assert "network 3: validation/auc" in printed and "left" not in printed


@pytest.mark.slow
def test_a_quiet_training_says_its_result_alone_and_logs_everything(p300, small, tmp_path):
    status, printed, errors = p300("train", "quiet=true", *small)
    assert status == 0 and not errors
    assert printed.startswith("simulation, test part; wanted: P3\n")
    assert printed.rstrip().splitlines()[-1].startswith("48 flashes: AUC")
    log = log_of(tmp_path)
    assert log.startswith("<Recording simulation") and "run folder: " in log
    assert printed in log.replace("run folder", "\nrun folder")
    status, printed, _ = p300("evaluate", f"run={next(tmp_path.rglob('networks')).parent}")
    loud = len(printed.splitlines())
    run = next(tmp_path.rglob("networks")).parent
    status, printed, errors = p300("evaluate", "quiet=true", f"run={run}")
    assert status == 0 and not errors and len(printed.splitlines()) == loud - 2
    assert printed.startswith("simulation, part: test") and "results: " not in printed


@pytest.mark.slow
def test_a_quiet_sweep_says_its_results_alone(p300, small):
    status, printed, errors = p300(
        "train", "-m", "quiet=true", "experiment=lda", "seed=0,1", *small
    )
    assert status == 0 and not errors
    assert printed.startswith("sweep") and "p300 compare" in printed
    assert "HYDRA" not in printed and "run folder" not in printed
    logs = [path.read_text("utf-8") for path in Path("runs").glob("sweeps/*/[01]/train.log")]
    assert [log.count("simulation, test part") for log in logs] == [1, 1]


@pytest.mark.slow
def test_a_quiet_benchmark_says_its_tables_alone(p300, small, tmp_path):
    overrides = f"overrides={[*small]!r}"
    options = ["only=[own]", "experiments=[lda]", "seeds=[0]", "reference=lda"]
    status, printed, errors = p300("benchmark", "quiet=true", *options, "folder=out", overrides)
    assert status == 0, errors
    text = (tmp_path / "out" / "summary.md").read_text("utf-8").strip()
    assert printed.strip() == text
    log = (tmp_path / "out" / "benchmark.log").read_text("utf-8")
    assert "#0 own lda seed 0: " in log and text in log
    assert "flashes: AUC" in log_of(tmp_path / "out" / "own") and "flashes: AUC" not in log


@pytest.mark.slow
def test_a_quiet_audit_says_its_checks_alone(p300, small):
    options = ["experiment=lda", "audit.n_permutations=5", "quiet=true"]
    _, printed, _ = p300("audit", *options, *small)
    lines = printed.splitlines()
    assert len(lines) >= 8 and all(line.startswith(("PASS", "FAIL", "NOTE")) for line in lines)


def test_warnings_and_errors_are_said_and_logged(p300, small, tmp_path):
    wrong = "preprocessing.h_freq=130"
    status, printed, errors = p300("train", "quiet=true", *small, wrong)
    assert status == 1 and "130" in errors and "130" not in printed
    assert "130" in log_of(tmp_path) and "Traceback" not in log_of(tmp_path)


def test_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    handler = logging.FileHandler(tmp_path / "train.log")
    logging.root.addHandler(handler)
    try:
        with pytest.raises(ZeroDivisionError), messages():
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("the electrodes are dry", UserWarning, stacklevel=1)
            1 / 0  # noqa: B018
    finally:
        logging.root.removeHandler(handler)
        handler.close()
    log = log_of(tmp_path)
    assert "the electrodes are dry" in log and "Traceback" in log and "ZeroDivisionError" in log


def test_a_warning_is_one_line_and_has_its_place_unless_it_is_meant_for_the_user(caplog):
    with messages(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("the electrodes\nare dry", UserWarning, stacklevel=1)
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    dry, overflow = (record.getMessage() for record in caplog.records)
    assert dry == "the electrodes are dry"
    assert re.fullmatch(r"overflow \(RuntimeWarning, \S+test_terminal\.py:\d+\)", overflow)


def test_a_result_is_printed_once_and_as_it_is(capsys):
    show("| 100 % [bold] |")
    assert capsys.readouterr().out == "| 100 % [bold] |\n"


def test_a_pipe_is_no_terminal():
    with open(os.devnull) as pipe:
        assert not is_terminal(pipe)


def test_a_step_nobody_looks_at_takes_everything_in_silence(capsys):
    with step("reading", 3, "files") as outer, step("one file") as inner:
        outer.advance()
        inner.update("half")
        inner.skip()
        inner.watch(lambda: (1, ""))
        assert not outer.has_bar
    assert capsys.readouterr() == ("", "")


# -- what the steps are told ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment", [["experiment=best", "model.network_targets=0"], ["experiment=mcnn1"]]
)
def test_all_that_is_announced_is_done(p300, small, told, experiment):
    whole = "trainer.limit_train_batches=null"
    status, _, errors = p300("train", *experiment, *small, whole)
    assert status == 0, errors
    by_name = {one.what: one for one in told}
    assert by_name["preprocessing"].n == by_name["preprocessing"].total > 0
    assert by_name["detectors"].n == by_name["detectors"].total >= 5
    networks = [one.what for one in told if one.what.startswith("network")]
    assert networks == ["network 1 to 5"] and {by_name[name].total for name in networks} == {1}


def test_reading_tells_of_every_byte_of_a_large_file(told, tmp_path):
    signal = np.random.default_rng(0).normal(size=(50_000, 8))
    savemat(tmp_path / "a.mat", {"signal": signal, "code": np.arange(9)})
    variables = _files.load_variables(tmp_path / "a.mat", "a test", ["signal", "code"])
    assert np.array_equal(variables["signal"], signal)
    (reading,) = told
    assert reading.what == "reading a.mat" and reading.total > signal.nbytes
    assert 0.95 * reading.total < reading.n <= 1.05 * reading.total


def test_epochs_are_told_of_as_they_are_cut(tmp_path):
    recording = simulate_recording("P3QZ", n_repetitions=10, ch_names=["Cz", "Pz"])
    preprocessor = Preprocessor().fit(recording)
    counts = []
    epochs = preprocessor.epochs(recording, on_cut=counts.append)
    assert sum(counts) == len(recording.flashes) and len(counts) > 1
    assert np.array_equal(epochs.data, preprocessor.epochs(recording).data)
    cache = EpochsCache(tmp_path)
    cache.epochs(preprocessor, recording, on_cut=counts.append)
    cache.epochs(preprocessor, recording, on_cut=counts.append)  # found there: nothing to cut
    assert sum(counts) == 2 * len(recording.flashes)


def test_a_damaged_file_is_refused_as_before(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"no MATLAB file at all" * 20)
    with pytest.raises(InputError, match="truncated or damaged"):
        _files.load_variables(tmp_path / "a.mat", "a test", ["signal"])
