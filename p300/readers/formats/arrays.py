"""Arrays in ``.npz`` and HDF5 files: a signal, its rate, and where the flashes are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.flashes import as_labels
from p300.proposals import OPEN, Proposal
from p300.readers._files import listed
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.code_channels import find_onsets
from p300.readers.events.labels import counted, plain_label
from p300.readers.events.values import WORDS
from p300.readers.formats._segments import (
    Stretches,
    make_recording,
    named,
    picked,
    unit_of,
)
from p300.readers.formats._stored import MAX_VALUES, Archive, check_signal, opened
from p300.recording import Recording

TAKES = ("keys", "sfreq", "unit", "ch_names")

#: What arrays may be, and names by which they are known, in lower case.
KEYS = {
    "signal": ("signal", "signals", "data", "eeg", "x", "raw", "samples"),
    "sfreq": ("sfreq", "fs", "srate", "sampling_rate", "samplingrate", "rate", "sample_rate"),
    "ch_names": ("ch_names", "channels", "channel_names", "chan_names", "names", "electrodes"),
    "onsets": ("onsets", "onset", "flash_onsets", "event_onsets", "samples_of_events"),
    "codes": ("codes", "code", "stimuluscode", "stimulus_code", "marker", "markers", "stim"),
    "labels": ("labels", "label", "is_target", "y", "stimulustype", "stimulus_type", "target"),
}


def read(
    path: str | Path,
    *,
    picks: Sequence[str] | None = None,
    keys: Mapping[str, str] | None = None,
    sfreq: float | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    **meaning: Any,
) -> Recording:
    """Read the arrays of a file.

    ``signal`` has the shape (n_chans, n_samples) or the other way round. Flashes are either
    ``onsets`` with ``codes``, ``labels`` or both, one per flash, or ``codes`` with one value per
    sample, of which a change to another value than 0 is a flash, and ``labels`` likewise.

    Parameters
    ----------
    path : path
        The file.
    picks : sequence of str or None
        Channels; None for all.
    keys : mapping of str to str, or None
        Names in the file of ``signal``, ``sfreq``, ``ch_names``, ``onsets``, ``codes`` and
        ``labels``; None, or without some, for usual ones (:data:`KEYS`).
    sfreq : float or None
        Sampling rate in Hz; None for that of the file.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples; None for µV.
    ch_names : sequence of str or None
        Names of all channels; None for those of the file.
    **meaning
        What the codes or labels mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        One segment.

    Raises
    ------
    InputError
        If the file is damaged, lacks an array, or their sizes do not fit each other.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    with opened(path) as archive:
        found = _keys(archive, keys, path.name)
        shape, dtype = archive.arrays[found["signal"]].parts
        if len(shape) != 2 or min(shape) < 1 or dtype.kind not in "fiu":
            raise InputError(
                f"{path.name}: {found['signal']} has shape {shape} and type {dtype}; expected "
                "numbers, (n_chans, n_samples)"
            )
        values = {role: _values(archive, name, path) for role, name in found.items()}
        rate = _rate(values, sfreq, path.name)
        written = [str(name).strip() for name in _listed(np.ravel(values.get("ch_names", [])))]
        names_given = written if ch_names is None and written else ch_names
        is_transposed, said = _orientation(shape, names_given, path.name)
        n_chans, n_samples = shape[::-1] if is_transposed else shape
        names = named([f"E{k + 1}" for k in range(n_chans)], names_given, path.name)
        rows = picked(names, picks, path.name)
        check_signal(path, archive.arrays[found["signal"]], len(rows))
        signal = archive.signal(found["signal"], rows, is_transposed=is_transposed)
    taken = ", ".join(f"{role} from {name!r}" for role, name in found.items())
    notes = [f"Arrays are taken: {taken}.", said]
    if names_given is None:
        notes.append(f"The file names no channels: they are E1 to E{n_chans}; set ch_names.")
    unit, of_unit = unit_of(unit, "The arrays have", path.name)
    notes += of_unit
    values, given, classes = _with_classes(values, given)
    notes += classes
    events, said = _flashes(values, n_samples, rate, given)
    understood = given.understand(events.labels)
    if not understood.is_flash.any():
        raise no_flash(given, f"codes and labels: {counted(events.labels)}", events.labels)
    return make_recording(
        Stretches([signal], np.zeros(1), np.array([rate])),
        [names[k] for k in rows],
        rate,
        unit,
        events,
        understood,
        given,
        [*notes, said],
    )


def contents(path: Path) -> str:
    """Describe a file: its arrays, with shapes and types."""
    with opened(path) as archive:
        kind = "numpy" if path.suffix.lower() == ".npz" else "HDF5"
        lines = [f"arrays of {kind}"]
        for name, stored in list(archive.arrays.items())[:40]:
            shape, dtype = stored.parts
            known = [r for r, usual in KEYS.items() if name.split("/")[-1].lower() in usual]
            about = f", may be {known[0]}" if known else ""
            small = ""
            if dtype.kind in "fiuUSb" and np.prod(shape, dtype=float) <= MAX_VALUES:
                if known[:1] in (["sfreq"], ["ch_names"]):
                    small = f": {listed(list(map(str, np.ravel(archive.values(name)))), 40)}"
                elif known[:1] in (["codes"], ["labels"]):
                    small = f": {counted(np.ravel(archive.values(name)).tolist(), 24)}"
            lines.append(f"{name} {shape} {dtype}{about}{small}")
    return "\n  ".join(lines)


def _keys(archive: Archive, given: Mapping[str, str] | None, where: str) -> dict[str, str]:
    """Find the name of each array that is needed."""
    there = listed(list(archive.arrays), 40)
    found = {}
    for role, name in (given or {}).items():
        if role not in KEYS or name not in archive.arrays:
            raise InputError(
                f"{where}: got keys={{{role}: {name}}}; expected some of {', '.join(KEYS)}, and "
                f"arrays of the file: {there}"
            )
        found[role] = name
    for role, usual in KEYS.items():
        names = [n for n in archive.arrays if n.split("/")[-1].lower() in usual]
        if role not in found and len(names) > 1:
            one = Proposal("keys", {role: names[0]})
            raise InputError(
                f"{where}: got {listed(names)}, which all may be {role}; expected one; set it, "
                f"such as {one}",
                [one],
            )
        if role not in found and names:
            found[role] = names[0]
    if "signal" not in found or not {"onsets", "codes"} & set(found):
        keys = Proposal("keys", {"signal": OPEN, "codes": OPEN})
        raise InputError(
            f"{where}: got the arrays {there}; expected a signal, and codes or onsets; set {keys}",
            [keys],
        )
    if unreadable := [
        n
        for role, n in found.items()
        if archive.arrays[n].dtype.kind not in ("fiubUScV" if role == "signal" else "fiubUS")
    ]:
        raise InputError(
            f"{where}: {listed(unreadable)} hold Python objects or more than the file; expected "
            "arrays of numbers or texts; save texts as np.array([...], dtype=str)"
        )
    return found


def _values(archive: Archive, name: str, path: Path) -> np.ndarray:
    """Read an array that is no signal; nothing of one that is."""
    shape, dtype = archive.arrays[name].parts
    if len(shape) == 2 and min(shape) > 1:
        return np.zeros(0)
    if np.prod(shape, dtype=float) > MAX_VALUES or dtype.itemsize > 10_000:
        raise InputError(f"{path.name}: {name} has shape {shape}; expected at most {MAX_VALUES}")
    return archive.values(name)


def _rate(values: Mapping[str, np.ndarray], given: float | None, where: str) -> float:
    found = np.ravel(values.get("sfreq", [] if given is None else [given]))
    if given is not None:
        found = np.ravel([given])
    if found.size != 1 or found.dtype.kind not in "fiu" or not 0 < float(found[0]) < 1e6:
        raise InputError(
            f"{where}: got {found.tolist()[:3] or 'no array'} as the sampling rate; expected one "
            "number in Hz; set sfreq, or keys={sfreq: …}"
        )
    return float(found[0])


def _orientation(
    shape: tuple[int, ...], names: Sequence[str] | None, where: str
) -> tuple[bool, str]:
    """Return whether samples come first, and the sentence about it."""
    fits = [] if names is None else [k for k in (0, 1) if shape[k] == len(names)]
    if names is not None and not fits:
        raise InputError(
            f"{where}: got {len(names)} names of channels for a signal of shape {shape}; expected "
            "as many as it has channels"
        )
    axis = fits[0] if len(fits) == 1 else int(shape[1] < shape[0])
    order = ("(n_chans, n_samples)", "(n_samples, n_chans)")[axis]
    how = "by the names of channels" if len(fits) == 1 else "since there are more samples"
    return axis == 1, f"The signal of shape {shape} is taken as {order}, {how}."


def _flashes(
    values: Mapping[str, np.ndarray], n_samples: int, rate: float, given: Given
) -> tuple[Events, str]:
    """Return the events, and where they come from."""
    where = given.name
    flat = {
        role: np.ravel(values[role]) for role in ("onsets", "codes", "labels") if role in values
    }
    codes, marked = flat.get("codes"), flat.get("labels")
    if "onsets" in flat:
        onsets = flat["onsets"]
        lengths = {role: len(array) for role, array in flat.items()}
        if len(set(lengths.values())) > 1 or onsets.dtype.kind not in "fiu":
            found = ", ".join(f"{n} {role}" for role, n in lengths.items())
            raise InputError(f"{where}: got {found}; expected numbers, one of each per flash")
        in_samples = onsets.dtype.kind in "iu"
        seconds = onsets / rate if in_samples else onsets.astype(float)
        said = f"Onsets are taken as {'samples' if in_samples else 'seconds'}, by their type."
    else:
        if codes is None or len(codes) != n_samples or codes.dtype.kind not in "fiub":
            found = "none" if codes is None else f"{len(codes)} of type {codes.dtype}"
            raise InputError(
                f"{where}: got no onsets and codes: {found}; expected {n_samples} numbers, one "
                "per sample, or onsets; set keys"
            )
        level = np.nan_to_num(codes.astype(float), posinf=0, neginf=0)
        if (np.abs(level) > 1e9).any() or (level % 1 != 0).any():
            raise InputError(f"{where}: got codes that are no whole numbers; expected some")
        (samples,) = find_onsets(level.astype(np.int64))
        seconds, codes = samples / rate, level[samples]
        marked = marked[samples] if marked is not None and len(marked) == n_samples else None
        said = "Flashes begin where codes change to another number than 0."
    if not np.isfinite(seconds).all():
        raise InputError(f"{where}: got onsets that are NaN or infinite; expected finite ones")
    return Events.in_time(seconds, _labels(codes, marked, given, len(seconds))), said


def _with_classes(values: dict[str, Any], given: Given) -> tuple[dict[str, Any], Given, list[str]]:
    """Let ``targets`` tell what an array of labels means that has several readings, such as 1, 2.

    Labels with one reading need none: there ``targets`` are about the codes beside them.

    Raises
    ------
    InputError
        If a label is not among the targets.
    """
    if given.targets is None or not {"codes", "labels"} <= set(values):
        return values, given, []
    written = _listed(np.ravel(values["labels"]))
    try:
        as_labels(written)
        return values, given, ["targets are about the codes: the array of labels is not used."]
    except InputError:
        meaning = {plain_label(key): value for key, value in given.targets.items()}
    found = [plain_label(label) for label in written]
    if unknown := sorted(set(found) - set(meaning) - {"0"}):
        raise InputError(
            f"{given.name}: got the labels {', '.join(unknown[:6])}, which targets do not name; "
            f"expected only {', '.join(meaning)}"
        )
    classes = np.array([meaning.get(label) for label in found], object)
    note = "targets are about the array of labels, which has several readings without them."
    return {**values, "labels": classes}, dataclasses.replace(given, targets=None), [note]


def _labels(codes: Any, marked: Any, given: Given, n_flashes: int) -> list:
    """Return the label of each flash: class, code or both."""
    numbers = [int(c) if not isinstance(c, str) and c == int(c) else c for c in _listed(codes)]
    if marked is None:
        return numbers or ["flash"] * n_flashes
    if given.targets is not None or given.codes is not None:
        return numbers or _listed(marked)
    kinds = as_labels(_listed(marked), given.name, by_targets=True).map(WORDS)
    words = kinds.astype(object).where(kinds.notna(), "flash").tolist()
    return [f"{w}/{c}" for w, c in zip(words, numbers, strict=True)] if numbers else words


def _listed(values: Any) -> list:
    """Return an array's values as Python's; bytes as texts."""
    found = [] if values is None else np.asarray(values).tolist()
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in found]
