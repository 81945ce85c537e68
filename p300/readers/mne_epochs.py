"""Conversion of MNE Epochs to and from plain arrays and a flash table; helpers for Raw.

MNE keeps EEG in volts and marks flashes by events. Here EEG is in µV and the flash table holds
the rest. MNE is imported when one of the functions is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.electrodes import make_info
from p300.errors import InputError
from p300.flashes import FLASH_COLUMNS, LIT, flash_table
from p300.readers.events.absent import warn_of_absent
from p300.readers.events.labels import understand
from p300.recording import UNITS

if TYPE_CHECKING:
    import mne
    import pandas as pd


#: Event numbers of epochs converted to MNE; "flash" where the label is not known.
EVENT_ID = {"nontarget": 1, "target": 2, "flash": 3}


def read_epochs(
    epochs: mne.BaseEpochs,
    *,
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
    is_target: Any = None,
) -> dict:
    """Convert MNE Epochs to plain arrays and a flash table.

    The flash table comes from ``metadata``; missing columns are <NA>. If ``is_target`` and
    ``code`` are missing, they come from the events' names, such as ``"target/7"`` or
    ``"NonTarget"``.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        In volts; EEG channels that are not marked bad are read.
    targets, codes : mapping or None
        What the events' names mean, as for :func:`p300.readers.mne_raw.read_raw`.
    is_target : array-like, shape (n_flashes,), or None
        Labels that are known, or None of each; the events' names are then not read.

    Returns
    -------
    dict
        ``data`` (float32 in µV, shape (n_flashes, n_chans, n_times)), ``flashes``, ``ch_names``,
        ``sfreq``, ``tmin`` and ``unit``: the arguments of :func:`to_epochs`.

    Raises
    ------
    InputError
        If there is no EEG channel, some names are understood and others not, or a column of the
        metadata cannot be read.

    Warns
    -----
    UserWarning
        If no name is understood and no column tells the label.
    """
    picked = eeg_picks(epochs, "eeg", "mne epochs")
    names = {number: label for label, number in epochs.event_id.items()}
    labels = [names[number] for number in epochs.events[:, 2]]
    columns: dict[str, Any] = {"onset": epochs.events[:, 0] / epochs.info["sfreq"]}
    table = epochs.metadata
    if table is not None:
        columns |= {c: table[c].to_list() for c in (*FLASH_COLUMNS, LIT) if c in table}
    if is_target is not None:
        columns["is_target"] = list(is_target)
    if not {"code", "is_target"} & set(columns):
        where = "mne epochs"
        targets, codes = (_by_name(given, epochs.event_id) for given in (targets, codes))
        found = understand(labels, targets=targets, codes=codes, where=where)
        columns["code"] = [m and m.code for m in found.meanings]
        columns["is_target"] = [m.is_target if m else None for m in found.meanings]
        for sentence in found.left:
            warnings.warn(
                f"{where}: {sentence} Their epochs have no label; set targets.",
                UserWarning,
                stacklevel=2,
            )
        warn_of_absent(found.absent, where)
    return {
        "data": (epochs.get_data(picks=picked, verbose="error") * 1e6).astype(np.float32),
        "flashes": flash_table(**columns),
        "ch_names": tuple(epochs.ch_names[k] for k in picked),
        "sfreq": float(epochs.info["sfreq"]),
        "tmin": float(epochs.tmin),
        "unit": "uV",
    }


def _by_name(
    mapping: Mapping[Any, Any] | None, event_id: Mapping[str, int]
) -> dict[Any, Any] | None:
    """Replace keys that are event numbers by the names of these events."""
    if mapping is None:
        return None
    names = {number: name for name, number in event_id.items()}
    return {key if key in event_id else names.get(key, key): v for key, v in mapping.items()}


def to_epochs(
    data: np.ndarray,
    flashes: pd.DataFrame,
    ch_names: Sequence[str],
    sfreq: float,
    tmin: float,
    unit: str = "uV",
    *,
    volts_per_unit: float | None = None,
) -> mne.EpochsArray:
    """Convert epochs to MNE, in volts, with the flash table as ``metadata``.

    Parameters
    ----------
    data : ndarray, shape (n_flashes, n_chans, n_times)
        In ``unit``.
    flashes : DataFrame
        The flash table, one row per epoch.
    ch_names : sequence of str
        The channels in order; names of the 10-05 system get their positions.
    sfreq : float
        Samples per second.
    tmin : float
        Seconds from the flash to the first sample.
    unit : str
        Unit of ``data``.
    volts_per_unit : float or None
        Volts per unit of ``data``; required for units of unknown size in volts ("AD", "sd").

    Returns
    -------
    mne.EpochsArray
        Events "nontarget" (1), "target" (2), or "flash" (3) where the label is not known.

    Raises
    ------
    InputError
        If the size of the unit in volts is unknown.

    Examples
    --------
    >>> flashes = flash_table(onset=[0.0, 0.2], code=[1, 7], is_target=[True, False])
    >>> to_epochs(np.zeros((2, 1, 78)), flashes, ["Cz"], 120, 0.0)["target"].get_data().shape
    (1, 1, 78)
    """
    import mne

    volts = volts_per(unit, volts_per_unit, "epochs")
    numbers = np.array([EVENT_ID[kind] for kind in kinds(flashes["is_target"])], int)
    # MNE requires distinct event samples: where onsets of several segments or runs coincide,
    # they count epochs, and metadata has the true onset
    samples = np.round(np.nan_to_num(flashes["onset"].to_numpy(float)) * sfreq).astype(int)
    if len(np.unique(samples)) < len(samples) or (np.diff(samples) < 0).any():
        samples = np.arange(len(numbers))
    events = np.column_stack([samples, np.zeros_like(numbers), numbers])
    return mne.EpochsArray(
        data * volts,
        make_info(ch_names, sfreq),
        events=events,
        event_id={kind: number for kind, number in EVENT_ID.items() if number in numbers},
        tmin=tmin,
        metadata=flashes.reset_index(drop=True),
        verbose="error",
    )


def volts_per(unit: str, volts_per_unit: float | None, where: str) -> float:
    """Return the volts per unit; InputError if they are unknown and not given."""
    volts = volts_per_unit or UNITS.get(unit)
    if volts is None:
        raise InputError(
            f"{where}: got unit {unit!r}; expected one of known size in volts, for MNE; set "
            "volts_per_unit."
        )
    return volts


def eeg_picks(inst: mne.io.BaseRaw | mne.BaseEpochs, picks: Any, name: str) -> np.ndarray:
    """Find the indices of the picked EEG channels, in any form in which MNE takes picks."""
    import mne

    eeg = [inst.ch_names[k] for k in mne.pick_types(inst.info, eeg=True, exclude=())]
    if isinstance(picks, slice):
        picks = inst.ch_names[picks]
    elif isinstance(picks, str):
        picks = [picks]
    if picks is None or list(picks) in (["eeg"], ["all"]):
        chosen = mne.pick_types(inst.info, eeg=True, exclude="bads")
    else:
        by_index = dict(enumerate(inst.ch_names))
        names = [by_index.get(int(p), p) if isinstance(p, int | np.integer) else p for p in picks]
        missing = [c for c in names if c not in inst.ch_names]
        other = [c for c in names if c not in missing and c not in eeg]
        if missing or other:
            raise InputError(
                f"{name}: channels {missing} do not exist and {other} are not EEG; expected some "
                f"of the {len(eeg)} EEG channels {', '.join(eeg)}."
            )
        chosen = np.array([inst.ch_names.index(c) for c in names], int)
    if not len(chosen):
        kinds = ", ".join(sorted(set(inst.get_channel_types())))
        raise InputError(
            f"{name}: got no usable EEG channel among {len(inst.ch_names)} (types: {kinds}; bad: "
            f"{', '.join(inst.info['bads']) or 'none'}); expected at least one."
        )
    return chosen


def kinds(is_target: pd.Series) -> list[str]:
    """Return the name of each flash's event: target, nontarget, or flash if unlabelled."""
    names = {None: "flash", True: "target", False: "nontarget"}
    return [names[label] for label in plain(is_target)]


def plain(column: pd.Series) -> list:
    """List a column's values as Python objects, None for <NA>."""
    return column.to_numpy(object, na_value=None).tolist()
