"""Epochs: the EEG around every flash, cut from filtered segments."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from p300.errors import InputError
from p300.flashes import FLASH_COLUMNS
from p300.recording import check_alike
from p300.storage.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import mne
    import pandas as pd
    from numpy.typing import ArrayLike

    from p300.speller import Speller


#: What a file of :meth:`Epochs.save` says of itself.
FORMAT = "p300 epochs 1"


@dataclass(frozen=True, eq=False, repr=False)
class Epochs:
    """EEG around every flash, the flash table, and what both mean.

    Parameters
    ----------
    data : ndarray of float32, shape (n_flashes, n_chans, n_times)
        In ``unit``; row ``i`` belongs to row ``i`` of ``flashes``.
    flashes : DataFrame
        The flash table, see :mod:`p300.flashes`.
    ch_names : tuple of str
        The channels, in order.
    sfreq : float
        Samples per second.
    tmin : float
        Seconds from the flash to the first sample.
    unit : {"uV", "AD", "sd"}
        Unit of ``data``; "sd" for scaled data without a unit.
    speller : Speller or None
        The screen.
    name : str
        The data set.
    is_rejected : ndarray of bool, shape (n_flashes,), or None
        Whether each epoch exceeds ``reject_uv``; rejected epochs stay in ``data``. None if this
        was not checked.
    """

    data: np.ndarray
    flashes: pd.DataFrame
    ch_names: tuple[str, ...]
    sfreq: float
    tmin: float = 0.0
    unit: str = "uV"
    speller: Speller | None = None
    name: str = "epochs"
    is_rejected: np.ndarray | None = None

    def __repr__(self) -> str:
        n_flashes, n_chans, n_times = self.data.shape
        return (
            f"<Epochs of {self.name}: {n_flashes} flashes, {n_chans} channels, {n_times} samples "
            f"from {self.tmin:g} s at {self.sfreq:g} Hz, {self.unit}>"
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Any) -> Epochs:
        """Return some of the epochs.

        Parameters
        ----------
        rows : int, slice, or array-like of bool or int
            As for an array; a mask may be a column of the flash table. A Series counts by its
            place, so one with another index than the flash table is refused.

        Raises
        ------
        InputError
            If a mask has another length, or a Series another index.

        Examples
        --------
        >>> from p300.simulation import simulate_recording
        >>> recording = simulate_recording("P3", n_repetitions=2)
        >>> from p300.preprocessing import Preprocessor
        >>> epochs = Preprocessor().fit(recording).epochs(recording)
        >>> len(epochs), len(epochs[epochs.flashes["is_target"]]), len(epochs[:10])
        (48, 8, 10)
        """
        if not isinstance(rows, slice):
            self._check_rows(rows)
            rows = np.atleast_1d(np.asarray(rows))
            rows = rows if rows.dtype.kind in "iu" else rows.astype(bool)
        places = np.arange(len(self.data))[rows]
        return replace(
            self,
            data=self.data[rows],
            flashes=self.flashes.iloc[places].reset_index(drop=True),
            is_rejected=None if self.is_rejected is None else self.is_rejected[rows],
        )

    def _check_rows(self, rows: Any) -> None:
        """Refuse a mask that does not belong to these epochs."""
        index = getattr(rows, "index", None)
        is_mask = np.asarray(rows).dtype.kind in "bO"
        if is_mask and np.size(rows) not in (1, len(self)):
            raise InputError(
                f"{self.name}: got a mask of {np.size(rows)} values for {len(self)} epochs; "
                "expected one per epoch"
            )
        if is_mask and index is not None and not index.equals(self.flashes.index):
            raise InputError(
                f"{self.name}: got a Series whose index ({list(index[:3])}, …) is not that of the "
                f"flash table ({list(self.flashes.index[:3])}, …); expected the same; pass its "
                "to_numpy() to count by place"
            )

    def save(self, path: str | Path) -> None:
        """Write the epochs to one file (``.npz``), whole or not at all; :meth:`load` reads it.

        Raises
        ------
        InputError
            If its folder does not exist.
        """
        about = {
            "format": FORMAT,
            "ch_names": list(self.ch_names),
            "sfreq": self.sfreq,
            "tmin": self.tmin,
            "unit": self.unit,
            "speller": None if self.speller is None else self.speller.to_dict(),
            "name": self.name,
            "flashes": self.flashes.to_csv(index=False),
        }
        arrays: dict[str, Any] = {"data": np.asarray(self.data, np.float32)}
        if self.is_rejected is not None:
            arrays["is_rejected"] = np.asarray(self.is_rejected, bool)
        with atomic_write(Path(path), "wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Epochs:
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises
        ------
        InputError
            If the file is another one, or damaged.
        """
        import pandas as pd

        from p300.speller import Speller

        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                if about["format"] != FORMAT:
                    raise ValueError(f"its format is {about['format']!r}")
                flashes = pd.read_csv(io.StringIO(about["flashes"]), dtype=FLASH_COLUMNS)
                speller = about["speller"] and Speller.from_dict(about["speller"])
                return cls(
                    data=file["data"],
                    flashes=flashes,
                    ch_names=tuple(about["ch_names"]),
                    sfreq=about["sfreq"],
                    tmin=about["tmin"],
                    unit=about["unit"],
                    speller=speller,
                    name=about["name"],
                    is_rejected=file["is_rejected"] if "is_rejected" in file else None,
                )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise InputError(f"{path} holds no epochs of p300: {error}") from error

    @property
    def times(self) -> np.ndarray:
        """Seconds from the flash, one per sample."""
        return self.tmin + np.arange(self.data.shape[2]) / self.sfreq

    def to_mne(self, *, volts_per_unit: float | None = None) -> mne.EpochsArray:
        """Convert to MNE epochs, in volts, with the flash table as metadata.

        Parameters
        ----------
        volts_per_unit : float or None
            Size of one unit of ``data`` in volts; needed if the unit is not µV.

        Returns
        -------
        mne.EpochsArray
            Electrodes have the positions of their 10-5 names. Events are "target" (2),
            "nontarget" (1), or "flash" (3) if the label is not known.

        Raises
        ------
        InputError
            If the data have no physical unit and ``volts_per_unit`` is not given.
        """
        from p300.readers.mne_epochs import to_epochs

        meaning = self.flashes, self.ch_names, self.sfreq, self.tmin, self.unit
        return to_epochs(self.data, *meaning, volts_per_unit=volts_per_unit)


def concatenate_epochs(several: Sequence[Epochs], name: str | None = None) -> Epochs:
    """Concatenate epochs of the same channels, rate, interval and unit.

    Parameters
    ----------
    several : sequence of Epochs
        At least one.
    name : str or None
        Name of the whole; None for that of the first.

    Raises
    ------
    InputError
        If they differ in what an epoch means.
    """
    import pandas as pd

    if not several:
        raise InputError("got no epochs to concatenate; expected at least one")
    first = several[0]
    for other in several:
        check_alike(first, other, ("ch_names", "sfreq", "tmin", "unit", "speller"))
        if other.data.shape[1:] != first.data.shape[1:]:
            raise InputError(
                f"{other.name} has epochs of {other.data.shape[1:]}, {first.name} of "
                f"{first.data.shape[1:]}; expected the same channels and samples"
            )
    checked = [epochs.is_rejected for epochs in several if epochs.is_rejected is not None]
    return replace(
        first,
        data=np.concatenate([epochs.data for epochs in several]),
        flashes=pd.concat([epochs.flashes for epochs in several], ignore_index=True),
        name=name or first.name,
        is_rejected=np.concatenate(checked) if len(checked) == len(several) else None,
    )


def epochs_from_mne(
    epochs: mne.BaseEpochs,
    *,
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
    is_target: ArrayLike | None = None,
    speller: Speller | None = None,
    name: str = "mne epochs",
) -> Epochs:
    """Convert epochs that MNE has cut, and filtered before cutting.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        Its good EEG channels are used. The flash table comes from ``metadata``; a column that
        is missing there comes from the event names
        (:func:`p300.readers.mne_epochs.read_epochs`).
    targets, codes : mapping or None
        What the event names mean, where they are not "target", "NonTarget" or numbers.
    is_target : array_like, shape (n_flashes,), or None
        Labels that are known, or None of each; the event names are then not read.
    speller : Speller or None
        The screen.
    name : str
        For messages.

    Returns
    -------
    Epochs
        In µV.
    """
    from p300.readers.mne_epochs import read_epochs

    read = read_epochs(epochs, targets=targets, codes=codes, is_target=is_target)
    return Epochs(**read, speller=speller, name=name)
