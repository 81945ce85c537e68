"""EPFL: six images flash one at a time; four people with disabilities and four without.

A run is one MATLAB file below ``subject1/session1``, of which a person attended to one image. It
holds ``data`` (34 channels, samples; µV, at the end zeros), ``events`` (the time of each flash as
year, month, day, hour, minute, second), ``stimuli`` (the image, 1 to 6), ``target`` (the image
that was attended to) and ``targets_counted`` (how often the person saw it). The first flash is
0.4 s behind the first sample, as in the owners' program.

The signal is referred to the mean of both mastoids, as the owners do, because BioSemi's amplifiers
record without a reference. Subject 5 was never published. The order of the images is that of the
paper's text; which number each has was not verified.

Source: Hoffmann et al. (2008), An efficient P300-based brain-computer interface for disabled
subjects, J Neurosci Methods 167:115; http://documents.epfl.ch/groups/m/mm/mmspg/www/BCI/p300/
(subject1.zip …, readme.pdf); MOABB's reader, https://github.com/NeuroTechX/moabb
(moabb/datasets/epfl.py).
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from p300.errors import InputError
from p300.flashes import flash_table
from p300.readers._files import chosen, load_variables, require_numbers, to_single
from p300.readers.events.numbering import number_repetitions
from p300.recording import Recording, concatenate_recordings
from p300.speller import Speller

SFREQ = 2048.0

#: Seconds from the first sample to the first flash.
FIRST_S = 0.4

#: The electrodes in file order; two channels of the mastoids follow.
CH_NAMES = tuple(
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 "
    "F8 AF4 Fp2 Fz Cz".split()
)

IMAGES = Speller.single_keys(
    ["television", "telephone", "lamp", "door", "window", "radio"], name="six images"
)

SOURCE = (
    "Expected folders such as subject1/session1 with MATLAB files of the EPFL P300 data set, from "
    "http://documents.epfl.ch/groups/m/mm/mmspg/www/BCI/p300/ (see data/README.md)."
)


def read(
    root: str | Path,
    subject: int | str | Sequence[int] = 1,
    *,
    session: int | str | Sequence[int] = "all",
) -> Recording:
    """Read subjects of the EPFL P300 data set.

    A subject is about 370 MB in memory; :func:`p300.preprocessing.resample_recording` makes it
    smaller.

    Parameters
    ----------
    root : path
        Folder of the folders ``subject1`` …
    subject, session : int, sequence of int, or "all"
        Numbers in the folder names.

    Returns
    -------
    Recording
        In µV, referred to the mastoids. One segment per run. Each run is one character: the image
        that was attended to. ``run`` counts from 1, by the time in the file names.

    Raises
    ------
    InputError
        If a folder is missing, or a file is damaged or of another layout.
    """
    root = Path(root)
    recordings = []
    for number in chosen(subject, _numbers(root, "subject")):
        folder = root / f"subject{number}"
        for part in chosen(session, _numbers(folder, "session")):
            paths = sorted((folder / f"session{part}").glob("*.mat"))
            if not paths:
                raise InputError(
                    f"There is no MATLAB file in {folder / f'session{part}'}. {SOURCE}"
                )
            labels = {"subject": str(number), "session": str(part)}
            recordings += [_read_run(p, labels | {"run": k}) for k, p in enumerate(paths, start=1)]
    if not recordings:
        raise InputError(f"There is no session of subject {subject} in {root}. {SOURCE}")
    return concatenate_recordings(recordings, name="epfl")


def _numbers(folder: Path, name: str) -> list[int]:
    found = (re.fullmatch(rf"{name}(\d+)", path.name) for path in folder.glob(f"{name}*"))
    return sorted(int(match[1]) for match in found if match)


def _read_run(path: Path, labels: dict[str, Any]) -> Recording:
    names = ("data", "events", "stimuli", "target")
    variables = load_variables(path, SOURCE, names)
    for name in names:
        require_numbers(path, name, variables[name], finite=name != "data")
    data, stimuli = variables["data"], variables["stimuli"].ravel()
    if data.ndim != 2 or len(data) != len(CH_NAMES) + 2:
        raise InputError(
            f"{path.name}: data has shape {data.shape}; expected {len(CH_NAMES)} channels and two "
            "of the mastoids."
        )
    target = variables["target"].ravel().tolist()
    is_image = np.isin(stimuli, IMAGES.codes)
    if (
        len(target) != 1
        or target[0] not in IMAGES.codes
        or not is_image.all()
        or not is_image.size
    ):
        raise InputError(
            f"{path.name}: {int((~is_image).sum())} of {len(stimuli)} stimuli, or the target "
            f"{target[:3]}, are no image; expected flashes of images 1 to {len(IMAGES.codes)}."
        )
    onset = FIRST_S + _seconds(path, variables["events"], len(stimuli))
    is_silent = (data == 0).all(axis=0)
    stop = data.shape[1] - int(np.argmin(is_silent[::-1])) if not is_silent.all() else 0
    late = onset * SFREQ >= stop
    if late.all():
        raise InputError(
            f"{path.name}: all {len(late)} flashes lie behind the {stop} samples that are not "
            "zero; expected a signal of both."
        )
    notes = ["Referred to the mean of both mastoids; the zeros at the end of a run are left out."]
    if n_late := int(late.sum()):
        lost = f"{path.name}: {n_late} of {len(late)} flashes are left out: behind the signal."
        notes.append(lost)
        warnings.warn(lost, UserWarning, stacklevel=3)
    signal = data[: len(CH_NAMES), :stop] - data[len(CH_NAMES) :, :stop].mean(axis=0)
    codes = stimuli[~late].astype(int)
    flashes = flash_table(
        onset=onset[~late],
        code=codes,
        is_target=codes == int(target[0]),
        character=1,
        repetition=number_repetitions(codes, np.ones(len(codes))),
        **labels,
    )
    return Recording(
        [to_single(signal)], flashes, CH_NAMES, SFREQ, "uV", IMAGES, "epfl", notes=notes
    )


def _seconds(path: Path, events: np.ndarray, n_flashes: int) -> np.ndarray:
    """Return the seconds from the first flash to each, by the clock, also past midnight."""
    if events.shape != (n_flashes, 6):
        raise InputError(
            f"{path.name}: events has shape {events.shape}; expected ({n_flashes}, 6), a time per "
            "stimulus."
        )
    try:
        days = [datetime.date(*map(int, event[:3])).toordinal() for event in events]
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path.name}: events hold a date that is none: {error}.") from error
    clock = events[:, 3:].astype(float) @ [3600.0, 60.0, 1.0]
    seconds = clock - clock[0] + 86_400.0 * (np.array(days) - days[0])
    if (np.diff(seconds) <= 0).any():
        raise InputError(f"{path.name}: events do not follow each other in time; expected that.")
    return seconds
