"""Electrodes and their positions on the head, from MNE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mne


def standard_montage() -> mne.channels.DigMontage:
    """Return MNE's positions of the 10-05 system (Colin 27 head), in any version of MNE."""
    import mne

    # renamed in MNE 1.13: the old name warns there, the new one is unknown in older versions
    known = mne.channels.get_builtin_montages()
    kind = "colin27_1005" if "colin27_1005" in known else "standard_1005"
    return mne.channels.make_standard_montage(kind)


def make_info(ch_names: Sequence[str], sfreq: float) -> mne.Info:
    """Build MNE's Info of EEG channels, with positions for names of the 10-05 system."""
    import mne

    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    info.set_montage(standard_montage(), match_case=False, on_missing="ignore", verbose="error")
    return info
