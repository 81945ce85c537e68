"""Electrodes and their places on the head, as MNE knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mne


def standard_montage() -> mne.channels.DigMontage:
    """Return MNE's places of the 10-05 system (Colin 27 head), by the name this MNE gives it."""
    import mne

    # renamed in MNE 1.13; the old name warns there, the new one is unknown before
    known = mne.channels.get_builtin_montages()
    kind = "colin27_1005" if "colin27_1005" in known else "standard_1005"
    return mne.channels.make_standard_montage(kind)


def make_info(ch_names: Sequence[str], sfreq: float) -> mne.Info:
    """Describe EEG channels to MNE, with the places that the 10-05 system knows."""
    import mne

    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    info.set_montage(standard_montage(), match_case=False, on_missing="ignore", verbose="error")
    return info
