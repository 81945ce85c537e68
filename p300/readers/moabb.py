"""Any P300 data set that MOABB knows, by name (extra ``moabb``).

MOABB labels flashes as target or nontarget. Most of its data sets do not keep which symbol was
wanted, so there are no characters to spell; those that :func:`as_dataset` makes of a recording do.
Cite MOABB and the paper of the data set.

Source: https://moabb.neurotechx.com.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import chosen
from p300.readers.events.absent import warn_once
from p300.readers.events.words import parse_label, plain_label
from p300.readers.mne_raw import read_raw
from p300.readers.moabb_dataset import TOLD, table_of_run
from p300.readers.moabb_dataset import as_dataset as as_dataset
from p300.readers.moabb_dataset import spelling_paradigm as spelling_paradigm
from p300.recording import Recording, concatenate_recordings


@warn_once
def read(
    dataset: str | Any,
    subject: int | str | Sequence[int] = 1,
    *,
    picks: str | Sequence[str] = "eeg",
) -> Recording:
    """Read subjects of a P300 data set through MOABB, which downloads missing files.

    Parameters
    ----------
    dataset : str or moabb dataset
        A class name such as "BNCI2015_003", or an instance.
    subject : int, sequence of int, or "all"
        Subject numbers of MOABB.
    picks : "eeg" or sequence of str
        Channels.

    Returns
    -------
    Recording
        In µV. ``session`` is MOABB's name, ``run`` the number in MOABB's run name ("0train"
        and "run_0" are 0). One segment per run, or more if time is not continuous. Codes
        are 1 (nontarget) and 2 (target); character and repetition are <NA>. Where the additional
        metadata of the data set have these columns, they are taken from there.

    Raises
    ------
    InputError
        If MOABB is not installed, does not know the data set or the subject, or the data set is
        not a P300 data set.
    """
    import pandas as pd

    dataset = _find_dataset(dataset) if isinstance(dataset, str) else dataset
    targets = _targets(dataset)
    subjects = [int(s) for s in chosen(subject, dataset.subject_list)]
    unknown = [s for s in subjects if s not in dataset.subject_list]
    if unknown or not subjects:
        raise InputError(
            f"{dataset.code} has no subjects {unknown}; expected some of "
            f"{list(dataset.subject_list)}."
        )
    try:
        data = dataset.get_data(subjects)
    except OSError as error:  # requests and pooch raise kinds of it
        raise InputError(
            f"MOABB could not get {dataset.code}, subjects {subjects}: {error}. Check the "
            "network; files on disk are expected in the folder MNE_DATA."
        ) from error
    codes = {number: 1 + is_target for number, is_target in targets.items()}
    recordings, tables = [], []
    for number, session, run, raw in (
        (number, session, run, raw)
        for number, sessions in data.items()
        for session, runs in sessions.items()
        for run, raw in runs.items()
    ):
        where = f"{dataset.code}, subject {number}, session {session}, run {run}"
        events = _events(dataset, raw)
        if not len(events):
            warnings.warn(f"{where} has no event and is left out.", UserWarning, stacklevel=2)
            continue
        recording = read_raw(
            raw,
            events=events,
            targets=targets,
            codes=codes,
            picks=picks,
            subject=str(number),
            session=str(session),
            run=run,
            name=where,
        )
        told = table_of_run(dataset, number, session, run, len(recording.flashes))
        recordings.append(recording)
        tables.append(recording.flashes[list(TOLD)].assign(**told))
    if not recordings:
        raise InputError(f"{dataset.code}: no run has an event; expected flashes.")
    whole = concatenate_recordings(recordings, name=dataset.code)
    flashes = whole.flashes.assign(**pd.concat(tables, ignore_index=True))
    return replace(whole, flashes=flashes, speller=getattr(dataset, "speller", None))


def _find_dataset(name: str) -> Any:
    try:
        import moabb.datasets as known
    except ImportError as error:
        raise InputError(
            f"MOABB is needed for the data set {name!r}: pip install 'p300[moabb]' ({error})."
        ) from error
    kind = getattr(known, name, None)
    if not isinstance(kind, type):
        like = difflib.get_close_matches(name, dir(known), n=3, cutoff=0.5)
        raise InputError(
            f"MOABB has no data set {name!r}; similar names: {', '.join(like) or 'none'}. All "
            "are listed at https://moabb.neurotechx.com/docs/dataset_summary.html."
        )
    return kind()


def _targets(dataset: Any) -> dict[int, bool]:
    """Map event numbers to whether they are targets; a class may have several numbers."""
    targets = {
        int(number): meaning.is_target
        for name, numbers in dataset.event_id.items()
        if (meaning := parse_label(name)) is not None and meaning.is_target is not None
        for number in np.atleast_1d(numbers)
    }
    if dataset.paradigm != "p300" or len(set(targets.values())) != 2:
        raise InputError(
            f"{dataset.code} is a data set of paradigm {dataset.paradigm!r} with the events "
            f"{', '.join(dataset.event_id)}; expected 'p300' with Target and NonTarget."
        )
    return targets


def _events(dataset: Any, raw: Any) -> np.ndarray:
    """Find the events as MOABB itself does: stimulus channels before annotations."""
    import mne

    if "stim" in raw.get_channel_types():
        return mne.find_events(raw, shortest_event=0, initial_event=True, verbose="error")
    labels = sorted(set(map(str, raw.annotations.description)))
    event_id = {
        label: number for label in labels if (number := _number(label, dataset)) is not None
    }
    if not labels:
        return np.zeros((0, 3), int)
    if not event_id:
        found = ", ".join(labels[:12]) or "none"
        raise InputError(
            f"{dataset.code}: a run of {raw.times[-1]:.0f} s has no event of "
            f"{', '.join(dataset.event_id)} (annotations: {found}) and no stimulus channel; "
            "expected the data set's own events."
        )
    events, _ = mne.events_from_annotations(raw, event_id=event_id, verbose="error")
    # MOABB moves annotations to the start of its epochs
    events[:, 0] -= int(dataset.interval[0] * raw.info["sfreq"])
    return events


def _number(label: str, dataset: Any) -> int | None:
    """Return an annotation's event number: of its name or number, or else of its class."""
    plain = plain_label(label)
    meaning = parse_label(label)
    same_class = None
    for name, numbers in dataset.event_id.items():
        one, *others = map(int, np.atleast_1d(numbers))
        if plain == plain_label(name) or plain in map(str, (one, *others)):
            return int(plain) if plain.isdigit() else one
        of_name = parse_label(name)
        if meaning and of_name and meaning.is_target is not None:
            same_class = one if of_name.is_target == meaning.is_target else same_class
    return same_class
