"""The format of an EEG stream, and the conversion to the unit of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    units : sequence of str
        One of :data:`p300.recording.UNITS` per channel.
    sfreq : float
        Nominal rate in Hz.
    """

    name: str
    ch_names: Sequence[str]
    units: Sequence[str]
    sfreq: float

    def gain_to(self, preprocessor) -> np.ndarray:
        """Compute the factors that convert samples to the unit of the preprocessor.

        Returns
        -------
        ndarray, shape (n_chans,)

        Raises
        ------
        InputError
            If the rate differs, or a unit cannot be converted.
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
            found, expected = UNITS[unit], UNITS[wanted]
            if found is None or expected is None:
                raise InputError(
                    f"stream {self.name!r} gives {name} in {unit}; expected {wanted}, the unit of "
                    "the detector's recording (AD: amplifier steps of unknown size)"
                )
            gain[k] = round(found / expected, 9)
        return gain


def unit_of(text: str | None) -> str | None:
    """Find the unit that a stream names; return None for an unknown name.

    Examples
    --------
    >>> unit_of("microvolts"), unit_of("-6"), unit_of(None)
    ('uV', 'uV', None)
    """
    plain = (text or "").strip().lower()
    return next((unit for unit, names in UNIT_NAMES.items() if plain in names), None)
