"""A recording as a data set of MOABB, which keeps what was flashed (extra ``moabb``).

MOABB's own data sets and paradigms know target and nontarget. With those of this module, the
metadata of its epochs hold the flash table, so that an evaluation keeps characters whole and
counts letters (:func:`p300.spelling.letter_scorer`). :mod:`p300.readers.moabb` reads such a data
set back, as it reads MOABB's own.

MOABB is imported when one of the functions is called.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Sequence
from typing import Any

from p300.errors import InputError
from p300.flashes import FLASH_COLUMNS
from p300.readers.mne_raw import to_raw
from p300.recording import Recording, concatenate_recordings

#: MOABB's numbers of the two classes.
EVENTS = {"NonTarget": 1, "Target": 2}

#: What a data set may tell of a flash beside its label.
TOLD = ("run", "character", "repetition", "code")


def as_dataset(
    recordings: Recording | Sequence[Recording],
    *,
    window_s: tuple[float, float] = (0.0, 1.0),
    volts_per_unit: float | None = None,
) -> Any:
    """Return one or more recordings as a data set of MOABB.

    Parameters
    ----------
    recordings : Recording or sequence of Recording
        Of one or several subjects, with the same channels and rate.
    window_s : (float, float)
        The largest interval around a flash, in seconds, that epochs will be cut to. Flashes
        whose interval does not lie in their segment are left out, as MOABB does.
    volts_per_unit : float or None
        Volts per unit of the samples; required if the unit is "AD".

    Returns
    -------
    moabb.datasets.base.BaseDataset
        Its subjects are numbers: those that name them in the recording, else 1, 2, …. Sessions
        and runs have MOABB's names; each segment is a run. ``get_additional_metadata`` returns
        the flash table, and ``speller`` is the screen.

    Raises
    ------
    InputError
        If MOABB is not installed, the size of the unit is unknown, or no flash is left.

    Warns
    -----
    UserWarning
        If flashes are left out, for want of a label or because they do not fit.
    """
    several = [recordings] if isinstance(recordings, Recording) else list(recordings)
    recording = concatenate_recordings(several)
    start, stop = window_s
    fits = recording.fits(start, stop + 1.5 / recording.sfreq)  # the last sample is in MNE's epoch
    has_label = recording.flashes["is_target"].notna().to_numpy()
    for rows, why in ((~has_label, "have no label"), (has_label & ~fits, "reach past an end")):
        if rows.any():
            warnings.warn(
                f"{recording.name}: {rows.sum()} of {len(rows)} flashes {why} and are left out.",
                UserWarning,
                stacklevel=2,
            )
    if not (fits & has_label).any():
        raise InputError(
            f"{recording.name}: got no labelled flash with [{start:g}, {stop:g}] s of EEG around "
            "it; expected at least one; set window_s"
        )
    return _classes()[0](recording.select(fits & has_label), window_s, volts_per_unit)


def spelling_paradigm(**options: Any) -> Any:
    """Return MOABB's P300 paradigm, whose metadata hold the flash table of :func:`as_dataset`.

    Parameters
    ----------
    **options
        Those of ``moabb.paradigms.P300``: ``fmin``, ``fmax``, ``tmin``, ``tmax``, ``resample``,
        ``scorer``, ….

    Returns
    -------
    moabb.paradigms.P300
        Pass ``groups=["run", "character"]`` and a ``cv_class`` such as ``GroupKFold`` to an
        evaluation within sessions, so that no character is on both sides.

    Raises
    ------
    InputError
        If MOABB is not installed.
    """
    return _classes()[1](**options)


@functools.cache
def _classes() -> tuple[Any, Any]:
    """Define the data set and the paradigm, on MOABB's base classes."""
    try:
        from moabb.datasets.base import BaseDataset
        from moabb.paradigms import P300
    except ImportError as error:
        raise InputError(
            f"MOABB is needed for its data sets: pip install 'p300[moabb]' ({error})."
        ) from error

    class RecordingDataset(BaseDataset):
        """A recording as a data set of MOABB."""

        def __init__(self, recording, window_s, volts_per_unit):
            self.recording, self.speller = recording, recording.speller
            self.window_s, self.volts_per_unit = window_s, volts_per_unit
            self.places = _places(recording)
            name = re.sub(r"[^A-Za-z0-9]+", "-", recording.name).strip("-")
            super().__init__(
                subjects=list(self.places),
                sessions_per_subject=min(map(len, self.places.values())),
                events=dict(EVENTS),
                # of its content, since MOABB keeps results by code
                code=f"RecordingDataset-{name}-{recording.checksum[:8]}",
                interval=[0, window_s[1]],
                paradigm="p300",
            )

        def data_path(
            self, subject, path=None, force_update=False, update_path=None, verbose=None
        ):
            """Return no path: the recording is in memory."""
            return []

        def get_additional_metadata(self, subject, session, run):
            """Return the flash table of a run, with MOABB's numbers and names."""
            rows = self.places[subject][session][run]
            table = self.recording.flashes.loc[rows].reset_index(drop=True)
            return table.assign(subject=subject, session=session)

        def _get_single_subject_data(self, subject):
            return {
                session: {run: self._raw(rows) for run, rows in runs.items()}
                for session, runs in self.places[subject].items()
            }

        def _raw(self, rows):
            import mne

            part = self.recording.select(rows)
            (raw,) = to_raw(part, volts_per_unit=self.volts_per_unit)
            names = ["Target" if label else "NonTarget" for label in part.flashes["is_target"]]
            return raw.set_annotations(mne.Annotations(part.flashes["onset"], 0.0, names))

    class SpellingParadigm(P300):
        """MOABB's paradigm, with the flash table as metadata."""

        def get_data(self, dataset, *args, additional_metadata="all", **options):
            """Return epochs, labels and the flash table."""
            start, stop = getattr(dataset, "window_s", (0.0, 0.0))
            last = stop if self.tmax is None else self.tmax
            if self.tmin < start or last > stop or start == stop:
                raise InputError(
                    f"got epochs of [{self.tmin:g}, {last}] s of {dataset.code}; expected a "
                    "data set of as_dataset whose window_s holds them"
                )
            wanted = {"additional_metadata": additional_metadata, **options}
            X, y, table = super().get_data(dataset, *args, **wanted)
            if len(table) != len(y):
                raise InputError(
                    f"{dataset.code}: MOABB cut {len(y)} epochs of {len(table)} flashes; expected "
                    "all of them; set reject_by_annotation=False, or leave bad flashes out before"
                )
            return X, y, table

    return RecordingDataset, SpellingParadigm


def _places(recording: Recording) -> dict[int, dict[str, dict[str, list[int]]]]:
    """Find the rows of each subject, session and run, under MOABB's numbers and names."""
    flashes, subjects = recording.flashes, list(recording.subjects)
    is_number = all(name.isdecimal() for name in subjects)
    numbers = {name: int(name) if is_number else 1 + k for k, name in enumerate(subjects)}
    places: dict[int, dict[str, dict[str, list[int]]]] = {}
    for subject, own in flashes.groupby("subject", sort=False):
        names = list(own["session"].unique())
        plain = all(name.isdecimal() for name in names)
        sessions = places.setdefault(numbers[str(subject)], {})
        for k, name in enumerate(names):
            text = re.sub(r"[^A-Za-z0-9]", "", name)
            key = name if plain else f"{k}{text if text[:1].isalpha() else f's{text}'}"
            table = own[own["session"] == name]
            groups = table.groupby(["run", "segment"], sort=False, dropna=False).groups
            runs = [run for run, _ in groups]
            is_run = len(set(runs)) == len(runs)
            sessions[key] = {
                str(run if is_run else j): list(rows)
                for j, (run, rows) in enumerate(zip(runs, groups.values(), strict=True))
            }
    return places


def table_of_run(dataset: Any, subject: int, session: str, run: str, n_flashes: int) -> dict:
    """Return what a data set tells of the flashes of a run beside their label.

    Returns
    -------
    dict
        Of the columns :data:`TOLD` those that it has; empty if it has another number of flashes.
    """
    found = getattr(dataset, "get_additional_metadata", lambda *_: None)(subject, session, run)
    if found is None or len(found) != n_flashes:
        return {}
    import pandas as pd

    columns = {name: found[name].to_numpy(object) for name in TOLD if name in found}
    numbers = {k: pd.to_numeric(pd.Series(v), errors="coerce") for k, v in columns.items()}
    return {k: v.astype(FLASH_COLUMNS[k]) for k, v in numbers.items() if v.notna().any()}
