"""Discontinuous EDF+ files, written here byte by byte as the format's description says."""

import mne
import numpy as np
import pytest

from p300.errors import InputError
from p300.readers.events.edf_gaps import read_discontinuous
from p300.readers.mne_raw import read_raw

SFREQ, TAL_BYTES = 100, 120


def field(text, width):
    return str(text).ljust(width).encode("latin-1")


def write(path, signal, starts, marks, *, kind="EDF+D", lists=None):
    """Write records of one second in µV, each with its time and the marks that begin in it.

    ``signal`` has the shape (n_chans, n_records * SFREQ); ``marks`` are (record, second within
    it, text).
    """
    n_chans, n_records = len(signal), signal.shape[1] // SFREQ
    names = [*(f"C{k}" for k in range(n_chans)), "EDF Annotations"]
    is_eeg = [True] * n_chans + [False]
    head = [field("0", 8), field("X X X X", 80), field("Startdate 01-JAN-2020 X X X", 80)]
    head += [field("01.01.20", 8), field("10.00.00", 8), field(256 * (len(names) + 1), 8)]
    head += [field(kind, 44), field(n_records, 8), field(1, 8), field(len(names), 4)]
    head += [field(name, 16) for name in names] + [field("", 80)] * len(names)
    head += [field("uV" if eeg else "", 8) for eeg in is_eeg]
    for eeg, other in ((-3276.8, -1), (3276.7, 1), (-32768, -32768), (32767, 32767)):
        head += [field(eeg if k else other, 8) for k in is_eeg]
    head += [field("", 80)] * len(names)
    head += [field(SFREQ if eeg else TAL_BYTES // 2, 8) for eeg in is_eeg]
    head += [field("", 32)] * len(names)
    body = []
    for r in range(n_records):
        part = np.round(signal[:, r * SFREQ : (r + 1) * SFREQ] * 10)
        tal = f"+{starts[r]:g}\x14\x14\x00" if lists is None else lists[r]
        for record, second, text in marks:
            if record == r:
                tal += f"+{starts[r] + second:.4f}\x150.1\x14{text}\x14\x00"
        body += [part.astype("<i2").tobytes(), tal.encode().ljust(TAL_BYTES, b"\0")]
    path.write_bytes(b"".join(head + body))
    return path


#: Records at 0, 1, 2 | 12.5, 13.5 | 20, 21, 22 s: two gaps.
STARTS = [0, 1, 2, 12.5, 13.5, 20, 21, 22]
MARKS = [(0, 0.5, "target"), (2, 0.25, "nontarget"), (3, 0.0, "target"), (4, 0.75, "nontarget")]
MARKS += [(5, 0.1, "nontarget"), (7, 0.2, "target")]


@pytest.fixture
def signal():
    return np.round(np.random.default_rng(0).normal(0, 20, (3, 8 * SFREQ)), 1)


def read(path, **arguments):
    return read_raw(mne.io.read_raw_edf(path, verbose="error"), **arguments)


def test_a_discontinuous_file_is_cut_at_its_gaps_and_no_label_is_off(tmp_path, signal):
    recording = read(write(tmp_path / "a.edf", signal, STARTS, MARKS))
    assert [s.shape[1] for s in recording.segments] == [300, 200, 300]
    together = np.hstack(recording.segments)
    assert np.allclose(together, signal, atol=0.06)
    flashes = recording.flashes
    assert flashes["segment"].tolist() == [0, 0, 1, 1, 2, 2]
    assert flashes["onset"].to_numpy() == pytest.approx([0.5, 2.25, 0, 1.75, 0.1, 2.2])
    assert flashes["is_target"].tolist() == [True, False, True, False, False, True]
    assert any("not continuous at 3.000, 5.000 s" in note for note in recording.notes)


def test_a_mark_within_a_gap_is_left_out(tmp_path, signal):
    marks = [*MARKS, (2, 4.0, "target")]  # at 6 s, when nothing was recorded
    with pytest.warns(UserWarning, match="1 of 7 flashes are left out: 1 lie outside the signal"):
        recording = read(write(tmp_path / "a.edf", signal, STARTS, marks))
    assert len(recording.flashes) == 6


def test_a_continuous_file_is_one_segment(tmp_path, signal):
    path = write(tmp_path / "a.edf", signal, list(range(8)), MARKS, kind="EDF+C")
    assert read_discontinuous(path) is None
    recording = read(path)
    assert [s.shape[1] for s in recording.segments] == [800]
    no_gap = write(tmp_path / "b.edf", signal, list(range(8)), MARKS)
    assert [s.shape[1] for s in read(no_gap).segments] == [800]


@pytest.mark.parametrize("record", [0, 4])
def test_a_record_without_a_time_is_refused_with_its_place(tmp_path, signal, record):
    lists = [f"+{start:g}\x14\x14\x00" for start in STARTS]
    lists[record] = ""
    path = write(tmp_path / "a.edf", signal, STARTS, [], lists=lists)
    with pytest.raises(InputError, match=f"record {record + 1} of 8 says no time"):
        read_discontinuous(path)


@pytest.mark.parametrize("n_bytes", [0, 100, 256, 700, 1500, 3000])
def test_a_file_that_ends_early_is_read_as_far_as_it_goes_or_refused(tmp_path, signal, n_bytes):
    path = write(tmp_path / "a.edf", signal, STARTS, MARKS)
    path.write_bytes(path.read_bytes()[:n_bytes])
    try:
        found = read_discontinuous(path)
    except InputError as error:
        assert "a.edf" in str(error)
    else:
        assert found is None or 0 < len(found.starts) < 8


def test_random_bytes_in_the_header_raise_nothing_else(tmp_path, signal):
    whole = bytearray(write(tmp_path / "a.edf", signal, STARTS, MARKS).read_bytes())
    rng = np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(whole)
        for place in rng.integers(0, 256 * 5, rng.integers(1, 6)):
            changed[place] = rng.integers(0, 256)
        (tmp_path / "b.edf").write_bytes(changed)
        try:
            read_discontinuous(tmp_path / "b.edf")
        except InputError:
            pass


def test_joined_files_of_which_one_is_discontinuous_are_refused(tmp_path, signal):
    path = write(tmp_path / "a.edf", signal, STARTS, MARKS)
    raws = [mne.io.read_raw_edf(path, verbose="error") for _ in range(2)]
    with pytest.raises(InputError, match="got 2 files of which some are discontinuous"):
        read_raw(mne.concatenate_raws(raws, verbose="error"))
