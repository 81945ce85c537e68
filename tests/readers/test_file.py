"""Recordings by the names of their files, in the formats that laboratories have."""

import warnings
from pathlib import Path

import mne
import numpy as np
import pybv
import pytest

from p300.errors import InputError
from p300.readers import file
from p300.readers._names import likely_pattern
from p300.readers.mne_raw import to_raw
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH, Speller


@pytest.fixture(scope="module")
def oddball():
    return simulate_recording(
        None, speller=None, n_flashes=60, ch_names=["Fz", "Cz", "Pz"], sfreq=250, seed=2
    )


def with_labels(recording, names):
    """The recording as a Raw whose labels are those of a laboratory."""
    (raw,) = to_raw(recording)
    labels = [names[bool(t)] for t in recording.flashes["is_target"]]
    return raw.set_annotations(
        mne.Annotations(recording.flashes["onset"].to_numpy(), 0.01, labels)
    )


def write_brainvision(recording, path, numbers, **more):
    """Write it as the amplifiers of Brain Products do, with S markers."""
    is_target = recording.flashes["is_target"].to_numpy(bool)
    onsets = np.round(recording.flashes["onset"].to_numpy() * recording.sfreq).astype(int)
    events = [
        {"onset": int(n), "duration": 1, "description": numbers[bool(t)], "type": "Stimulus"}
        for n, t in zip(onsets, is_target, strict=True)
    ]
    pybv.write_brainvision(
        data=recording.segments[0] * 1e-6,
        sfreq=recording.sfreq,
        ch_names=list(recording.ch_names),
        fname_base=path.stem,
        folder_out=path.parent,
        events=events,
        **more,
    )
    return path


def write(recording, path):
    """Write it in the format of the name, targets as 11 and nontargets as 12."""
    if path.suffix == ".vhdr":
        return write_brainvision(recording, path, {True: 11, False: 12})
    raw = with_labels(recording, {True: "S 11", False: "S 12"})
    if path.suffix == ".fif":
        raw.save(path, verbose="error")
    else:
        mne.export.export_raw(path, raw, verbose="error")
    return path


@pytest.mark.parametrize("name", ["a.vhdr", "a.edf", "a.eeg", "a-raw.fif"])
def test_an_oddball_is_read_from_what_laboratories_have(tmp_path, oddball, name):
    path = tmp_path / name
    write(oddball, path.with_suffix(".vhdr") if path.suffix == ".eeg" else path)
    first = "Stimulus/" if path.suffix in (".vhdr", ".eeg") else ""
    targets = {f"{first}S 11": True, f"{first}S 12": False}
    recording = file.read(path, targets=targets)
    assert recording.ch_names == oddball.ch_names and recording.sfreq == 250
    assert recording.flashes["is_target"].tolist() == oddball.flashes["is_target"].tolist()
    onset = recording.flashes["onset"].to_numpy()
    assert onset == pytest.approx(oddball.flashes["onset"].to_numpy(), abs=0.51 / 250)
    n = min(recording.segments[0].shape[1], oddball.segments[0].shape[1])
    assert np.abs(recording.segments[0][:, :n] - oddball.segments[0][:, :n]).max() < 0.2
    unlabelled = file.read(path)  # numbers alone are codes
    assert sorted(unlabelled.flashes["code"].unique()) == [11, 12]
    assert any("60 events are flashes" in note for note in unlabelled.notes)


def test_several_files_are_runs_of_people_by_a_pattern(tmp_path, oddball):
    for name in ("sub-A_run-2", "sub-A_run-1", "sub-B_run-1"):
        write(oddball, tmp_path / f"{name}.vhdr")
    likely = (
        r"seem to tell sub-{subject}_run-{run}, and all are read as one subject .* set pattern"
    )
    targets = {"Stimulus/S 11": True, "Stimulus/S 12": False}
    named = file.read(tmp_path, pattern="sub-{subject}_run-{run}", targets=targets)
    runs = named.flashes[["subject", "run"]].drop_duplicates().astype(str).to_numpy().tolist()
    assert runs == [["A", "1"], ["A", "2"], ["B", "1"]]
    with pytest.warns(UserWarning, match=likely):
        counted = file.read(tmp_path / "*.vhdr", subject="7", targets=targets)
    assert counted.name == f"3 files of {tmp_path.name}"
    assert counted.flashes["run"].unique().tolist() == [1, 2, 3]
    assert counted.subjects == ("7",)
    listed = file.read([tmp_path / "sub-B_run-1.vhdr"], targets=targets)
    assert len(listed.flashes) == 60
    for arguments, words in (
        ({"pattern": "s{subject}x"}, "the name does not fit the pattern"),
        ({"pattern": "sub-{person}"}, r"expected {subject}, {session} or {run} in it"),
        ({"text": ["A"]}, "got 1 texts for 3 files"),
    ):
        with pytest.raises(InputError, match=words):
            file.read(tmp_path, targets=targets, **arguments)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (
            ["sub-01_ses-2_task-p300_run-3_eeg", "sub-02_ses-2_task-p300_run-3_eeg"],
            "sub-{subject}_ses-{session}_task-p300_run-{run}",
        ),
        (["p3_subject4_session1", "p3_subject4_session2"], "subject{subject}_session{session}"),
        (["sub-01_run-1", "sub-01_run-2"], None),  # runs of one person count by themselves
        (["sub-01_task-a", "sub-02_task-b"], None),
        (["monday", "tuesday"], None),
        (["subdural_1", "subway_1"], None),
    ],
)
def test_names_that_tell_people_and_days_propose_their_pattern(names, pattern):
    assert likely_pattern([Path(f"{name}.edf") for name in names]) == pattern


def test_files_that_are_copies_are_refused_by_their_names(tmp_path, oddball):
    write(oddball, tmp_path / "run1-raw.fif")
    (tmp_path / "run2-raw.fif").write_bytes((tmp_path / "run1-raw.fif").read_bytes())
    with pytest.raises(InputError, match="got run1-raw.fif and run2-raw.fif, which are copies"):
        file.read(tmp_path)


def test_files_with_other_channels_propose_those_of_both(tmp_path, oddball):
    write(oddball, tmp_path / "a-raw.fif")
    write(oddball.rename({"Fz": "Oz"}), tmp_path / "b-raw.fif")
    with pytest.raises(InputError, match=r"set picks=\['Cz', 'Pz'\] for those of both") as refused:
        file.read(tmp_path)
    assert '"data.picks=[Cz,Pz]"'.replace(",", ", ") in refused.value.typed
    assert file.read(tmp_path, picks=["Cz", "Pz"]).ch_names == ("Cz", "Pz")
    assert file.read(tmp_path / "a-raw.fif", picks="EEG pz").ch_names == ("Pz",)


def test_a_text_of_digits_is_a_text(tmp_path):
    spelled = simulate_recording("19", n_repetitions=2, ch_names=["Cz"], seed=1)
    (raw,) = to_raw(spelled)
    codes = [f"S {code}" for code in spelled.flashes["code"]]
    raw.set_annotations(mne.Annotations(spelled.flashes["onset"].to_numpy(), 0, codes))
    raw.save(tmp_path / "a-raw.fif", verbose="error")
    for text in (19, "19", ["19"]):  # YAML reads 19 as a number
        flashes = file.read(tmp_path / "a-raw.fif", speller="wadsworth", text=text).flashes
        assert flashes["is_target"].tolist() == spelled.flashes["is_target"].tolist()
    oddball = file.read(tmp_path / "a-raw.fif")
    assert any("codes 1 to 12 may be those of a 6 x 6 matrix" in note for note in oddball.notes)


def test_a_screen_is_said_in_several_ways():
    assert file.as_speller("Wadsworth") == WADSWORTH and file.as_speller(None) is None
    rows = ["ABC", "DEF"]
    assert file.as_speller(rows).groups == Speller.matrix(rows).groups
    assert file.as_speller({"1": ["A", "B"], "2": "B"}).codes_of("B") == (1, 2)
    for wrong in ("qwerty", 6, []):
        with pytest.raises(InputError, match="expected wadsworth, the rows of a matrix"):
            file.as_speller(wrong)


def test_channels_of_other_types_can_be_named(tmp_path, oddball):
    raw = with_labels(oddball, {True: "target", False: "nontarget"})
    raw.set_channel_types({"Cz": "misc"}, on_unit_change="ignore").save(tmp_path / "a-raw.fif")
    assert file.read(tmp_path / "a-raw.fif").ch_names == ("Fz", "Pz")
    assert file.read(tmp_path / "a-raw.fif", picks=["Cz", "Pz"]).ch_names == ("Cz", "Pz")
    with pytest.raises(InputError, match=r"channels \['Oz'\] are not among the 3 recorded"):
        file.read(tmp_path / "a-raw.fif", picks=["Oz"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.edf", b"", "cannot be read: .*expected EDF, BDF"),
        ("a.edf", b"0" * 500, "cannot be read: .*expected EDF, BDF"),
        ("a.vhdr", b"no header", "cannot be read"),
        ("a.doc", b"text", "cannot be read"),
        ("a.set", b"\x00" * 64, "cannot be read"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        file.read(tmp_path / name)


def test_nothing_there_is_refused(tmp_path):
    for path in (tmp_path / "missing.edf", tmp_path / "*.bdf", tmp_path):
        with pytest.raises(InputError, match="There is no recording"):
            file.read(path)


def test_files_are_in_natural_order_and_each_says_whose_it_is(tmp_path, oddball):
    for name in ("s10", "s2", "s1"):
        write(oddball, tmp_path / f"{name}.vhdr")
    assert [p.stem for p in file.find(tmp_path)] == ["s1", "s2", "s10"]
    assert [p.stem for p in file.find(tmp_path / "*.vhdr")] == ["s1", "s2", "s10"]
    notes = file.read(tmp_path, pattern="s{subject}.vhdr").notes
    assert "s10.vhdr: subject 10, session 1, run 1." in notes
    assert any(note.startswith("s2.vhdr: 60 events are flashes") for note in notes)


@pytest.mark.parametrize("name", ["a.edf", "a-raw.fif"])
def test_a_truncated_file_is_warned_of_or_refused(tmp_path, oddball, name):
    path = write(oddball, tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    targets = {"S 11": True, "S 12": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            file.read(path, targets=targets)
        except InputError as error:
            assert name in str(error)
        else:
            assert any("header" in str(w.message) for w in caught)


def test_no_file_is_refused():
    with pytest.raises(InputError, match="got no file; expected one; set data.path=FILE"):
        file.read(None)


def test_labels_that_only_some_files_have_are_no_reason_to_warn(tmp_path, oddball):
    for name, rare in (("a", "Ton"), ("b", "Wort")):
        raw = with_labels(oddball, {True: rare, False: "Stille"})
        raw.save(tmp_path / f"{name}-raw.fif", verbose="error")
    targets = {"Ton": True, "Wort": True, "Stille": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = file.read(tmp_path, targets=targets)
    assert both.flashes["is_target"].sum() == 2 * oddball.flashes["is_target"].sum()
    with pytest.warns(UserWarning, match="no event has: 'stile' .written alike: 'Stille'") as said:
        targets = {"Ton": True, "Wort": True, "Stile": False}
        both = file.read(tmp_path, targets=targets, ignore="Stille")
    assert len(said) == 1 and "no event has" in both.notes[-1]
    with pytest.warns(UserWarning, match="no event has: 'wort'"):  # of one file, as before
        file.read(tmp_path / "a-raw.fif", targets={"Ton": True, "Wort": True, "Stille": False})
