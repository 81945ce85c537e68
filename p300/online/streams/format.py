"""The format of an EEG stream, and the conversion to the unit of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.recording import UNITS

#: Names that streams use for the units of :data:`p300.recording.UNITS`, in lower case.
UNIT_NAMES = {
    "uV": ("-6", "microvolt", "microvolts", "uv", "µv", "μv"),  # both signs for micro
    "mV": ("-3", "millivolt", "millivolts", "mv"),
    "V": ("0", "volt", "volts", "v"),
    "AD": ("ad", "count", "counts", "arbitrary", "none"),
}


@dataclass(frozen=True)
class StreamFormat:
    """The name, channels, units and rate of an EEG stream.

    Parameters
    ----------
    name : str
        Of the stream.
    ch_names : sequence of str
        In its order.
    units : sequence of str or None
        One of :data:`p300.recording.UNITS` per channel; None where the stream names no known one.
    sfreq : float
        Nominal rate in Hz.
    """

    name: str
    ch_names: Sequence[str]
    units: Sequence[str | None]
    sfreq: float

    def gain_to(self, preprocessor) -> np.ndarray:
        """Compute the factors that convert samples to the unit of the preprocessor.

        Returns
        -------
        ndarray, shape (n_chans,)

        Raises
        ------
        InputError
            If the rate differs, or the unit of a channel that the preprocessor reads is unknown
            or cannot be converted.
        """
        if abs(self.sfreq - preprocessor.sfreq_in_) > 1e-6 * self.sfreq:
            raise InputError(
                f"stream {self.name!r} has {self.sfreq:g} Hz; expected {preprocessor.sfreq_in_:g}"
                " Hz, the rate of the detector's recording"
            )
        wanted = preprocessor.unit_
        used = {c.strip(". ").lower() for c in preprocessor.ch_names_in_}
        gain = np.ones(len(self.ch_names))
        for k, (name, unit) in enumerate(zip(self.ch_names, self.units, strict=True)):
            if unit == wanted or name.strip(". ").lower() not in used:
                continue
            if unit is None:
                raise InputError(
                    f"stream {self.name!r} names no known unit for {name}; expected one such as "
                    f"'microvolts', or eeg.unit=uV ({', '.join(UNITS)})"
                )
            found, expected = UNITS[unit], UNITS[wanted]
            if found is None or expected is None:
                raise InputError(
                    f"stream {self.name!r} gives {name} in {unit}; expected {wanted}, the unit of "
                    "the detector's recording (AD: amplifier steps of unknown size)"
                )
            gain[k] = round(found / expected, 9)
        return gain

    def check_same(self, other: StreamFormat) -> None:
        """Check that a stream that came back is the one that went away.

        Raises
        ------
        InputError
            If name, rate, channels, their order or their units differ; the first difference.
        """
        changes = [("name", self.name, other.name), ("rate in Hz", self.sfreq, other.sfreq)]
        changes.append(("number of channels", len(self.ch_names), len(other.ch_names)))
        for what, ours, theirs in (
            ("channel", self.ch_names, other.ch_names),
            ("unit of channel", self.units, other.units),
        ):
            pairs = enumerate(zip(ours, theirs, strict=False), start=1)
            changes += [(f"{what} {k}", before, now) for k, (before, now) in pairs]
        for what, before, now in changes:
            if before != now:
                raise InputError(
                    f"stream {self.name!r} came back as another one: got {what} {now!r}; expected "
                    f"{before!r}, as when the session began; begin a new session"
                )


def describe_stream(info, ch_names: Sequence[str] | None, unit: str | None) -> StreamFormat:
    """Read the format of an EEG stream from its description.

    Parameters
    ----------
    info : mne_lsl.lsl.StreamInfo
        The description, complete.
    ch_names, unit
        What is set by hand and counts instead; None for what the stream says.

    Raises
    ------
    InputError
        If it is no stream of numbers at a fixed rate, or does not name its channels.
    """
    if info.sfreq <= 0 or info.dtype == "string":
        raise InputError(
            f"stream {info.name!r} is no EEG: its rate is {info.sfreq:g} Hz; expected numbers at "
            "a fixed rate"
        )
    names: Any = ch_names or info.get_channel_names() or []
    if None in names or len(names) != info.n_channels:
        raise InputError(
            f"stream {info.name!r} names {len(names)} of its {info.n_channels} channels; "
            "expected all, or eeg.ch_names=[…]"
        )
    said = info.get_channel_units() or [None] * len(names)
    units = tuple(unit or unit_of(text) for text in said)
    return StreamFormat(info.name, tuple(names), units, info.sfreq)


def unit_of(text: str | None) -> str | None:
    """Find the unit that a stream names; return None for an unknown name.

    Examples
    --------
    >>> unit_of("microvolts"), unit_of("-6"), unit_of(None)
    ('uV', 'uV', None)
    """
    plain = (text or "").strip().lower()
    return next((unit for unit, names in UNIT_NAMES.items() if plain in names), None)


def check_detector(detector) -> None:
    """Check that a detector can spell live.

    Raises
    ------
    InputError
        If it has no speller or no likelihood.
    """
    for what in ("speller", "likelihood"):
        if getattr(detector, what) is None:
            raise InputError(
                f"the detector has no {what}; expected one trained on a spelled recording"
            )
