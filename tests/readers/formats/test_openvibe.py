"""OpenViBE's files: streams in EBML, stimulations by name, blocks that follow each other."""

import numpy as np
import openvibe_files as files
import pytest
from openvibe_files import write_ov

from p300.errors import InputError
from p300.readers import file
from p300.simulation import simulate_recording

NAMES = ["Fz", "Cz", "Pz"]
LABEL, TARGET, NONTARGET, FLASH, TRIAL = 0x8100, 33285, 33286, 0x800B, 0x8005
ROWS = ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"]


@pytest.fixture(scope="module")
def spelled():
    return simulate_recording("CA", n_repetitions=2, ch_names=NAMES, sfreq=256, seed=3)


def pairs_of(recording, start=0.0, order=int):
    """What the P300 scenarios send: trial, label, start of the flash, and class at one instant."""
    pairs = [(start, TRIAL)]
    table = recording.flashes[["onset", "code", "is_target"]].itertuples(index=False)
    for onset, code, is_target in table:
        at = start + round(onset * 256) / 256
        pairs += [
            (at, LABEL + int(order(code))),
            (at, FLASH),
            (at, TARGET if is_target else NONTARGET),
        ]
    return pairs


def write(recording, path, **more):
    signal = recording.segments[0].astype(float)
    pairs = pairs_of(recording, more.get("start", 0.0), more.pop("order", int))
    return write_ov(path, signal, NAMES, 256, more.pop("pairs", pairs), **more)


def test_labels_and_classes_of_one_instant_are_flashes(tmp_path, spelled):
    with pytest.warns(UserWarning, match="VisualStimulationStart'.*OpenViBE's mark"):
        recording = file.read(write(spelled, tmp_path / "a.ov"), speller="wadsworth")
    assert recording.ch_names == tuple(NAMES) and recording.sfreq == 256
    assert recording.unit == "uV" and len(recording.segments) == 1
    n = recording.segments[0].shape[1]
    assert n == spelled.segments[0].shape[1] // 32 * 32
    assert np.array_equal(recording.segments[0], spelled.segments[0][:, :n])
    found, expected = recording.flashes, spelled.flashes
    for column in ("character", "repetition", "code", "is_target"):
        assert found[column].tolist() == expected[column].tolist(), column
    onset = np.round(expected["onset"].to_numpy() * 256) / 256
    assert found["onset"].to_numpy() == pytest.approx(onset, abs=1e-6)
    said = " ".join(recording.notes)
    assert "48 codes and classes of one instant are joined" in said
    assert "writes no unit" in said and "rows before columns" in said


@pytest.mark.filterwarnings("ignore:.*OpenViBE's mark")
def test_rows_may_be_numbered_before_columns(tmp_path, spelled):
    path = write(spelled, tmp_path / "a.ov", order=lambda c: c - 6 if c > 6 else c + 6)
    recording = file.read(path, speller={"rows_first": ROWS})
    targets = recording.flashes.query("character == 1 and is_target")["code"].unique()
    assert sorted(targets) == [1, 9]  # C: first row, third column
    assert recording.speller.symbol_of(targets.tolist()) == "C"


@pytest.mark.filterwarnings("ignore:.*OpenViBE's mark")
def test_a_late_start_moves_no_flash_and_a_gap_cuts(tmp_path, spelled):
    late = file.read(write(spelled, tmp_path / "a.ov", start=12.5))
    onset = np.round(spelled.flashes["onset"].to_numpy() * 256) / 256
    assert late.flashes["onset"].to_numpy() == pytest.approx(onset, abs=1e-6)
    pairs = [(1.0, TARGET), (2.0, NONTARGET), (4.5, TARGET)]  # the second while samples are lost
    path = write(spelled, tmp_path / "b.ov", pairs=pairs, gaps=[(10, 2.5)])
    with pytest.warns(UserWarning, match="1 of 3 flashes are left out: they lie outside the EEG"):
        recording = file.read(path)
    assert [s.shape[1] for s in recording.segments][0] == 320
    assert recording.flashes["segment"].tolist() == [0, 1]
    assert recording.flashes["onset"].to_numpy() == pytest.approx([1.0, 0.75], abs=1e-6)
    n = recording.segments[1].shape[1]
    assert np.array_equal(recording.segments[1], spelled.segments[0][:, 320 : 320 + n])


@pytest.mark.filterwarnings("ignore:.*OpenViBE's mark")
def test_streams_are_chosen_by_number(tmp_path, spelled):
    pairs = pairs_of(spelled)
    path = write(spelled, tmp_path / "a.ov", more=[pairs])
    with pytest.raises(InputError, match="got flashes in 2 streams: 3, 4; expected one"):
        file.read(path)
    assert len(file.read(path, markers=[4]).flashes) == 48
    with pytest.raises(InputError, match="no stream of markers 2; expected some of 3, 4"):
        file.read(path, markers=[2, 3])
    with pytest.raises(InputError, match="got 0 signals among stream 1"):
        file.read(path, stream=3)
    codes, classes = [p for p in pairs if p[1] < 0x8200], [p for p in pairs if p[1] > 0x8200]
    path = write(spelled, tmp_path / "b.ov", pairs=codes, more=[classes])
    both = file.read(path, markers=[3, 4]).flashes
    assert both["is_target"].tolist() == spelled.flashes["is_target"].tolist()


def test_stimulations_are_named_in_mappings_and_triggers_are_numbers(tmp_path, spelled):
    pairs = [(0.5, LABEL + 1), (1.0, LABEL + 2), (1.5, LABEL + 1), (1.7, 7), (1.8, 0x8F07)]
    path = write(spelled, tmp_path / "a.ov", pairs=pairs)
    names = [f"OVTK_StimulationId_Label_0{k}" for k in (1, 2)]
    with pytest.warns(UserWarning, match="OVTK_StimulationId_0x8f07"):
        recording = file.read(path, targets={names[0]: True, names[1]: False})
    assert recording.flashes["is_target"].tolist() == [True, False, True]
    said = file.contents(path)
    assert f"'{names[0]}' 2" in said and "stream 2: signal" in said and "Fz, Cz, Pz" in said
    with pytest.warns(UserWarning, match="not in codes or targets"):
        assert file.read(path, picks=["PZ"], codes={7: 7}).n_chans == 1


def test_a_file_that_ends_within_a_block_is_read_up_to_it(tmp_path, spelled):
    path = write(spelled, tmp_path / "a.ov", pairs=[(0.5, TARGET), (1.0, NONTARGET)])
    path.write_bytes(path.read_bytes()[:-3000])
    recording = file.read(path)
    assert any("ends within a block" in note for note in recording.notes)
    n = recording.segments[0].shape[1]
    assert 0 < n < spelled.segments[0].shape[1] and n % 32 == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b"", "no header of OpenViBE"),
        (lambda b: b"no EBML at all", "no element of EBML|no header of OpenViBE"),
        (lambda b: b.replace(files.FILE_HEADER, files.FILE_HEADER[:-1] + b"x"), "no header of"),
        (
            lambda b: b.replace(
                files.node(files.COMPRESSION, 0), files.node(files.COMPRESSION, 1)
            ),
            "got compressed streams",
        ),
        (lambda b: b.replace(files.node(files.RATE, 256), files.node(files.RATE, 0)), "0 signals"),
        (lambda b: b.replace(files.node(files.SIZE, 3), files.node(files.SIZE, 0)), "size"),
        (
            lambda b: b.replace(files.node(files.SIZE, 32), files.node(files.SIZE, 31)),
            "got a block",
        ),
        (
            lambda b: b.replace(files.node(files.SIZE, 3), files.node(files.SIZE, 2**60)),
            "expected channels and samples",
        ),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, spelled, change, words):
    path = write(spelled, tmp_path / "a.ov")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=words):
        file.read(path)


def test_epochs_instead_of_a_signal_are_refused(tmp_path, spelled):
    gaps = [(k, -16 / 256) for k in range(1, 30)]
    path = write(spelled, tmp_path / "a.ov", gaps=gaps)
    with pytest.raises(InputError, match="expected a continuous signal, not epochs"):
        file.read(path)
