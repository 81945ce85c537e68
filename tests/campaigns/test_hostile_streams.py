"""Live streams and sessions that are broken: refused in a sentence, and nothing of it taken."""

import hostile_cases as cases
import numpy as np
import pytest

from p300.errors import InputError
from p300.online.journal import HEADER, _record, read_about, read_inputs
from p300.preprocessing import Preprocessor, StreamingPreprocessor, recording_from_arrays
from p300.recording import flash_table

SFREQ = 240
SIGNAL = cases.noise(4, 480)
TIMES = np.arange(480) / SFREQ


@pytest.fixture
def stream():
    calm = recording_from_arrays(SIGNAL, [0.5], sfreq=SFREQ)
    return StreamingPreprocessor(Preprocessor(phase="causal", scaling="none").fit(calm))


def spoiled(value, where=(1, 7)):
    chunk = SIGNAL.copy()
    chunk[where] = value
    return chunk


#: Chunk, time stamps, flashes, words.
CHUNKS = [
    (SIGNAL[:3], TIMES, None, "chunk of shape (3, 480) with 480 timestamps; expected (4"),
    (SIGNAL.T, TIMES, None, "chunk of shape (480, 4)"),
    (SIGNAL[0], TIMES, None, "chunk of shape (480,)"),
    (SIGNAL[None], TIMES, None, "chunk of shape (1, 4, 480)"),
    (SIGNAL, TIMES[:-1], None, "with 479 timestamps"),
    (SIGNAL, TIMES[0], None, "timestamps"),
    (spoiled(np.nan), TIMES, None, "has 1 non-finite samples; expected none"),
    (spoiled(np.inf, (slice(2), 3)), TIMES, None, "has 2 non-finite samples"),
    (SIGNAL.astype(object), TIMES, None, "samples of type object"),
    (SIGNAL.astype(str), TIMES, None, "samples of type"),
    (SIGNAL + 1j, TIMES, None, "samples of type complex128"),
    (SIGNAL, np.where(TIMES == 0, np.nan, TIMES), None, "1 of 480 timestamps are not finite"),
    (SIGNAL, np.full(480, np.inf), None, "480 timestamps are not finite"),
    (SIGNAL, TIMES, [np.nan], "1 of 1 flashes have no finite onset; expected seconds"),
    (SIGNAL, TIMES, [0.5, np.inf], "1 of 2 flashes have no finite onset"),
    (SIGNAL, TIMES, flash_table(onset=[0.5])[["code"]], "flashes have no column onset"),
]


@pytest.mark.parametrize(
    ("chunk", "times", "flashes", "words"), CHUNKS, ids=[words for *_, words in CHUNKS]
)
def test_a_broken_chunk_is_refused_and_the_stream_goes_on(stream, chunk, times, flashes, words):
    with pytest.raises(InputError) as refused:
        stream.push(chunk, times, flashes)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert stream.push(SIGNAL, TIMES, [0.5]).data.shape == (1, 4, 78)


def test_an_empty_chunk_is_nothing(stream):
    assert stream.push(np.empty((4, 0)), []).data.shape == (0, 4, 78)


def test_a_session_of_another_kind_is_refused(tmp_path):
    folder = cases.write_session(tmp_path)
    for text, words in (
        ("", "damaged"),
        ("[]", "its format is 'list'"),
        ('{"format": 2}', "its format is 2"),
        ("[" * 99_999, "damaged"),
        ("\udcff", "damaged"),
    ):
        (folder / "session.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError, match=words):
            read_about(folder)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"EEG1", b""),
        (b"EEG1", b"f" + b"\xff" * 8),
        (b"EEG1", b"O" + bytes([1, 0, 0, 0, 1, 0, 0, 0]) + bytes(16)),
        (b"EEG1", b"i" + bytes([1, 0, 0, 0, 1, 0, 0, 0]) + bytes(12)),
        (b"EEG1", b"f" + bytes([4, 0, 0, 0, 0, 0, 0, 128])),
        (b"MRK1", b"3"),
        (b"MRK1", b'["flash 1"]'),
        (b"MRK1", b'["flash 1", "now", 2.0]'),
        (b"MRK1", b"\xff\xfe"),
        (b"NOT1", b"[" * 99_999),
    ],
)
def test_a_record_that_no_session_wrote_is_refused_though_its_checksum_fits(
    tmp_path, kind, content
):
    folder = cases.write_session(tmp_path)
    with (folder / "journal.bin").open("ab") as file:
        file.write(_record(kind, content))
    with pytest.raises(InputError, match="no session|expected what a session wrote"):
        list(read_inputs(folder))


def test_a_record_that_claims_gigabytes_is_a_torn_end(tmp_path):
    folder = cases.write_session(tmp_path)
    with (folder / "journal.bin").open("ab") as file:
        file.write(HEADER.pack(b"EEG1", 0xFFFFFFFF, 0))
    assert len(list(read_inputs(folder))) == 20
