"""Any recording by the name of its file: one, several, or a pattern.

:mod:`p300.readers.formats` has the formats. Each file is a run.
"""

from __future__ import annotations

import dataclasses
import filecmp
import glob
import itertools
import os
import warnings
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from p300.errors import InputError
from p300.readers._files import natural
from p300.readers._names import likely_pattern, name_of, parts_of
from p300.readers.events.absent import warn_once
from p300.readers.events.keys import label_list
from p300.readers.formats import format_of
from p300.recording import Recording, concatenate_recordings
from p300.speller import WADSWORTH, Speller

#: Files of a format that name the others of the same recording.
COMPANIONS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}

#: Ends of names that are no recordings, in a folder of them; tables are, if nothing else is.
OTHER = (".txt", ".md", ".json", ".tsv", ".csv", ".pdf", ".png", ".html", ".log", ".xml", ".yaml")


@warn_once
def read(
    path: str | Path | Sequence[str | Path],
    *,
    pattern: str | None = None,
    targets: Mapping[Any, bool | None] | None = None,
    codes: Mapping[Any, int | None] | None = None,
    ignore: Collection[Hashable] = (),
    source: str | None = None,
    markers: str | int | Sequence[str | int] | None = None,
    stream: str | int | None = None,
    keys: Mapping[str, Any] | None = None,
    sfreq: float | None = None,
    unit: str | None = None,
    ch_names: Sequence[str] | None = None,
    with_date: bool | None = None,
    speller: Any = None,
    text: str | Sequence[str | None] | None = None,
    characters: int | None = None,
    n_repetitions: int | None = None,
    pause_s: float | None = None,
    starts: Collection[Hashable] = (),
    picks: Any = None,
    offset_s: float = 0.0,
    subject: str | None = None,
    session: str | None = None,
    name: str | None = None,
) -> Recording:
    """Read a recording from one file or several.

    Parameters
    ----------
    path : path or sequence of path
        A file, files, a pattern with ``*``, or a folder of files.
    pattern : str or None
        Where the names of files tell subject, session and run, such as
        ``"sub-{subject}_ses-{session}_run-{run}"``. Without it, all files are of one subject
        and session, and runs count from 1 in the order of the names.
    targets, codes, ignore, characters, n_repetitions, pause_s, starts, offset_s
        What the events mean, as for :func:`p300.readers.mne_raw.read_raw`.
    source, markers, stream, keys, sfreq, unit, ch_names, with_date
        Where a format leaves open where its EEG and its flashes are; its module in
        :mod:`p300.readers.formats` documents those that it takes.
    speller : str, Speller, mapping, sequence of str, or None
        The screen: "wadsworth", the rows of a matrix (["ABC", "DEF"]; columns have the codes
        1…n, rows those after; the other way round as {"rows_first": ["ABC", "DEF"]}), a mapping
        of code to symbols, or None for an oddball.
    text : str, sequence of str or None, or None
        The wanted symbols of unlabelled flashes; one text per file.
    picks : sequence of str or None
        Channels; None for all EEG channels. Of a table also numbers of columns, from 1.
    subject, session : str or None
        For the flash table, where ``pattern`` does not tell.
    name : str or None
        Name of the recording; None for that of the file, or of their folder if there are several.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If there is no such file, two are copies, one cannot be read, or its events are not
        understood.
    """
    paths = find(path)
    _check_copies(paths)
    texts = texts_of(text, [file.name for file in paths])
    screen = as_speller(speller)
    of_format: dict[str, Any] = {
        "source": source,
        "markers": markers,
        "stream": stream,
        "keys": keys,
    }
    of_format |= {"sfreq": sfreq, "unit": unit, "ch_names": ch_names, "with_date": with_date}
    said_of_format = {name: value for name, value in of_format.items() if value is not None}
    recordings: list[Recording] = []
    counts: dict[tuple, int] = {}
    for file, words in zip(paths, texts, strict=True):
        said = parts_of(file, pattern)
        labels = {
            "subject": said.get("subject", subject or "1"),
            "session": said.get("session", session or "1"),
        }
        place = (labels["subject"], labels["session"])
        counts[place] = counts.get(place, 0) + 1
        meaning = {
            "targets": _plain(targets),
            "codes": _plain(codes),
            "ignore": label_list(ignore),
            "speller": screen,
            "text": words,
            "characters": characters,
            "n_repetitions": n_repetitions,
            "pause_s": pause_s,
            "starts": label_list(starts),
            "offset_s": offset_s,
            "run": said.get("run", counts[place]),
            "name": file.name,
            **labels,
        }
        module = format_of(file)
        if untaken := sorted(set(said_of_format) - set(module.TAKES)):
            raise InputError(
                f"{file.name}: got {', '.join(untaken)}; expected for its format nothing but "
                f"{', '.join(module.TAKES)}; leave out data.{untaken[0]}"
            )
        one = module.read(file, picks=picks, **said_of_format, **meaning)
        if len(paths) > 1:
            run = ", ".join(f"{what} {meaning[what]}" for what in ("subject", "session", "run"))
            notes = [f"{file.name}: {note}" for note in (f"{run}.", *one.notes)]
            one = dataclasses.replace(one, notes=notes)
        recordings.append(one)
    if len(paths) > 1 and pattern is None and (likely := likely_pattern(paths)):
        sentence = (
            f"The names of {len(paths)} files seem to tell {likely}, and all are read as one "
            f"subject and session; if they do, set pattern={likely!r} "
            f"(\"data.pattern='{likely}'\")."
        )
        warnings.warn(sentence, UserWarning, stacklevel=2)
    return concatenate_recordings(recordings, name=name or name_of(paths))


def find(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """Find the files of a recording, in the order of their names.

    Raises
    ------
    InputError
        If there is none.
    """
    if path is None:
        raise InputError("got no file; expected one; set data.path=FILE, or type p300 check FILE")
    if not isinstance(path, str | Path):
        return [file for one in path for file in find(one)]
    path = Path(path).expanduser()
    # os.path: a name that is too long for a file is an error to Path, not absent
    if os.path.isdir(path) and path.suffix.lower() not in (".mff", ".ds"):
        inside = sorted((p for p in path.iterdir() if not p.name.startswith(".")), key=natural)
        found = [p for p in inside if p.suffix.lower() not in (*OTHER, *COMPANIONS) and p.suffix]
        found = found or [p for p in inside if p.suffix.lower() == ".csv"]
    elif os.path.exists(path):
        found = [path.with_suffix(COMPANIONS.get(path.suffix.lower(), path.suffix))]
    else:
        found = sorted(map(Path, glob.glob(str(path), recursive=True)), key=natural)
        found = [p for p in found if p.suffix.lower() not in COMPANIONS]
    if not found:
        raise InputError(
            f"There is no recording {str(path)!r}; expected a file, a folder or a pattern."
        )
    return found


def contents(path: str | Path | Sequence[str | Path]) -> str:
    """Describe what files hold, whatever their events mean: format, channels, rate, labels.

    Raises
    ------
    InputError
        If there is no such file, or one cannot be read.
    """
    return "\n".join(f"{file.name}: {format_of(file).contents(file)}" for file in find(path))


def as_speller(value: Any) -> Speller | None:
    """Build a screen from what a configuration says of it.

    Raises
    ------
    InputError
        If it is none of the forms.

    Examples
    --------
    >>> as_speller(["AB", "CD"]).codes_of("D")
    (2, 4)
    >>> as_speller({"rows_first": ["ABC", "DEF"]}).codes_of("C")
    (1, 5)
    >>> as_speller({1: "A", 2: "B"}).symbols
    ('A', 'B')
    """
    if value is None or isinstance(value, Speller):
        return value
    if isinstance(value, str) and value.lower() == "wadsworth":
        return WADSWORTH
    if isinstance(value, Mapping) and list(value) == ["rows_first"]:
        rows = [list(map(str, row)) for row in value["rows_first"]]
        return Speller.matrix(rows, "rows first", rows_first=True)
    if isinstance(value, Mapping):
        groups = {int(code): list(map(str, lit)) for code, lit in value.items()}
        return Speller(list(dict.fromkeys(s for lit in groups.values() for s in lit)), groups)
    if not isinstance(value, str) and isinstance(value, Sequence) and value:
        return Speller.matrix([list(map(str, row)) for row in value])
    raise InputError(
        f"got speller={value!r}; expected wadsworth, the rows of a matrix such as [ABC,DEF] or "
        "{rows_first: [ABC,DEF]}, or a mapping of codes to symbols"
    )


def _plain(mapping: Mapping | None) -> dict | None:
    return None if mapping is None else dict(mapping)


def texts_of(text: str | Sequence[str | None] | None, names: Sequence[str]) -> list[str | None]:
    """Return the text of each file, by their names; None for one whose text is not given.

    Raises
    ------
    InputError
        If there are more texts than files, or fewer.

    Examples
    --------
    >>> texts_of(None, ["a.edf"]), texts_of(["HI", None], ["a.edf", "b.edf"])
    ([None], ['HI', None])
    """
    if text is None:
        return [None] * len(names)
    texts = [text] if isinstance(text, str | int | float) else list(text)
    if len(texts) != len(names):
        raise InputError(
            f"got {len(texts)} texts for {len(names)} files; expected one text per file, "
            f"in the order {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"
        )
    return [None if one is None else str(one) for one in texts]


def _check_copies(paths: Sequence[Path]) -> None:
    """Refuse two files with the same bytes."""
    by_size: dict[int, list[Path]] = {}
    for path in paths:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    for alike in by_size.values():
        for first, second in itertools.combinations(alike, 2):
            if filecmp.cmp(first, second, shallow=False):
                raise InputError(
                    f"got {first.name} and {second.name}, which are copies of one another; "
                    "expected every recording once; leave out one of them"
                )
