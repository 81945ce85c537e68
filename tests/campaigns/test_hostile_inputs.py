"""Broken and hostile recordings: each is one sentence, and the folder stays as it was.

A case changes one thing in a file that is read without it; the words are what its sentence must
hold: what was found, how much of it, where, and what was expected.
"""

import gc
import struct
import zlib

import hostile_cases as cases
import numpy as np
import pytest
from hostile_cases import WRITERS, read

from p300.errors import InputError
from p300.readers import bci2_iib, bci3_ii, bnci, muse
from p300.readers.datasets.bnci import RateWarning


def put(name, value):
    """Change a variable; a function gets the one that was there, None takes it away."""

    def change(content):
        made = value(content[name]) if callable(value) else value
        if made is None:
            del content[name]
        else:
            content[name] = made

    return change


def at(name, where, value, dtype=float):
    """Change some values of a variable."""

    def change(content):
        values = np.array(content[name], dtype)
        values[where] = value
        content[name] = values

    return change


def both(*changes):
    def change(content):
        for one in changes:
            one(content)

    return change


def part(change):
    """Change the rows of the first part of a bnci file."""
    return lambda content: content.update(train=change(content["train"].copy()))


def row(k, value):
    def change(rows):
        rows[k] = value(rows[k]) if callable(value) else value
        return rows

    return part(change)


LATER = (slice(None), slice(42, None))

#: Format, change to its content, words of the sentence.
REFUSED = [
    ("bci3_ii", put("Signal", None), "lacks the variables Signal; it holds StimulusCode"),
    (
        "bci3_ii",
        put("Signal", lambda s: s[0]),
        "Signal has shape (674, 4) and type float32",
    ),
    ("bci3_ii", put("Signal", np.array([[1], ["a"]], object)), "Signal has shape (2, 1) and type"),
    ("bci3_ii", put("Signal", "EEG"), "Signal has shape (1,) and type"),
    ("bci3_ii", put("Signal", lambda s: s + 1j), "complex numbers; expected real numbers"),
    ("bci3_ii", put("Signal", lambda s: s[:0]), "Signal has shape (0, 674, 4)"),
    ("bci3_ii", put("Signal", lambda s: s[:, :0]), "Signal has shape (2, 0, 4)"),
    ("bci3_ii", put("Signal", lambda s: s[..., :3]), "has 3 channels; expected 4, as ch_names"),
    ("bci3_ii", put("StimulusCode", lambda c: c.T), "shape (674, 2); expected (2, 674)"),
    ("bci3_ii", at("StimulusCode", (0, 3), 0.5), "1 of 1348 samples are no flash codes"),
    ("bci3_ii", at("StimulusCode", (0, 3), np.nan), "(the first: nan); expected whole numbers"),
    ("bci3_ii", at("StimulusCode", (0, 3), -1), "(the first: -1.0); expected whole numbers"),
    ("bci3_ii", at("StimulusCode", (0, 3), 1e300), "no flash codes (the first: 1e+300)"),
    ("bci3_ii", at("StimulusCode", 1, 0), "1 of 2 characters have no flash (the first: 2)"),
    ("bci3_ii", put("StimulusCode", "codes"), "StimulusCode has shape (1,)"),
    (
        "bci3_ii",
        put("StimulusCode", np.full((2, 674), "a", object)),
        "StimulusCode has type object; expected numbers",
    ),
    (
        "bci3_ii",
        both(at("StimulusCode", (0, slice(0, 24)), 13), put("TargetChar", None)),
        "codes [13] that the screen 'Wadsworth 6x6' does not know",
    ),
    ("bci3_ii", put("TargetChar", "P"), "a text of 1 symbols for 2 recorded"),
    ("bci3_ii", put("TargetChar", "Pé"), "'é' is not on the screen"),
    ("bci3_ii", put("TargetChar", np.array([[1, 2]])), "'1' is not on the screen|contradicts"),
    (
        "bci3_ii",
        put("StimulusType", lambda t: np.roll(t, cases.SOA, axis=1)),
        "StimulusType contradicts the text in 2 of 2 characters",
    ),
    (
        "bci3_ii",
        both(
            put("TargetChar", None),
            put("StimulusType", lambda t: np.roll(t, cases.SOA, axis=1)),
        ),
        "the target codes belong to no symbol",
    ),
    (
        "bci3_ii",
        both(put("TargetChar", None), put("StimulusType", lambda t: 1 - t)),
        "83.3% of the labelled flashes are targets; expected about 16.7%",
    ),
    ("bci3_ii", at("StimulusType", (0, 3), np.nan), "StimulusType has 1 values that are NaN"),
    ("bci3_ii", at("Signal", (1, slice(9), 2), np.nan), "9 samples are NaN or infinite, in 1"),
    ("bci3_ii", at("Signal", (1, 7, 3), np.inf), "1 samples are NaN or infinite, in 1 channels"),
    ("bci3_ii", at("Signal", (1, 7, 3), 1e300), "1 samples are NaN or infinite, in 1 channels"),
    (
        "bci3_ii",
        lambda c: c["Signal"].__setitem__((..., 2), c["StimulusType"]),
        "are no EEG by their values; leave them out",
    ),
    ("bci2_iib", put("signal", lambda s: s[:, :63]), "shape (2308, 63); expected (samples, 64)"),
    ("bci2_iib", put("signal", lambda s: s[:0]), "StimulusCode has 2308 values; expected 0"),
    ("bci2_iib", put("signal", "EEG"), "signal has shape (1,)"),
    (
        "bci2_iib",
        put("signal", np.full((2308, 64), "a", object)),
        "signal holds more than 100000 arrays",
    ),
    ("bci2_iib", put("StimulusCode", lambda c: c[1:]), "StimulusCode has 2307 values; expected"),
    ("bci2_iib", put("StimulusCode", lambda c: 0 * c), "no flash; expected codes above 0"),
    ("bci2_iib", put("StimulusCode", None), "lacks the variables StimulusCode"),
    ("bci2_iib", at("StimulusCode", slice(9), np.inf), "no flash codes (the first: inf)"),
    (
        "bci2_iib",
        put("StimulusType", lambda t: np.roll(t, cases.SOA)),
        "In 1 of 2 characters the target codes belong to no symbol",
    ),
    ("bci2_iib", put("StimulusType", lambda t: 1 - t), "labels are swapped"),
    ("bci2_iib", put("Flashing", lambda f: f[:9]), "Flashing has 9 values; expected 2308"),
    ("bci2_iib", put("Flashing", lambda f: 0 * f), "no flash"),
    (
        "bci2_iib",
        put("StimulusCode", lambda c: np.concatenate([np.full((2307, 1), 5), [[0]]])),
        "signal after a flash is|reach past an end|repeat a code|expected",
    ),
    ("bnci", lambda c: c.pop("test"), "s6 has the fields train; expected train and test"),
    ("bnci", part(lambda rows: rows[:10]), "train has shape (10, 2308); expected 11 rows"),
    ("bnci", part(lambda rows: rows[:, :0]), "train has shape (11, 0)|0 flashes"),
    ("bnci", part(lambda rows: "EEG"), "train has shape"),
    ("bnci", part(lambda rows: rows.astype(str).astype(object)), "train has type"),
    ("bnci", row(-2, lambda code: 13 * (code > 0)), "codes up to 13; expected"),
    ("bnci", row(-2, lambda code: 0 * code), "0 flashes with codes up to 0"),
    ("bnci", row(-2, lambda code: code + 0.5), "are no flash codes"),
    ("bnci", row(-1, lambda target: np.roll(target, cases.SOA)), "belong to no symbol"),
    ("bnci", row(-1, lambda target: 1 - target), "belong to no symbol|labels are swapped"),
    ("bnci", row(-1, np.nan), "train, target has 2308 values that are NaN"),
    ("bnci", row(3, np.nan), "2308 samples are NaN or infinite, in 1 channels (Pz|P3"),
    ("muse", put("Marker", None), "expected timestamps, TP9, AF7, AF8, TP10 and one of markers"),
    ("muse", put("AF7", None), "has the columns timestamps, TP9, AF8"),
    ("muse", put("Marker", 3), "2400 of 2400 markers are not 0, 1"),
    ("muse", put("Marker", 0), "There is no flash"),
    ("muse", put("TP9", "loud"), "the columns ['TP9'] are not numbers"),
    ("muse", at("timestamps", slice(5), np.nan), "5 of 2400 time stamps are NaN or infinite"),
    ("muse", at("AF8", slice(700, 777), np.inf), "77 samples are NaN or infinite, in 1 channels"),
    ("muse", put("TP10", lambda _: np.arange(2400)), "are no EEG by their values"),
    ("muse", put("TP10", "9" * 400), "not numbers|NaN or infinite"),
    ("bnci_als", put("X", lambda x: x[:, :7]), "X has shape (5376, 7) and channels are Fz"),
    ("bnci_als", put("X", lambda x: x[:0]), "y has 5376 values; expected 0, as X"),
    ("bnci_als", put("X", "EEG"), "X has shape (1,)"),
    ("bnci_als", put("X", lambda x: x.astype(object)), "type object; expected numbers|arrays"),
    ("bnci_als", at("X", (9, 3), np.nan), "1 samples are NaN or infinite, in 1 channels"),
    ("bnci_als", put("y_stim", None), "it lacks y_stim"),
    ("bnci_als", at("y_stim", 5, 0.5), "1 of 5376 samples are no flash codes"),
    ("bnci_als", at("y_stim", 5, np.inf), "y_stim has 1 values that are NaN or infinite"),
    ("bnci_als", at("y_stim", slice(9), 70), "codes up to 70; expected up to 12|neither 1 nor 2"),
    ("bnci_als", put("y_stim", lambda c: 0 * c), "0 of 0 flashes have a y"),
    ("bnci_als", put("y", lambda y: np.where(y, 3 - y, 0)), "the labels are swapped"),
    ("bnci_als", put("trial", np.array([[1e9]])), "1 of them no sample of X"),
    ("bnci_als", put("trial", np.zeros((0, 0))), "trial has 0 values"),
    ("bnci_als", put("classes_stim", np.zeros((1, 2))), "codes up to 12; expected up to 2"),
    ("bnci_als", put("channels", "Fz"), "channels are Fz; expected"),
    ("epfl", put("data", lambda d: d[:3]), "data has shape (3, "),
    ("epfl", put("data", lambda d: 0 * d), "all 24 flashes lie behind the 0 samples"),
    ("epfl", put("data", "EEG"), "data has type <U"),
    ("epfl", put("target", np.array([[0]])), "or the target [0], are no image"),
    ("epfl", put("target", np.zeros((0, 0))), "or the target [], are no image"),
    ("epfl", put("stimuli", lambda k: k[:, :0]), "0 of 0 stimuli"),
    ("epfl", put("stimuli", lambda k: k + 0.5), "24 of 24 stimuli"),
    ("epfl", at("events", (3, 1), 1e300), "a date that is none"),
    ("epfl", at("events", (3, 5), np.nan), "events has 1 values that are NaN"),
    ("epfl", at("events", 3, 1), "do not follow each other in time"),
    ("brain_invaders", put("samples", lambda m: m[:, :17]), "expected (samples, 18 columns"),
    ("brain_invaders", put("samples", lambda m: m[:0]), "samples has shape (0, 18)"),
    ("brain_invaders", at("samples", (5, -1), 3), "24 flashes and 1 other marks (3)"),
    ("brain_invaders", at("samples", (5, -1), np.inf), "column of marks has 1 values"),
    ("brain_invaders", at("samples", (slice(None), -1), 0), "0 flashes and 0 other marks"),
    ("brain_invaders", put("samples", None), "lacks the variables samples; it holds nothing"),
    ("brain_invaders", put("samples", lambda m: m.astype(object)), "arrays|type object"),
    ("bigp3bci", put("StimulusType", None), "got no channels StimulusType"),
    ("bigp3bci", put("StimulusBegin", lambda b: 0 * b), "none of 0 flashes can be used"),
    ("bigp3bci", put("StimulusCode", lambda c: c - 1), "are no state; expected whole numbers"),
    ("bigp3bci", put("Dup_1_2", np.zeros(2304)), "two channels of one cell"),
]

#: The same for what is doubtful and not wrong: words of a warning.
DOUBTED = [
    ("bci3_ii", at("Signal", (..., 2), 7), "Channels ['Pz'] are flat throughout"),
    ("bci3_ii", at("Signal", (0, slice(None), 2), 7), "Channels ['Pz'] are flat in some segments"),
    ("bci3_ii", put("Signal", lambda s: s.clip(-15, 15)), "at their highest or lowest value"),
    (
        "bci3_ii",
        both(put("TargetChar", None), put("StimulusType", lambda t: 0 * t)),
        "All 24 labelled flashes are nontargets; expected both classes",
    ),
    (
        "bci3_ii",
        both(put("TargetChar", None), at("StimulusCode", (0, LATER[1]), 0)),
        "1 of 2 characters have 1 flashes or little more; expected at least 12",
    ),
    (
        "bci3_ii",
        lambda c: [c.update({k: v[:, :-80]}) for k, v in c.items() if k != "TargetChar"],
        "epochs of 0 to 0.6 s reach past an end of their segment",
    ),
    ("bnci", part(lambda rows: np.vstack([rows[:1], 1e-6 * rows[1:9], rows[9:]])), None),
    ("bnci", part(lambda rows: np.vstack([rows[:1], 1e6 * rows[1:9], rows[9:]])), None),
    ("muse", put("Marker", lambda m: m.replace({1: 2, 2: 1})), "are the two labels swapped?"),
]


def content_of(kind):
    if kind == "bnci":
        return {"train": cases.bnci(), "test": cases.bnci("OK")}
    return getattr(cases, kind)()


def listing(root):
    return {p: p.stat().st_mtime_ns if p.is_file() else None for p in root.rglob("*")}


def refusal(call, root):
    """Give the one sentence that a call is refused with, having left the folder alone."""
    before = listing(root)
    with pytest.raises(InputError) as refused:
        call()
    assert listing(root) == before
    text = str(refused.value)
    assert "\n" not in text and len(text) < 600
    return text


def says(text, words):
    return any(word in text for word in words.split("|"))


@pytest.mark.filterwarnings("ignore::p300.readers.datasets.bnci.RateWarning")
@pytest.mark.parametrize("kind", WRITERS)
def test_the_files_that_the_cases_break_are_good(kind, tmp_path):
    WRITERS[kind](tmp_path)
    recording, report = read(kind, tmp_path)
    assert report.at("refuse") == report.at("warn") == ()
    assert recording.flashes["is_target"].sum() > 0


@pytest.mark.filterwarnings("ignore::p300.readers.datasets.bnci.RateWarning")
@pytest.mark.parametrize(
    ("kind", "change", "words"), REFUSED, ids=[f"{k}-{w[:40]}" for k, _, w in REFUSED]
)
def test_a_recording_with_one_thing_wrong_is_refused_in_a_sentence(kind, change, words, tmp_path):
    content = content_of(kind)
    change(content)
    WRITERS[kind](tmp_path, content)
    text = refusal(lambda: read(kind, tmp_path)[1].raise_if_refused(), tmp_path)
    assert says(text, words), text


@pytest.mark.filterwarnings("ignore::p300.readers.datasets.bnci.RateWarning")
@pytest.mark.parametrize(("kind", "change", "words"), DOUBTED)
def test_a_recording_that_is_doubtful_is_warned_of(kind, change, words, tmp_path):
    content = content_of(kind)
    change(content)
    WRITERS[kind](tmp_path, content)
    _, report = read(kind, tmp_path)
    texts = " ".join(f.text for f in report.at("warn"))
    assert (words or "is the unit 'uV' right?") in texts, str(report)


def overwritten(position, values, kind="<I"):
    return lambda content: (
        content[:position] + struct.pack(kind, *values) + content[position + 4 * len(values) :]
    )


#: What is done to the bytes of a file, in any format.
BYTES = [
    ("bigp3bci", lambda b: b"", "(0 bytes) cannot be read"),
    ("bigp3bci", lambda b: b[:300], "(300 bytes) cannot be read"),
    ("bigp3bci", lambda b: b[:256] + b"\xff" * 900 + b[1156:], "cannot be read"),
    ("bigp3bci", lambda b: b[:192] + b"EDF+D" + b[197:], "discontinuous file (EDF+D)"),
    ("bigp3bci", lambda b: b[:-9000], "8 s of signal; expected 9 s, as its header says"),
    ("bci3_ii", lambda b: b"", "no MATLAB file of version 5 to 7.2"),
    ("bci3_ii", lambda b: b[:100], "(100 bytes) is no MATLAB file"),
    ("bci3_ii", lambda b: b[:1000], "truncated or damaged, copy or download it again"),
    ("bci3_ii", lambda b: b[:-1000], "truncated or damaged, copy or download it again"),
    ("bci3_ii", lambda b: b"\x89PNG\r\n\x1a\n" + b[8:124] + bytes(4), "say another version"),
    ("bci3_ii", lambda b: b[:124] + b"\0\2IM" + b[128:], "is a MATLAB 7.3 (HDF5) file"),
    ("bci3_ii", overwritten(132, [0xFFFFFF00]), "claims 4294967040 bytes of the"),
    (
        "bci3_ii",
        overwritten(160, [1 << 30, 1 << 30, 1 << 20], "<3i"),
        "claims 1208925819614629174706176 values",
    ),
    ("bci3_ii", overwritten(160, [-2, -674, 4], "<3i"), "claims the size (-2, -674, 4)"),
    ("bci3_ii", overwritten(192, [99]), "of class 7 in 21568 bytes of type 99"),
    ("bci3_ii", overwritten(144, [3]), "Signal holds an object"),
    ("bci3_ii", overwritten(144, [16]), "Signal holds a function handle"),
    ("bci3_ii", overwritten(144, [17]), "cannot be read as a MATLAB file"),
    ("bci3_ii", overwritten(144, [5]), "Signal holds a sparse matrix"),
    ("muse", lambda b: b"", "cannot be read as CSV"),
    ("muse", lambda b: b.split(b"\n")[0], "There is no flash|has no samples|not numbers"),
    ("muse", lambda b: b.replace(b"TP9", b"T\xff9"), "cannot be read as CSV|has the columns"),
    ("muse", lambda b: b[:-30], "markers are not 0, 1|not numbers|There is no"),
    ("muse", lambda b: bytes(len(b)), "has the columns|cannot be read as CSV"),
    ("muse", lambda b: b.replace(b",", b"|"), "expected timestamps, TP9"),
    ("muse", lambda b: b.replace(b"\n", b'\n"', 1), "cannot be read as CSV"),
]


@pytest.mark.parametrize(
    ("kind", "change", "words"), BYTES, ids=[f"{k}-{w[:40]}" for k, _, w in BYTES]
)
def test_a_file_with_broken_bytes_is_refused_in_a_sentence(kind, change, words, tmp_path):
    path = WRITERS[kind](tmp_path)
    path.write_bytes(change(path.read_bytes()))
    text = refusal(lambda: read(kind, tmp_path)[1].raise_if_refused(), tmp_path)
    assert says(text, words), text


def test_a_claim_of_gigabytes_in_a_compressed_variable_allocates_none_of_them(tmp_path):
    import tracemalloc

    path = cases.write_bci3_ii(tmp_path, do_compression=True)
    content = path.read_bytes()
    (n,) = struct.unpack_from("<I", content, 132)
    inner = bytearray(zlib.decompress(content[136 : 136 + n]))
    inner[4:8] = struct.pack("<I", 0x7FFFFF00)  # the bytes of the variable
    inner[32:44] = struct.pack("<3i", 1 << 10, 1 << 10, 1 << 9)
    packed = zlib.compress(bytes(inner))
    head = content[:132] + struct.pack("<I", len(packed))
    path.write_bytes(head + packed + content[136 + n :])
    gc.collect()
    tracemalloc.start()
    text = refusal(lambda: read("bci3_ii", tmp_path), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "claims 2147483392 bytes in" in text and peak < 5e6


def test_cells_within_cells_do_not_overflow_the_stack(tmp_path):
    """SciPy calls itself for each, and Python ends without an error."""
    head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1)
    inside = (struct.pack("<II", 14, 48) + head + struct.pack("<II", 1, 0)) * 50_000
    name = struct.pack("<II", 1, 10) + b"TargetChar" + bytes(6)
    body = head + name + inside
    good = {k: v for k, v in cases.bci3_ii().items() if k != "TargetChar"}
    path = cases.write_bci3_ii(tmp_path, good)
    path.write_bytes(path.read_bytes() + struct.pack("<II", 14, len(body)) + body)
    text = refusal(lambda: read("bci3_ii", tmp_path), tmp_path)
    assert "has cells in cells, more than 8 deep" in text


#: Arguments of readers that cannot be.
ARGUMENTS = [
    (lambda r: bci3_ii.read(r, "A", parts=["dev"]), "parts ['dev']; expected some of"),
    (lambda r: bci3_ii.read(r, "A", parts=[]), "parts []; expected some of"),
    (lambda r: bci3_ii.read(r, "../A", parts=["train"]), "There is no folder"),
    (lambda r: bci3_ii.read(r, "Ä", parts=["train"]), "no Subject_Ä_Train.mat in"),
    (lambda r: bci3_ii.read(r / "no", "A"), "There is no folder"),
    (lambda r: bci3_ii.read(r, "A", parts=["train"]), "expected 64, as ch_names"),
    (
        lambda r: bci3_ii.read(r, "A", parts=["train"], ch_names=["Cz", "Cz", "Pz", "Oz"]),
        "duplicate channel names ['Cz']",
    ),
    (
        lambda r: bci3_ii.read(r, "A", parts=["train"], ch_names=cases.CH_NAMES, unit="volts"),
        "unit 'volts'; expected one of",
    ),
    *(
        (
            lambda r, sfreq=sfreq: bci3_ii.read(
                r, "A", parts=["train"], ch_names=cases.CH_NAMES, sfreq=sfreq
            ),
            f"got sfreq={sfreq:g} Hz; expected more than 0",
        )
        for sfreq in (0, -240, float("nan"))
    ),
    (
        lambda r: bci2_iib.read(r, ["AAS010R1"]),
        "no name of this data set; expected a name such as",
    ),
    (lambda r: bci2_iib.read(r, ["../AAS010R01"]), "no name of this data set"),
    (lambda r: bci2_iib.read(r, ["AAS010R09"]), "There is no AAS010R09.mat in"),
    (lambda r: bci2_iib.read(r / "visual"), "There is no run AAS0..R...mat in"),
    (lambda r: bnci.read(r, "six"), "subject 'six'; expected the number in a file name"),
    (lambda r: bnci.read(r, 7), "There is no s7.mat in"),
    (lambda r: bnci.read(r, []), "There is no file such as s6.mat"),
    (lambda r: bnci.read(r, 6, sfreq=0), "got sfreq=0 Hz; expected more than 0"),
    (lambda r: muse.read(r, "smell"), "experiment 'smell'; expected visual or auditory"),
    (lambda r: muse.read(r, subject=9), "There is no session in"),
    (lambda r: muse.read(r, "../visual"), "experiment '../visual'; expected visual or auditory"),
]


@pytest.mark.parametrize(("call", "words"), ARGUMENTS, ids=[words[:40] for _, words in ARGUMENTS])
def test_arguments_that_cannot_be_are_refused_in_a_sentence(call, words, tmp_path):
    for write in WRITERS.values():
        write(tmp_path)
    text = refusal(lambda: call(tmp_path), tmp_path)
    assert says(text, words), text


def test_a_file_that_is_a_folder_is_not_there(tmp_path):
    (tmp_path / "AAS010R01.mat").mkdir()
    assert "There is no AAS010R01.mat" in refusal(lambda: bci2_iib.read(tmp_path), tmp_path)


@pytest.mark.parametrize("name", ["mesures d'été", "脳波", "a b\tc", "100% *?[x]"])
def test_folders_may_have_any_name(name, tmp_path):
    root = tmp_path / name
    root.mkdir()
    for kind, write in WRITERS.items():
        write(root)
        if kind != "bnci":
            assert len(read(kind, root)[0].flashes) in (24, 30)


def test_a_rate_that_the_flashes_contradict_is_warned_of(tmp_path):
    cases.write_bnci(tmp_path)
    with pytest.warns(RateWarning, match="at 128 Hz the flashes are 328 ms apart"):
        bnci.read(tmp_path, sfreq=128)
