"""``p300 check``, and training on files by their names."""

import html
import json
import re

import mne
import numpy as np
import pytest

from p300.errors import InputError
from p300.readers.file import read
from p300.readers.mne_raw import to_raw
from p300.simulation import simulate_recording


@pytest.fixture(scope="module")
def raw():
    recording = simulate_recording(
        None, speller=None, n_flashes=300, ch_names=["Fz", "Cz", "Pz", "Oz"], sfreq=250, seed=2
    )
    (raw,) = to_raw(recording)
    labels = ["rare tone" if t else "common tone" for t in recording.flashes["is_target"]]
    marks = mne.Annotations(recording.flashes["onset"].to_numpy(), 0, labels)
    return raw.set_annotations(marks)


TARGETS = "data.targets={rare tone: true, common tone: false}"


def test_a_path_is_told_from_an_override_of_any_length(tmp_path):
    from p300.experiments.command_line import with_path

    file = tmp_path / "a=b.csv"
    file.touch()
    codes = f"data.codes={{{', '.join(f'S {k}: {k}' for k in range(99))}}}"
    expected = [f"data.path='{file}'", codes, "seed=1"]
    assert with_path([str(file), codes, "seed=1"], "data.path") == expected
    assert with_path([codes, str(file)], "data.path") == [codes, f"data.path='{file}'"]
    with pytest.raises(InputError, match="There is no recording 'xxx"):
        read("x" * 300)


def test_a_file_is_shown_then_read_and_trained_on(p300, tmp_path, raw):
    raw.save(tmp_path / "tones-raw.fif", verbose="error")
    status, printed, errors = p300("check", "tones-raw.fif")
    assert status == 1
    assert "4 channels of type eeg: Fz, Cz, Pz, Oz" in printed and "'common tone' 250" in printed
    assert "got no flash among the events" in errors
    assert 'set "data.targets={common tone: ?, rare tone: ?}"' in errors  # as a shell takes it
    assert printed.startswith("tones-raw.fif: FIF, read by MNE")
    status, printed, errors = p300("check", "tones-raw.fif", TARGETS, "out=page.html")
    assert status == 0, errors
    assert (
        "'rare tone' (50) as code 2 target" in printed or "'rare tone' (50) as target" in printed
    )
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Check of tones-raw" in page and page.count("<img") >= 3
    (command,) = re.findall(r"to train on it: (p300 train .+)", printed)
    (on_page,) = re.findall(r'<pre class="command">(.+)</pre>', page)
    on_page = html.unescape(on_page)
    assert on_page == command.replace(f"{tmp_path}/", "") and "'" in on_page
    assert "data=file" in command and "rare tone: true" in command
    path = f"data.path={tmp_path / 'tones-raw.fif'}"
    status, _, errors = p300(
        "train", "data=file", path, TARGETS, "experiment=lda", "logger=csv", "hydra.run.dir=run"
    )
    assert status == 0, errors
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["test"]["detection"]["auc"] > 0.7
    assert "of the blocks held out" in results["split"]
    assert "50) as" in (tmp_path / "run" / "integrity.txt").read_text("utf-8")


def test_an_unlabelled_recording_says_how_to_label_it(p300, tmp_path, raw):
    raw = raw.copy()
    raw.annotations.rename({"rare tone": "1", "common tone": "2"})
    raw.save(tmp_path / "a raw.fif", verbose="error")
    status, printed, errors = p300("check", "a raw.fif")
    assert status == 0, errors
    assert 'No flash has a label. Say which are targets, "data.targets={1: ?, 2: ?}"' in printed


def test_a_forgotten_class_is_said_instead_of_how_to_train(p300, tmp_path, raw):
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    status, printed, errors = p300("check", "a-raw.fif", "data.targets={rare tone: true}")
    assert status == 0, errors
    assert "All labelled flashes are targets. Name the labels of both classes" in printed
    assert "to train on it: p300" not in printed
    page = next(tmp_path.rglob("check.html")).read_text("utf-8")
    assert "All labelled flashes are targets." in page and "p300 train" not in page


def test_labels_that_hydra_does_not_take_are_proposed_for_a_file(p300, tmp_path, raw):
    raw = raw.copy()
    raw.annotations.rename({"rare tone": "Töne: selten", "common tone": "Töne: häufig"})
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    status, _, errors = p300("check", "a-raw.fif")
    assert status == 1 and 'targets: {"Töne: häufig": ?, "Töne: selten": ?} in a file' in errors


def test_flashes_near_the_end_are_named_once_and_without_a_place_in_the_code(p300, tmp_path, raw):
    cut = raw.copy().crop(0, float(raw.annotations.onset[-1]) + 0.3)
    cut.save(tmp_path / "a-raw.fif", verbose="error")
    status, printed, errors = p300("check", "a-raw.fif", TARGETS)
    assert status == 0 and "epochs of 0 to 0.65 s reach past an end" in printed
    assert "UserWarning" not in printed + errors and ".py:" not in printed + errors


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize("command", ["check", "convert"])
def test_a_warning_of_a_reader_is_a_line_of_its_own(p300, tmp_path, raw, command):
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    given = "data.targets={rare tone: true, common tone: false, rate tone: true}"
    status, printed, errors = p300(command, "a-raw.fif", given, "out=b-raw.fif")
    assert status == 0, errors
    said = "a-raw: codes and targets name labels that no event has: 'rate tone'."
    assert said in (printed + errors).splitlines()
    assert "UserWarning" not in printed + errors and ".py:" not in printed + errors


def test_labels_in_a_file_of_ones_own_are_read_and_its_folder_is_in_the_command(
    p300, tmp_path, raw
):
    raw = raw.copy()
    raw.annotations.rename({"rare tone": "Töne: selten", "common tone": "Töne: häufig"})
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "tones.yaml").write_text(
        "defaults: [file]\ntargets: {'Töne: selten': true, 'Töne: häufig': false}\n", "utf-8"
    )
    status, printed, errors = p300("check", "--config-dir", "mine", "data=tones", "a-raw.fif")
    assert status == 0, errors
    assert re.search(r"p300 train --config-dir \S*mine data=tones", printed)


def test_a_recording_that_cannot_be_used_ends_with_status_1(p300, tmp_path, raw):
    raw = raw.copy()
    raw.load_data()._data[1, 1000] = np.nan
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    status, printed, errors = p300("check", "a-raw.fif", TARGETS)
    assert status == 1 and "samples are NaN" in printed and "cannot be used" in errors
    page = next(tmp_path.rglob("check.html")).read_text("utf-8")
    assert "The signal is not shown" in page and "To train on it" not in page


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_data_set_without_its_folder_is_asked_for_by_the_key_to_type(p300, command):
    status, _, errors = p300(command, "data=bids")
    assert status == 1
    assert errors.startswith(f"p300 {command}: data.root is missing; expected data.root=…")


def test_what_is_not_there_is_said_in_a_sentence(p300):
    status, _, errors = p300("check", "missing.edf")
    assert status == 1 and errors.startswith("p300 check: There is no recording")


def test_a_configured_data_set_is_checked_too(p300):
    short = ["data.read.ch_names=[Cz,Pz]", "data.read.train_text=AB", "data.read.test_text=C"]
    status, printed, errors = p300("check", "data=simulation", *short)
    assert status == 0, errors
    assert "to train on it: p300 train data=simulation" in printed


def test_the_value_of_an_option_is_not_taken_for_the_path(p300, tmp_path, raw):
    raw.save(tmp_path / "a=b, c-raw.fif", verbose="error")
    (tmp_path / "mine").mkdir()
    status, printed, errors = p300("check", "--config-dir", "mine", "a=b, c-raw.fif", TARGETS)
    assert status == 0, errors
    assert (
        "4 channels of type eeg" in printed and "to train on it: p300 train data=file" in printed
    )
