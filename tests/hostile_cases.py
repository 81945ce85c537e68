"""Small good files of every format that is read, to be broken in one place each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import published_files as published
from scipy.io import savemat

from p300.speller import WADSWORTH

#: Electrodes of the files in the layout of BCI Competition III.
CH_NAMES = ["Fz", "Cz", "Pz", "Oz"]

SOA = 42


def _code_channels(text, n_samples, first, pause=0):
    """Codes and target flags of one repetition a character, and what follows the last flash.

    In this order the flashes after those of P, 3 and H are those of two rows: of no symbol.
    """
    order = [4, 9, 10, 5, 11, 12, 2, 8, 7, 1, 3, 6]
    code, target = np.zeros((2, n_samples))
    for k, symbol in enumerate(text):
        for i, lit in enumerate(order):
            start = first + k * (12 * SOA + pause) + i * SOA
            code[start : start + 24] = lit
            target[start : start + 24] = lit in WADSWORTH.codes_of(symbol)
    return code, target


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 20, shape)


def bci3_ii(text="P3"):
    """Variables of a training file with four electrodes and one repetition."""
    n_samples = 12 * SOA + 170
    code, target = np.stack([_code_channels(s, n_samples, 0) for s in text], axis=1)
    return {
        "Signal": noise(len(text), n_samples, len(CH_NAMES)).astype(np.float32),
        "StimulusCode": code.astype(np.float32),
        "StimulusType": target.astype(np.float32),
        "Flashing": (code > 0).astype(np.float32),
        "TargetChar": text,
    }


def bci2_iib(text="HI"):
    """Variables of a training run with one repetition a character."""
    n_samples = 100 + len(text) * (12 * SOA + 600)
    code, target = _code_channels(text, n_samples, 100, pause=600)
    return {
        "signal": (10 * noise(n_samples, 64)).astype(np.int16),
        "StimulusCode": code[:, None].astype(np.uint8),
        "StimulusType": target[:, None].astype(np.uint8),
        "Flashing": (code > 0)[:, None].astype(np.uint8),
    }


def bnci(text="HI"):
    """The rows of one part, with flashes 164 ms apart at 256 Hz."""
    n_samples = 100 + len(text) * (12 * SOA + 600)
    code, target = _code_channels(text, n_samples, 100, pause=600)
    return np.vstack([np.arange(n_samples) / 256, noise(8, n_samples), code, target])


def muse():
    """A run of 30 flashes of an oddball, of which every fifth is a target."""
    table = pd.DataFrame(noise(2400, 5), columns=["TP9", "AF7", "AF8", "TP10", "Right AUX"])
    table.insert(0, "timestamps", 1486223115.483 + np.arange(2400) / 256)
    table["Marker"] = 0
    table.loc[np.arange(30) * 74 + 60, "Marker"] = 1 + (np.arange(30) % 5 == 0)
    return table


def write_bci3_ii(root, content=None, **kwargs):
    savemat(root / "Subject_A_Train.mat", bci3_ii() if content is None else content, **kwargs)
    return root / "Subject_A_Train.mat"


def write_bci2_iib(root, content=None, **kwargs):
    savemat(root / "AAS010R01.mat", bci2_iib() if content is None else content, **kwargs)
    return root / "AAS010R01.mat"


def write_bnci(root, content=None, **kwargs):
    struct = {"train": bnci(), "test": bnci("OK")} if content is None else content
    savemat(root / "s6.mat", {"s6": struct}, **kwargs)
    return root / "s6.mat"


def write_muse(root, content=None):
    path = root / "visual/P300/subject1/session1/data_2017-02-04-15_45_13.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    (muse() if content is None else content).to_csv(path, index=False)
    return path


def bnci_als():
    """The struct of a person who spells two letters, with one repetition."""
    return published.bnci_2014("HI", n_repetitions=1)


def epfl():
    """A run of 24 flashes."""
    return published.epfl(n_repetitions=4)


def brain_invaders():
    """The file of a player: 24 flashes."""
    return {"samples": published.brain_invaders(n_repetitions=2)}


def bigp3bci():
    """The channels of a file in which two letters are spelled with one repetition."""
    return published.bigp3bci("HI", n_repetitions=1)


def write_bigp3bci(root, content=None):
    return published.write_bigp3bci(root, bigp3bci() if content is None else content)


def write_bnci_als(root, content=None, **kwargs):
    return published.write_bnci_als(
        root, content=bnci_als() if content is None else content, **kwargs
    )


def write_epfl(root, content=None, **kwargs):
    return published.write_epfl(root, epfl() if content is None else content, **kwargs)


def write_brain_invaders(root, content=None, **kwargs):
    content = brain_invaders() if content is None else content
    savemat(root / "subject_01.mat", content, **kwargs)
    return root / "subject_01.mat"


WRITERS = {
    "bci3_ii": write_bci3_ii,
    "bci2_iib": write_bci2_iib,
    "bigp3bci": write_bigp3bci,
    "bnci": write_bnci,
    "bnci_als": write_bnci_als,
    "brain_invaders": write_brain_invaders,
    "epfl": write_epfl,
    "muse": write_muse,
}


def read(kind, root):
    """Read a folder of one format, and check what was read as a training run does."""
    from p300 import readers
    from p300.integrity import check_recording

    if kind == "bci3_ii":
        recording = readers.bci3_ii.read(root, "A", parts=["train"], ch_names=CH_NAMES)
    else:
        recording = getattr(readers, "bnci_2014" if kind == "bnci_als" else kind).read(root)
    return recording, check_recording(recording, tmin=0.0, tmax=0.6)


@dataclass(frozen=True)
class Target:
    """A file to be broken: where it stands, what is good in it, and what reads it."""

    path: Path
    variants: list[bytes]
    read: Callable[[], object]
    #: What of :mod:`fuzz_readers` breaks it.
    breaks: str = "mutate"


def _matlab(kind):
    def make(root):
        path = WRITERS[kind](root)
        variants = [path.read_bytes()]
        WRITERS[kind](root, do_compression=True)
        return Target(
            path, [*variants, path.read_bytes()], lambda: read(kind, root), "mutate_matlab"
        )

    return make


def _bigp3bci(root):
    path = write_bigp3bci(root)
    return Target(path, [path.read_bytes()], lambda: read("bigp3bci", root))


def _muse(root):
    path = write_muse(root)
    return Target(path, [path.read_bytes()], lambda: read("muse", root), "mutate_text")


def trained(n_networks=1):
    """A detector of two members, a network and a classical one, and its recording."""
    import torch

    from p300.baselines import ShrinkageLDA
    from p300.detector import Detector, Member
    from p300.models import CecottiCNN
    from p300.preprocessing import Preprocessor
    from p300.simulation import simulate_recording

    recording = simulate_recording("EEG", n_repetitions=2, ch_names=CH_NAMES)
    preprocessor = Preprocessor(scaling="standardize", phase="causal").fit(recording)
    is_target = recording.flashes["is_target"].to_numpy(bool)
    lda = ShrinkageLDA().fit(preprocessor.transform(recording), is_target)
    members = [Member(lda, {"_target_": "p300.baselines.ShrinkageLDA"})]
    torch.manual_seed(0)
    sizes = {"n_chans": 4, "n_outputs": 2, "n_times": 78, "sfreq": 120.0}
    model = {"_target_": "p300.models.CecottiCNN", **sizes}
    members += [Member(CecottiCNN(**sizes), model, "CrossEntropy") for _ in range(n_networks)]
    config = {"seed": 0, "data": {"read": {"_target_": "p300.simulation.simulate_data_set"}}}
    return Detector(members, preprocessor, recording.speller, config), recording


def _checkpoint(root):
    from p300.detector import Detector

    detector, recording = trained()
    path = root / "checkpoint.pt"
    detector.save(path)
    epochs = np.zeros((2, 4, 78), np.float32)
    return Target(
        path,
        [path.read_bytes()],
        lambda: Detector.load(path).score_epochs(epochs),
        "mutate_zip",
    )


def write_export(root):
    """Export the classical half of a detector."""
    from p300.export.graph import to_onnx
    from p300.export.write import describe, write_pair

    detector, recording = trained(n_networks=0)
    likelihood = {"slope": 2.0, "offset": -1.0, "low": -3.0, "high": 3.0}
    rule = {"rule": "posterior", "threshold": 0.9, "max_repetitions": 5}
    about = describe(detector) | {"likelihood": likelihood, "stopping": {"posterior": rule}}
    write_pair(root, to_onnx(detector), about)
    return recording


def _export_json(root):
    from p300.export.onnx_detector import OnnxDetector

    recording = write_export(root)
    path = root / "detector.json"
    return Target(
        path,
        [path.read_bytes()],
        lambda: OnnxDetector.load(root).score(recording),
        "mutate_json",
    )


def _export_onnx(root):
    from p300.export.onnx_detector import open_graph

    write_export(root)
    path = root / "detector.onnx"
    return Target(path, [path.read_bytes()], lambda: open_graph(path.read_bytes(), path))


def _cache(root):
    from p300.preprocessing import EpochsCache, Preprocessor
    from p300.simulation import simulate_recording

    recording = simulate_recording("E", n_repetitions=1, ch_names=CH_NAMES)
    fitted, cache = Preprocessor().fit(recording), EpochsCache(root / "epochs")
    expected = cache.epochs(fitted, recording).data.copy()
    path = cache.path(fitted, recording)

    def make_anew():
        found = cache.epochs(fitted, recording).data
        np.testing.assert_array_equal(found, expected)

    return Target(path, [path.read_bytes()], make_anew)


def write_session(root):
    """A session of a few chunks, markers and a remark."""
    from p300.online.events import Noted
    from p300.online.journal import Journal

    with Journal(root / "session", {"stream": {"name": "EEG"}}) as journal:
        for k in range(20):
            samples = noise(4, 8, seed=k).astype(np.float32)
            journal.chunk(samples, k / 30 + np.arange(8) / 240)
            journal.marker(f"flash {k % 12 + 1}", k / 30, k / 30)
        journal.event(Noted(0.5, "a remark"))
    return root / "session"


def _journal(root):
    from p300.online.journal import read_inputs

    path = write_session(root) / "journal.bin"
    return Target(
        path, [path.read_bytes()], lambda: list(read_inputs(path.parent)), "mutate_records"
    )


#: A run of 30 flashes of an oddball, of which every fifth is a target, at 250 Hz.
N_SAMPLES, ONSETS = 2400, np.arange(30) * 74 + 60


def _levels():
    """Codes and classes that last for 5 samples."""
    code, kind = np.zeros((2, N_SAMPLES), int)
    for k, onset in enumerate(ONSETS):
        code[onset : onset + 5], kind[onset : onset + 5] = k % 6 + 1, k % 5 == 0
    return code, kind


def _file(name, write, breaks="mutate"):
    """A target that :func:`p300.readers.file.read` reads and lists, as `p300 check` does."""

    def make(root):
        from p300.integrity import check_recording
        from p300.readers import file

        write(root / name)

        def check():
            file.contents(root / name)
            return check_recording(file.read(root / name), tmin=0.0, tmax=0.6)

        return Target(root / name, [(root / name).read_bytes()], check, breaks)

    return make


def write_bci2000_file(path):
    from bci2000_files import listed, one, screen, write_bci2000

    code, kind = _levels()
    states = {"StimulusCode": code, "StimulusType": kind, "PhaseInSequence": np.full(N_SAMPLES, 2)}
    parameters = [
        one("SamplingRate", "250Hz"),
        listed("ChannelNames", CH_NAMES, "list"),
        listed("SourceChOffset", ["0"] * 4),
        listed("SourceChGain", ["0.1muV"] * 4),
        one("TextToSpell", "A"),
        *screen(["ABC", "DEF", "GHI"]),
    ]
    write_bci2000(path, 10 * noise(4, N_SAMPLES), states, parameters)


def write_openvibe_file(path):
    from openvibe_files import write_ov

    pairs = [(n / 250, 0x8101 + k % 6) for k, n in enumerate(ONSETS.tolist())]
    pairs += [(n / 250, 33286 - (k % 5 == 0)) for k, n in enumerate(ONSETS.tolist())]
    write_ov(path, noise(4, N_SAMPLES), CH_NAMES, 250, sorted(pairs), n_block=50)


def write_openvibe_table(path):
    events = {
        int(n): f"{0x8101 + k % 6}:{33286 - (k % 5 == 0)},{n / 250:.4f}:{n / 250:.4f},0:0"
        for k, n in enumerate(ONSETS)
    }
    lines = [f"Time:250Hz,Epoch,{','.join(CH_NAMES)},Event Id,Event Date,Event Duration"]
    for n, values in enumerate(noise(N_SAMPLES, 4)):
        cells = ",".join(f"{v:.3f}" for v in values)
        lines.append(f"{n / 250:.4f},{n // 50},{cells},{events.get(n, ',,')}")
    path.write_text("\n".join(lines) + "\n")


def write_table(path):
    code, kind = _levels()
    table = pd.DataFrame(noise(N_SAMPLES, 4), columns=CH_NAMES)
    table.insert(0, "time", np.arange(N_SAMPLES) / 250)
    table.assign(StimulusCode=code, StimulusType=kind).to_csv(path, index=False)


def _arrays():
    labels = np.arange(30) % 5 == 0
    about = {"sfreq": 250.0, "ch_names": np.array(CH_NAMES, "S"), "labels": labels}
    return about | {"signal": noise(4, N_SAMPLES), "onsets": ONSETS, "codes": ONSETS % 6 + 1}


def write_npz(path):
    np.savez(path, **_arrays())


def write_hdf5(path):
    import h5py

    with h5py.File(path, "w") as archive:
        for name, values in _arrays().items():
            archive[name] = values


KINDS = {
    "bci3_ii": _matlab("bci3_ii"),
    "bci2_iib": _matlab("bci2_iib"),
    "bigp3bci": _bigp3bci,
    "bnci": _matlab("bnci"),
    "bnci_als": _matlab("bnci_als"),
    "brain_invaders": _matlab("brain_invaders"),
    "epfl": _matlab("epfl"),
    "muse": _muse,
    "checkpoint": _checkpoint,
    "export_json": _export_json,
    "export_onnx": _export_onnx,
    "cache": _cache,
    "journal": _journal,
    "bci2000": _file("a.dat", write_bci2000_file),
    "openvibe": _file("a.ov", write_openvibe_file),
    "openvibe_table": _file("a.csv", write_openvibe_table, "mutate_text"),
    "table": _file("a.csv", write_table, "mutate_text"),
    "npz": _file("a.npz", write_npz),
    "npz_inside": _file("a.npz", write_npz, "mutate_zip"),
    "hdf5": _file("a.h5", write_hdf5),
}
