"""BIDS data sets, read with their events (extra ``bids``); :mod:`p300.readers.write` writes them.

Source: https://bids-specification.readthedocs.io (EEG, task events), files by mne-bids,
https://mne.tools/mne-bids.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.flashes import LIT, as_labels
from p300.readers._files import listed, natural
from p300.readers.events.absent import warn_once
from p300.readers.mne_raw import read_raw
from p300.recording import Recording, concatenate_recordings
from p300.speller import Speller

if TYPE_CHECKING:
    import mne

#: Where the screen stands: a key of the column ``code`` in ``events.json``.
SCREEN = "Screen"


@warn_once
def read(
    root: str | Path,
    *,
    task: str | None = None,
    subject: str | Sequence[str] | None = None,
    session: str | Sequence[str] | None = None,
    run: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    picks: Any = None,
    speller: Speller | None = None,
    **meaning: Any,
) -> Recording:
    """Read the EEG of a BIDS data set with the flashes of its ``events.tsv`` files.

    Parameters
    ----------
    root : path
        The folder with ``dataset_description.json``.
    task : str or None
        The task; None for the only one.
    subject, session, run : str, sequence of str, or None
        Labels as in the names of the files, such as "01"; None or "all" for all.
    columns : mapping of str to str, or None
        Columns of ``events.tsv`` with other names: ``label`` (instead of ``trial_type``
        or ``value``), ``code``, ``is_target``, ``character``, ``repetition`` or ``lit``, each
        with its name there. ``is_target`` holds words or numbers with one meaning.
    picks : sequence of str or None
        Channels; None for all EEG channels.
    speller : Speller or None
        The screen; None for that of ``events.json``, if p300 wrote it.
    **meaning
        What the events mean, as for :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        A run per file, with the subject and session of its name.

    Raises
    ------
    InputError
        If mne-bids is not installed, no file fits, or the events are not understood.
    """
    bids = mne_bids()
    root = Path(root).expanduser()
    paths = _find(bids, root, task, subject, session, run)
    recordings = []
    for k, path in enumerate(paths):
        with quietly():
            try:
                raw = bids.read_raw_bids(path, verbose="error")
            except Exception as error:  # of any kind: the file is somebody else's
                reason = " ".join(str(error).split())[:300]
                raise InputError(f"{path.basename} cannot be read: {reason} (mne-bids)") from error
        screen = speller or _screen_of(path)
        source = _set_events(raw, path, columns or {})
        one = read_raw(
            raw,
            picks=picks,
            speller=screen,
            subject=path.subject,
            session=path.session or "1",
            run=path.run or k + 1,
            name=path.basename,
            **meaning,
        )
        first = f"Labels are those of the column {source!r} of events.tsv."
        notes = [f"{path.basename}: {note}" for note in (first, *one.notes)]
        about = {**_about(path), **one.about}
        recordings.append(dataclasses.replace(one, notes=notes, about=about))
    return concatenate_recordings(recordings, name=root.resolve().name)


def _about(path: Any) -> dict[str, str]:
    """Return the reference that the file beside the EEG states, if it does."""
    try:
        content = json.loads(path.copy().update(extension=".json").fpath.read_text("utf-8"))
        reference = str(content["EEGReference"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {} if reference.lower() in ("n/a", "") else {"reference": reference}


def _find(bids: Any, root: Path, task: Any, subject: Any, session: Any, run: Any) -> list[Any]:
    """Find the EEG files of a data set that are asked for."""
    if not (root / "dataset_description.json").exists():
        raise InputError(
            f"{root}: got no dataset_description.json in it; expected the root of a BIDS data set"
        )
    wanted = {"subjects": subject, "sessions": session, "tasks": task, "runs": run}
    asked = {k: _labels(v) for k, v in wanted.items() if v is not None and v != "all"}
    extensions = [".vhdr", ".edf", ".bdf", ".set", ".fif"]
    how: dict[str, Any] = {"datatypes": "eeg", "suffixes": "eeg", "extensions": extensions}
    with quietly():
        every = bids.find_matching_paths(root, **how)
        paths = bids.find_matching_paths(root, **how, **asked) if asked else every
    if not paths:
        known = {k: sorted({str(getattr(p, k[:-1])) for p in every}) for k in wanted}
        have = "; ".join(f"{k}: {listed(v)}" for k, v in known.items())
        raise InputError(
            f"{root}: got no EEG of {asked or 'any subject'}; expected some of {have}"
        )
    if len(tasks := sorted({path.task for path in paths})) > 1:
        raise InputError(f"{root}: got the tasks {listed(tasks)}; expected one; set task")
    return sorted(paths, key=lambda path: natural(path.basename))


def _labels(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(v) for v in _as_list(value)]


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, Sequence) else [value]


def _set_events(raw: mne.io.BaseRaw, path: Any, columns: Mapping[str, str]) -> str:
    """Set the annotations of a Raw from the columns of ``events.tsv``; say which has the labels.

    Raises
    ------
    InputError
        If a column does not exist, or holds no numbers where it should.
    """
    import mne
    import pandas as pd

    where = path.basename
    known = ("label", "code", "is_target", "character", "repetition", LIT)
    columns = {name: column for name, column in columns.items() if column is not None}
    if unknown := sorted(set(columns) - set(known)):
        raise InputError(f"{where}: got columns {unknown}; expected some of {list(known)}")
    file = path.copy().update(suffix="events", extension=".tsv").fpath
    if not file.exists():
        return "none: there is no events.tsv; those of the file itself"
    try:
        table = pd.read_csv(
            file, sep="\t", dtype=str, keep_default_na=False, na_values=["n/a", ""]
        )
        table["onset"] = table["onset"].astype(float)
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{file.name} cannot be read: {reason}") from error
    if missing := sorted(set(columns.values()) - set(table)):
        raise InputError(
            f"{where}: got columns {missing}, which events.tsv does not have; expected some of "
            f"{listed(sorted(table))}"
        )
    table = table[table["onset"].notna()].reset_index(drop=True)
    usual = next((name for name in ("trial_type", "value") if name in table), None)
    source = columns.get("label", usual)
    labels = table[source] if source else pd.Series("event", table.index)
    if "is_target" in columns:
        source = columns["is_target"]
        found = as_labels(table[source], f"{where}: {source}")
        labels = found.map({True: "target", False: "nontarget"}).astype(object).fillna(labels)
    labels = labels.fillna("n/a").astype(str)
    if "code" in columns:
        codes = table[columns["code"]].str.replace(r"\.0+$", "", regex=True)
        joined = labels.str.split("/").str[0] + "/" + codes.fillna("")
        labels = joined.where(codes.notna(), labels)
    kept = {name: columns.get(name, name) for name in ("character", "repetition", LIT)}
    kept = {name: column for name, column in kept.items() if column in table}
    extras = table[list(kept.values())].astype(object).where(table.notna(), None)
    rows = extras.set_axis(list(kept), axis=1).to_dict("records")
    duration = pd.to_numeric(table.get("duration", 0.0), errors="coerce")
    duration = pd.Series(duration, table.index).fillna(0.0)
    raw.set_annotations(mne.Annotations(table["onset"], duration, list(labels), extras=rows))
    return str(source)


def _screen_of(path: Any) -> Speller | None:
    """Return the screen that p300 wrote beside a file, if it did."""
    file = path.copy().update(suffix="events", extension=".json").fpath
    try:
        return Speller.from_dict(json.loads(file.read_text("utf-8"))["code"][SCREEN])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence warnings of mne-bids on what BIDS recommends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def mne_bids() -> Any:
    """Return the package mne-bids.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import mne_bids
    except ImportError as error:
        raise InputError(
            f"mne-bids is needed for BIDS: pip install 'p300[bids]' ({error})."
        ) from error
    return mne_bids
