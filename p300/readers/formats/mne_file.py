"""Files that MNE reads: EDF, BDF, GDF, BrainVision, EEGLAB, FIF, CNT, MFF and more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.readers.events.edf_gaps import read_discontinuous
from p300.readers.formats._segments import picked
from p300.recording import Recording

TAKES = ("source", "with_date")


def read(
    path: str | Path,
    *,
    picks: Any = None,
    source: str | None = None,
    with_date: bool = False,
    **meaning: Any,
) -> Recording:
    """Read a file with MNE.

    Parameters
    ----------
    path : path
        The file.
    picks : str, sequence of str, or None
        Channels, also of other types; None for all EEG channels.
    source, with_date : str or None, bool
        Where flashes come from, and whether the date of the measurement is kept, as for
        :func:`p300.readers.mne_raw.read_raw`.
    **meaning
        What the events mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If the file cannot be read, or its events are not understood.
    """
    from p300.readers.mne_raw import read_raw

    path = Path(path)
    # MNE warns of truncated files and of marks behind the end; those of EDF+D are read later
    raw = _open(path, verbose="warning" if read_discontinuous(path) is None else "error")
    if picks is not None:
        picks = [raw.ch_names[k] for k in picked(raw.ch_names, picks, path.name)]
        raw.set_channel_types(
            dict.fromkeys(picks, "eeg"), on_unit_change="ignore", verbose="error"
        )
    try:
        return read_raw(raw, picks=picks, source=source, with_date=with_date, **meaning)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # of MNE, where the file ends early
        raise InputError(f"{path.name} is damaged: {error}; expected the whole file") from error


def contents(path: Path) -> str:
    """Describe a file: its format, channels, rate and labels."""
    from p300.readers.events.sources import contents as of_raw

    raw = _open(path)
    kind = type(raw).__name__.removeprefix("Raw") or "FIF"
    return f"{kind}, read by MNE\n{of_raw(raw)}"


def _open(path: Path, verbose: str = "error") -> Any:
    """Open a file with MNE, without reading its signal."""
    import mne

    try:
        return mne.io.read_raw(path, preload=False, verbose=verbose)
    except Exception as error:  # of any kind: the file is somebody else's
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path.name} cannot be read: {reason} (MNE); expected EDF, BDF, GDF, BrainVision "
            "(.vhdr), EEGLAB (.set), FIF, CNT, MFF, XDF, BCI2000 (.dat), OpenViBE (.ov), a table "
            "(.csv, .tsv) or arrays (.npz, .h5)"
        ) from error
