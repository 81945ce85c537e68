"""Small files of published data sets, in the layouts that their owners describe.

Each writer takes what a person spelled and writes it as the published files hold it: independent
of the readers, by the descriptions that the readers name as sources.
"""

import numpy as np
from scipy.io import savemat

MATRIX = ["ABCDEF", "GHIJKL", "MNOPQR", "STUVWX", "YZ1234", "56789_"]


def eeg(n_chans, n_samples, targets, sfreq, seed=0, scale=1.0):
    """Noise in µV with a wave 0.3 s after each target sample, shape (n_samples, n_chans)."""
    signal = np.random.default_rng(seed).normal(0, 8, (n_samples, n_chans))
    t = np.arange(round(0.6 * sfreq)) / sfreq
    wave = 12 * np.exp(-(((t - 0.32) / 0.07) ** 2))
    for at in targets:
        part = signal[at : at + len(t)]
        part += wave[: len(part), None]
    return scale * signal


def cells(texts):
    """A MATLAB cell array of texts."""
    row = np.empty((1, len(texts)), object)
    row[0] = texts
    return row


ALS = "Fz Cz Pz Oz P3 P4 PO7 PO8".split()
OVERT = [*ALS, *"F3 F4 FCz C3 C4 CP3 CPz CP4".split()]
LINES = [f"Row{k}" for k in range(1, 7)] + [f"Col{k}" for k in range(1, 7)]


def bnci_2014(text, ch_names=ALS, *, n_repetitions=2, scale=1.0, lines=LINES, seed=0):
    """One struct of ``data``: flashes of 32 samples every 64, 5 s between two characters."""
    rng = np.random.default_rng(seed)
    n_flashes, pause = 12 * n_repetitions, 1280
    n = pause + len(text) * (64 * n_flashes + pause)
    y, y_stim, trial = np.zeros(n), np.zeros(n), []
    for c, symbol in enumerate(text):
        row = next(k for k, letters in enumerate(MATRIX) if symbol in letters)
        wanted = {f"Row{row + 1}", f"Col{MATRIX[row].index(symbol) + 1}"}
        codes = np.concatenate([rng.permutation(12) for _ in range(n_repetitions)])
        start = pause + c * (64 * n_flashes + pause)
        trial.append(start + 1)  # MATLAB counts from 1
        for i, code in enumerate(codes):
            lit = slice(start + 64 * i, start + 64 * i + 32)
            y_stim[lit], y[lit] = code + 1, 1 + (lines[code] in wanted)
    is_first = np.diff(y_stim, prepend=0) > 0
    signal = eeg(len(ch_names), n, np.flatnonzero(is_first & (y == 2)), 256, seed, scale)
    return {
        "channels": cells(ch_names),
        "X": signal,
        "y": y[:, None],
        "y_stim": y_stim[:, None],
        "trial": np.array(trial)[None],
        "classes": cells(["NonTarget", "Target"]),
        "classes_stim": cells(lines),
    }


def write_bnci_als(root, number=1, text="WATERLIGHTHOUSE_WAVE", content=None, **kwargs):
    path = root / f"A{number:02d}.mat"
    person = {"gender": "M", "age": "56", "ALSfrs": "13", "onsetALS": "Spinal"}
    savemat(path, {"data": (bnci_2014(text) if content is None else content) | person}, **kwargs)
    return path


def write_bnci_overt(root, number=1, texts=("BRAIN", "WAVES", "EEG"), end="S", **arguments):
    structs = [
        bnci_2014(text, OVERT, scale=10.0, seed=k, **arguments) | {"fs": 256.0}
        for k, text in enumerate(texts)
    ]
    names = list(structs[0])
    data = np.empty((1, len(structs)), [(name, object) for name in names])
    for k, struct in enumerate(structs):
        data[0, k] = tuple(struct[name] for name in names)
    path = root / f"A{number:02d}{end}.mat"
    savemat(path, {"data": data})
    return path


def epfl(image=3, *, n_repetitions=3, seed=0, start="2006-05-19T11:43:28.500"):
    """One run: flashes every 0.4 s; the last second of the signal is zeros."""
    rng = np.random.default_rng(seed)
    stimuli = np.concatenate([1 + rng.permutation(6) for _ in range(n_repetitions)])
    onset = 0.4 + 0.4 * np.arange(len(stimuli))
    n = round((onset[-1] + 2) * 2048)
    signal = eeg(34, n, np.rint(onset[stimuli == image] * 2048).astype(int), 2048, seed).T
    signal[32:] = 50 + 0.1 * signal[32:]  # mastoids: hardly a wave, and an offset as all have
    signal[:32] += 50
    signal[:, -2048:] = 0
    times = np.datetime64(start) + np.round(400 * np.arange(len(stimuli))).astype("m8[ms]")
    events = [
        [t.year, t.month, t.day, t.hour, t.minute, t.second + t.microsecond / 1e6]
        for t in times.tolist()
    ]
    return {
        "data": signal,
        "events": np.array(events),
        "stimuli": stimuli[None].astype(np.uint8),
        "target": np.array([[image]], np.uint8),
        "targets_counted": np.array([[n_repetitions]], np.uint8),
    }


def write_epfl(root, content=None, *, subject=1, session=1, run=1, **kwargs):
    path = root / f"subject{subject}/session{session}/eeg_20060519{1140 + run}_epochs.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, epfl() if content is None else content, **kwargs)
    return path


def brain_invaders(edition="2014a", *, n_repetitions=5, seed=0):
    """The matrix of a file: repetitions of twelve flashes, two of them of the target."""
    first, n_chans, n_marks, sfreq = {
        "2012": (1, 17, 2, 128),
        "2013a": (0, 16, 1, 512),
        "2014a": (1, 16, 1, 512),
        "2015a": (1, 32, 2, 512),
    }[edition]
    rng = np.random.default_rng(seed)
    step, n = round(0.2 * sfreq), round((1 + 2.4 * n_repetitions + 1) * sfreq)
    is_target = np.concatenate([rng.permutation(12) < 2 for _ in range(n_repetitions)])
    at = sfreq + step * np.arange(len(is_target))
    matrix = np.zeros((n, first + n_chans + n_marks))
    matrix[:, :first] = np.arange(n)[:, None] / sfreq
    matrix[:, first : first + n_chans] = eeg(n_chans, n, at[is_target], sfreq, seed)
    nontarget, target = (33286, 33285) if edition == "2013a" else (1, 2)
    matrix[at[~is_target], first + n_chans] = nontarget
    matrix[at[is_target], -1] = target
    return matrix


def write_brain_invaders(root, edition="2014a", subject=1, content=None, **kwargs):
    matrix = brain_invaders(edition) if content is None else content
    name, variable = {
        "2012": (f"subject_{subject:02d}/training.mat", "training"),
        "2013a": (f"subject{subject:02d}_session01/Session1/1.mat", "data"),
        "2014a": (f"subject_{subject:02d}.mat", "samples"),
        "2015a": (f"subject_{subject:02d}_session_01.mat", "DATA"),
    }[edition]
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {variable: matrix}, **kwargs)
    return path


def write_edf(path, names, signals, units, *, sfreq=256, duration="1"):
    """Write EDF+ with 16 bits a value: tenths of a unit, or whole numbers without a unit."""

    def field(text, width):
        return str(text).ljust(width).encode("latin-1")

    names, units = [*names, "EDF Annotations"], [*units, ""]
    n_records, n_bytes = signals.shape[1] // sfreq, 64
    ranges = [(-3276.8, 3276.7) if unit else (-32768, 32767) for unit in units]
    head = [field("0", 8), field("X X X X", 80), field("Startdate 01-JAN-2020 X X X", 80)]
    head += [field("01.01.20", 8), field("10.00.00", 8), field(256 * (len(names) + 1), 8)]
    head += [field("EDF+C", 44), field(n_records, 8), field(duration, 8), field(len(names), 4)]
    head += [field(name, 16) for name in names] + [field("", 80)] * len(names)
    head += [field(unit, 8) for unit in units]
    head += [field(low, 8) for low, _ in ranges] + [field(high, 8) for _, high in ranges]
    head += [field(-32768, 8)] * len(names) + [field(32767, 8)] * len(names)
    head += [field("", 80)] * len(names)
    head += [field(sfreq, 8)] * len(signals) + [field(n_bytes // 2, 8)]
    head += [field("", 32)] * len(names)
    scale = np.array([10 if unit else 1 for unit in units[:-1]])[:, None]
    digital = np.clip(np.round(signals * scale), -32768, 32767).astype("<i2")
    body = []
    for k in range(n_records):
        body += [digital[:, k * sfreq : (k + 1) * sfreq].tobytes()]
        body += [f"+{k * float(duration):g}\x14\x14\0".encode().ljust(n_bytes, b"\0")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(head + body))
    return path


STATES = "StimulusType SelectedTarget PhaseInSequence StimulusBegin StimulusCode CurrentTarget"
ELECTRODES = "FP1 Fz Cz Pz Oz P3 P4 PO7".split()


def bigp3bci(text, *, checkerboard=False, rows=MATRIX, n_repetitions=2, seed=0):
    """Channels of a file: flashes every 32 samples, 1.5 s before and after each character."""
    rng = np.random.default_rng(seed)
    n_rows, n_columns = len(rows), len(rows[0])
    labels = ["Sp" if s == "_" else s for row in rows for s in row]
    cells = [f"{s}_{k // n_columns + 1}_{k % n_columns + 1}" for k, s in enumerate(labels)]
    n_codes, pause = n_rows + n_columns, 384
    stretch = 32 * n_codes * n_repetitions
    n = -(-len(text) * (stretch + 2 * pause) // 256) * 256
    states = {name: np.zeros(n) for name in [*STATES.split(), "FakeFeedback", "DisplayResults"]}
    lit = np.zeros((len(cells), n))
    for c, symbol in enumerate(text):
        wanted = "".join(rows).index(symbol)
        start = c * (stretch + 2 * pause) + pause
        states["PhaseInSequence"][start - pause : start] = 1
        states["PhaseInSequence"][start : start + stretch] = 2
        states["PhaseInSequence"][start + stretch : start + stretch + pause] = 3
        states["CurrentTarget"][start : start + stretch] = wanted + 1
        states["SelectedTarget"][start + stretch : start + stretch + 9] = wanted + 1
        for r in range(n_repetitions):
            place = rng.permutation(len(cells)) if checkerboard else np.arange(len(cells))
            for i, code in enumerate(rng.permutation(n_codes)):
                if code < n_rows:
                    members = place // n_columns == code
                else:
                    members = place % n_columns == code - n_rows
                at = start + 32 * (r * n_codes + i)
                lit[members, at : at + 16] = 1
                states["StimulusCode"][at : at + 16] = code + 1
                states["StimulusType"][at : at + 16] = members[wanted]
                states["StimulusBegin"][at : at + 8] = 1
    is_begin = (np.diff(states["StimulusBegin"], prepend=0) > 0) & (states["StimulusType"] > 0)
    signal = eeg(len(ELECTRODES), n, np.flatnonzero(is_begin), 256, seed).T
    channels = {f"EEG_{name}": row for name, row in zip(ELECTRODES, signal, strict=True)}
    return channels | dict(zip(cells, lit, strict=True)) | states


def write_bigp3bci(root, channels=None, *, subject=1, phase="Train", condition="RC", number=1):
    channels = bigp3bci("HI") if channels is None else channels
    person = f"A_{subject:02d}"
    folder = root / f"StudyA/{person}/SE001/{phase}/{condition}"
    path = folder / f"{person}_SE001_{condition}_{phase}{number:02d}.edf"
    units = ["uV" if name.startswith("EEG_") else "" for name in channels]
    return write_edf(path, channels, np.stack(list(channels.values())), units)
