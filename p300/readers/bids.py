"""BIDS data sets, read with their events (extra ``bids``); :mod:`p300.readers.write` writes them.

Source: https://bids-specification.readthedocs.io (EEG, task events), files by mne-bids,
https://mne.tools/mne-bids.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.proposals import OPEN, Proposal
from p300.readers._files import listed, natural
from p300.readers.events.absent import warn_once
from p300.readers.events.build import agreed_screen
from p300.readers.events.tsv import Marked, read_events
from p300.readers.file import as_speller, texts_of
from p300.readers.mne_raw import read_raw
from p300.recording import Recording, concatenate_recordings
from p300.speller import Speller

#: Where the screen stands: a key of the column ``code`` in ``events.json``.
SCREEN = "Screen"

#: Arguments that say what labels mean.
OF_LABELS = {"targets", "codes", "ignore"}

#: What a description states where nobody wrote one.
UNSPECIFIED = re.compile(r"\W*(n/?a|none|unspecified\d*|todo\b.*)?\W*", re.IGNORECASE)


@warn_once
def read(
    root: str | Path,
    *,
    task: str | None = None,
    subject: str | Sequence[str] | None = None,
    session: str | Sequence[str] | None = None,
    run: str | Sequence[str] | None = None,
    columns: Mapping[str, str | None] | None = None,
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
    picks: Any = None,
    speller: Any = None,
    text: str | Sequence[str | None] | None = None,
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
        with its name there.
    targets, codes : mapping or None
        What labels mean, as for :func:`p300.readers.mne_raw.read_raw`; or what the values of the
        columns ``is_target`` and ``code`` mean, where they are no numbers, or words with several
        readings.
    picks : sequence of str or None
        Channels; None for all EEG channels.
    speller : str, Speller, mapping, sequence of str, or None
        The screen, as for :func:`p300.readers.file.read`; None for that of ``events.json``, if
        p300 wrote it.
    text : str, sequence of str or None, or None
        The wanted symbols of unlabelled flashes; one text per file, in the order of their names,
        None for a file whose flashes have labels.
    **meaning
        What the events mean: ``ignore``, ``characters``, ``n_repetitions``, ``pause_s``,
        ``starts``, ``offset_s`` and ``with_date``, as for
        :func:`p300.readers.mne_raw.read_raw`.

    Returns
    -------
    Recording
        A run per file, with the subject and session of its name.

    Raises
    ------
    InputError
        If mne-bids is not installed, no file fits, the events are not understood, or they state
        another screen, other labels or other characters than are given.
    """
    bids = mne_bids()
    root = Path(root).expanduser()
    paths = _find(bids, root, task, subject, session, run)
    texts = texts_of(text, [path.basename for path in paths])
    screen, cite = as_speller(speller), _citation(root)
    given = {role: name for role, name in (columns or {}).items() if name is not None}
    recordings = []
    for k, (path, wanted) in enumerate(zip(paths, texts, strict=True)):
        with quietly():
            try:
                raw = bids.read_raw_bids(path, verbose="error")
            except Exception as error:  # of any kind: the file is somebody else's
                reason = " ".join(str(error).split())[:300]
                raise InputError(f"{path.basename} cannot be read: {reason} (mne-bids)") from error
        events = path.copy().update(suffix="events", extension=".tsv").fpath
        marked = Marked(raw.annotations, targets, codes, "There is no events.tsv.", "")
        if events.exists() or given:
            marked = read_events(events, given, targets, codes)
        raw.set_annotations(marked.annotations)
        with _naming_columns(marked):
            one = read_raw(
                raw,
                targets=marked.targets,
                codes=marked.codes,
                picks=picks,
                speller=agreed_screen(screen, _screen_of(path), path.basename),
                text=wanted,
                subject=path.subject,
                session=path.session or "1",
                run=path.run or k + 1,
                name=path.basename,
                **meaning,
            )
        notes = [f"{path.basename}: {note}" for note in (marked.said, *one.notes)]
        about = {**cite, **_about(path), **one.about}
        recordings.append(dataclasses.replace(one, notes=notes, about=about))
    return concatenate_recordings(recordings, name=root.resolve().name)


@contextlib.contextmanager
def _naming_columns(marked: Marked) -> Iterator[None]:
    """Say in an error about labels which columns have them, and which others there are."""
    try:
        yield
    except InputError as error:
        if not marked.others or not OF_LABELS & {one.name for one in error.proposals}:
            raise
        label = Proposal("columns.label", OPEN)
        raise InputError(
            f"{str(error).rstrip('.')}. {marked.said} Others are {marked.others}; choose one by "
            f"{label}.",
            [*error.proposals, label],
        ) from error


def _citation(root: Path) -> dict[str, str]:
    """Return what the description of a data set asks to cite, if it does."""
    try:
        content = json.loads((root / "dataset_description.json").read_text("utf-8-sig"))
        said = [content.get(key) for key in ("HowToAcknowledge", "Name", "DatasetDOI")]
    except (OSError, ValueError, AttributeError):
        return {}
    texts = [" ".join(one.split()).rstrip(".") for one in said if isinstance(one, str)]
    known = [one for one in texts if not UNSPECIFIED.fullmatch(one)]
    known = [one for k, one in enumerate(known) if not any(one in first for first in known[:k])]
    return {"cite": "; ".join(known)} if known else {}


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
        known = {k: sorted({getattr(p, k[:-1]) for p in every} - {None}) for k in wanted}
        have = "; ".join(f"{k}: {listed(v)}" for k, v in known.items() if v)
        chosen = ", ".join(f"{k[:-1]} {' or '.join(v)}" for k, v in asked.items())
        raise InputError(
            f"{root}: got no EEG of {chosen or 'any subject'}; expected some of "
            f"{have or ', '.join(extensions)}"
        )
    if len(tasks := sorted({path.task for path in paths})) > 1:
        one = Proposal("task", tasks[0])
        raise InputError(
            f"{root}: got the tasks {listed(tasks)}; expected one; set it, such as {one}", [one]
        )
    return sorted(paths, key=lambda path: natural(path.basename))


def _labels(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(v) for v in _as_list(value)]


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, Sequence) else [value]


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
