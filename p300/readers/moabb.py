"""Any P300 data set that MOABB knows, by name (extra ``moabb``).

MOABB labels flashes as target or nontarget. It does not keep which symbol was wanted, so there
are no characters to spell. Cite MOABB and the paper of the data set.

Source: https://moabb.neurotechx.com.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.readers._files import chosen
from p300.readers.mne_epochs import is_target_of
from p300.readers.mne_raw import read_raw
from p300.recording import Recording, concatenate_recordings


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
        In µV. ``session`` is MOABB's name, ``run`` the number at the start of MOABB's run name
        ("0train" is 0). One segment per run, or more if time is not continuous. Codes
        are 1 (nontarget) and 2 (target); character and repetition are <NA>.

    Raises
    ------
    InputError
        If MOABB is not installed, does not know the data set or the subject, or the data set is
        not a P300 data set.
    """
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
    recordings = [
        read_raw(
            raw,
            events=_events(dataset, raw),
            targets=targets,
            codes=codes,
            picks=picks,
            subject=str(number),
            session=str(session),
            run=_run_number(run),
            name=f"{dataset.code}, subject {number}, session {session}, run {run}",
        )
        for number, sessions in data.items()
        for session, runs in sessions.items()
        for run, raw in runs.items()
    ]
    return concatenate_recordings(recordings, name=dataset.code)


def _run_number(name: Any) -> int:
    if not (found := re.match(r"\d+", str(name))):
        raise InputError(f"got run {name!r}; expected a name that begins with a number.")
    return int(found.group())


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
        int(number): is_target
        for name, numbers in dataset.event_id.items()
        if (is_target := is_target_of(name, None)) is not None
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
    events, _ = mne.events_from_annotations(raw, event_id=dataset.event_id, verbose="error")
    # MOABB moves annotations to the start of its epochs
    events[:, 0] -= int(dataset.interval[0] * raw.info["sfreq"])
    return events
