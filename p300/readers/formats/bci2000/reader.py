"""BCI2000 files (``.dat``): EEG, and the flashes in the states of the P3Speller.

Source: https://www.bci2000.org/mediawiki/index.php/Technical_Reference:BCI2000_File_Format
(layout), https://www.bci2000.org/mediawiki/index.php/User_Reference:P3SpellerTask (states).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import listed
from p300.readers.events.build import Events, Given, no_flash
from p300.readers.events.code_channels import find_onsets
from p300.readers.events.labels import counted
from p300.readers.formats._segments import (
    WRITTEN_UNITS,
    Stretches,
    check_size,
    check_unit,
    make_recording,
    named,
    picked,
)
from p300.readers.formats.bci2000.header import Header, read_frames, read_header, read_states
from p300.readers.formats.bci2000.screen import Shown, screens_of, with_screen, with_text
from p300.recording import UNITS, Recording

TAKES = ("source", "unit", "ch_names")

#: PhaseInSequence while the groups of a character flash; before and after they do not.
FLASHING = 2


def read(
    path: str | Path,
    *,
    picks: Sequence[str] | None = None,
    source: str | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    **meaning: Any,
) -> Recording:
    """Read the EEG and the flashes of a BCI2000 file.

    A flash begins where ``StimulusCode`` changes to another number than 0. ``StimulusType`` tells
    its class, ``PhaseInSequence`` its character. The screen is that of the parameters if none is
    given, and ``TextToSpell`` labels the flashes where ``StimulusType`` does not.

    Parameters
    ----------
    path : path
        The file.
    picks : sequence of str or None
        Channels; None for all.
    source : str or None
        State with the codes; None for ``StimulusCode``.
    unit : {"uV", "mV", "V", "AD"} or None
        Unit of the samples after offset and gain; None for what ``SourceChGain`` says, or µV.
    ch_names : sequence of str or None
        Names of all channels; None for ``ChannelNames``.
    **meaning
        What the codes mean, as for :func:`p300.readers.mne_raw.read_raw`. With ``targets`` or
        ``codes``, ``StimulusType`` is not used; with ``characters``, ``n_repetitions``,
        ``pause_s`` or ``starts``, ``PhaseInSequence`` is not.

    Returns
    -------
    Recording
        One segment.

    Raises
    ------
    InputError
        If the file is damaged, has no sampling rate, or no flash.
    """
    path = Path(path)
    given = Given(**{"name": path.stem, **meaning})
    header = read_header(path)
    sfreq = _rate(header, path.name)
    names, notes = _names(header, ch_names, path.name)
    rows = picked(names, picks, path.name)
    signal, unit, said = _signal(path, header, rows, unit)
    notes += said
    if header.n_odd_bytes:
        notes.append(f"The last {header.n_odd_bytes} bytes are no whole sample: is the end lost?")
    events, given, said = _events(header, path, sfreq, source, given)
    understood = given.understand(events.labels)
    if not understood.is_flash.any():
        raise no_flash(given, f"codes: {counted(events.labels)}", events.labels)
    stretches = Stretches([signal], np.zeros(1), np.array([sfreq]))
    chosen = [names[k] for k in rows]
    return make_recording(
        stretches, chosen, sfreq, unit, events, understood, given, [*notes, *said]
    )


def contents(path: Path) -> str:
    """Describe a file: channels, rate, states that show flashes, text and screen."""
    header = read_header(path)
    sfreq = _rate(header, path.name)
    names, _ = _names(header, None, path.name)
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    kind = f"BCI2000 {header.version or 'before 1.1'}"
    lines = [f"{kind}\n  {header.n_samples / sfreq:.1f} s at {sfreq:g} Hz"]
    lines.append(f"  {len(names)} channels ({header.frame['signal'].base}): {shown}")
    shown_states = ("StimulusCode", "StimulusType", "PhaseInSequence")
    for name, value in read_states(shown_states, header, path).items():
        (starts,) = find_onsets(value.astype(int))
        lines.append(f"  state {name} becomes: {counted(value[starts].tolist(), 24)}")
    lines.append(f"  all states: {listed(list(header.states), 40)}")
    if text := "".join(header.parameters.get("TextToSpell", [])):
        lines.append(f"  TextToSpell: {text!r}")
    for _, screen, _ in screens_of(header)[:1]:
        lines.append(f"  screen: {screen.name}, {''.join(screen.symbols)}")
    return "\n".join(lines)


def _rate(header: Header, where: str) -> float:
    numbers, written = header.numbers("SamplingRate"), header.parameters.get("SamplingRate", [""])
    rate = numbers[0] * (1000 if "khz" in str(written[0]).lower() else 1) if numbers else 0.0
    if not 0 < rate < 1e6:
        raise InputError(f"{where}: got SamplingRate={written}; expected a rate in Hz")
    return rate


def _names(header: Header, given: Sequence[str] | None, where: str) -> tuple[list[str], list[str]]:
    """Return the names of all channels, and what was guessed."""
    n_chans = header.frame["signal"].shape[0]
    found = header.parameters.get("ChannelNames", [])
    if len(found) == n_chans and all(found):
        return named(found, given, where), []
    numbered = [f"E{k + 1}" for k in range(n_chans)]
    note = f"The file names {len(found)} of {n_chans} channels: they are E1 to E{n_chans}; "
    notes = [] if given is not None else [f"{note}set ch_names."]
    return named(numbered, given, where), notes


def _signal(
    path: Path, header: Header, rows: Sequence[int], unit: str | None
) -> tuple[np.ndarray, str, list[str]]:
    """Read the picked channels with offset and gain, piece by piece; their unit; notes."""
    n_chans, notes = header.frame["signal"].shape[0], []
    gain, offset = (header.numbers(f"SourceCh{what}") for what in ("Gain", "Offset"))
    units = {_unit_of(value) for value in header.parameters.get("SourceChGain", [])}
    if len(gain) != n_chans:
        gain, found = [1.0] * n_chans, "AD"
        notes.append("SourceChGain has not one value per channel: samples are in A/D steps.")
    elif len(units) > 1 or not units <= set(UNITS):
        raise InputError(
            f"{path.name}: got SourceChGain in {len(units)} units; expected one for all channels"
        )
    else:
        found = units.pop()
        notes.append(f"Samples are in {found} by SourceChOffset and SourceChGain.")
    if len(offset) != n_chans:
        offset = [0.0] * n_chans
    scale, zero = (np.array(values)[list(rows)] for values in (gain, offset))
    if not np.isfinite([scale, zero]).all() or not scale.all():
        raise InputError(
            f"{path.name}: got a SourceChGain of 0, or one that is not finite; expected others"
        )
    check_size(path, 4.0 * len(rows) * header.n_samples)
    signal = np.empty((len(rows), header.n_samples), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the integrity checks find infinity
        for start, frames in read_frames(header, path):
            piece = frames["signal"][:, list(rows)]
            signal[:, start : start + len(frames)] = ((piece - zero) * scale).T
    return signal, found if unit is None else check_unit(unit, path.name), notes


def _unit_of(gain: str) -> str:
    """Return the unit of a gain; without one, µV."""
    written = re.sub(r"^[-+\d.]+(?:[eE][-+]?\d+)?", "", str(gain)).strip().lower()
    return WRITTEN_UNITS.get(written, written) if written else "uV"


def _events(
    header: Header, path: Path, sfreq: float, source: str | None, given: Given
) -> tuple[Events, Given, list[str]]:
    """Find the flashes with code, class and character; complete what the user says."""
    where, name = given.name, source or "StimulusCode"
    if name not in header.states:
        raise InputError(
            f"{where}: got no state {name}; expected one with the codes of flashes among "
            f"{listed(list(header.states), 40)}; set source to its name"
        )
    states = read_states((name, "Flashing", "StimulusType", "PhaseInSequence"), header, path)
    flashing = states.get("Flashing")
    is_used = flashing is not None and flashing.any()
    (samples,) = find_onsets(states[name].astype(np.int64), flashing if is_used else None)
    codes = states[name][samples].tolist()
    notes = [f"Flashes come from the state {name}" + (" while Flashing." if is_used else ".")]
    labels: list = codes
    is_target: np.ndarray | None = None
    if "StimulusType" in states and given.targets is None and given.codes is None:
        is_target = states["StimulusType"][samples] != 0
        if is_target.any():
            kinds = np.where(is_target, "target", "nontarget").tolist()
            labels = [f"{kind}/{code}" for kind, code in zip(kinds, codes, strict=True)]
            notes.append("Classes come from the state StimulusType.")
        else:
            is_target = None
            notes.append("StimulusType is 0 at every flash: it tells no class.")
    character = _characters(states.get("PhaseInSequence"), samples)
    shown = Shown(np.asarray(codes, int), is_target, character)
    given, said = with_screen(header, given, shown)
    notes += said
    extras: list[dict] = [{}] * len(samples)
    divided = any(v is not None for v in (given.characters, given.n_repetitions, given.pause_s))
    if given.speller is not None and not divided and not given.starts:
        if character is None:
            notes.append("PhaseInSequence does not divide the flashes into characters.")
        else:
            extras = [{"character": int(k)} for k in character]
            notes.append(f"PhaseInSequence divides the flashes into {character[-1]} characters.")
    given, said = with_text(header, given, shown)
    return Events(samples / sfreq, labels, extras), given, [*notes, *said]


def _characters(phase: np.ndarray | None, samples: np.ndarray) -> np.ndarray | None:
    """Count the characters from 1, runs of one phase; None if some flashes are outside."""
    if phase is None or not len(samples) or (phase[samples] != FLASHING).any():
        return None
    begins = np.flatnonzero((phase == FLASHING) & (np.diff(phase.astype(int), prepend=0) != 0))
    _, number = np.unique(np.searchsorted(begins, samples, side="right"), return_inverse=True)
    return number + 1
