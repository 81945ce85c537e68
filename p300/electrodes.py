"""Electrodes: names as laboratories write them, and positions on the head, from MNE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from p300.errors import InputError

if TYPE_CHECKING:
    import mne

    #: Name to x, y and z in m, in MNE's head coordinates.
    Positions = Mapping[str, Sequence[float]]

#: Old names of the 10-20 system, and the present ones.
OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}

#: What may follow a name as the common reference of a recording.
REFERENCES = {
    *("ref", "le", "re", "ar", "av", "avg", "nose", "linked", "la", "lm"),
    *("a1", "a2", "m1", "m2", "a1a2", "m1m2"),
}

#: What recorders write before the name of an electrode: its kind, or the number of its input.
BEFORE = re.compile(r"^((eeg|pol|ch(an(nel)?)? ?\d+)[ ._:-]+)+|^\d+[ ._:-]+(?=[a-z]+[0-9z])")

#: What they write behind it: a unit or another name in brackets, a reference after a space.
BEHIND = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$|[ _]+ref$")

#: A name of BioSemi's own layouts: a group of electrodes and a number. Some are 10-05 names too.
BIOSEMI = re.compile(r"[a-h]\d{1,2}")


def clean_names(ch_names: Sequence[str]) -> list[str]:
    """Return names by which electrodes are compared, in lower case.

    "EEG Fz-REF", "fz-LE", "POL Fz", "Ch1: Fz", "Fz [µV]" and "Fz." are "fz", and "T3" is "t7".
    What follows a hyphen is removed where it is the same in all names, or an ear, a mastoid or a
    word for a reference, and only where the names stay different; so bipolar channels keep theirs.

    Examples
    --------
    >>> clean_names(["EEG Fz-CPz", "Cz.", "T5"])
    ['fz', 'cz', 'p7']
    >>> clean_names(["Fz-Cz", "Fz-Pz"])
    ['fz-cz', 'fz-pz']
    """
    names = [_plain(name) for name in ch_names]
    shorter = [BEHIND.sub("", name).strip(". ") or name for name in names]
    names = shorter if len(set(shorter)) == len(set(names)) else names
    parts = [name.partition("-")[::2] for name in names]
    tails = {tail.strip(". ") for _, tail in parts if tail}
    is_reference = len(tails) == 1 or tails <= REFERENCES
    pairs = zip(names, parts, strict=True)
    heads = [head.strip(". ") if tail and is_reference else name for name, (head, tail) in pairs]
    for cleaned in (heads, [OLD_NAMES.get(name, name) for name in heads]):
        if len(set(cleaned)) == len(set(names)):
            names = cleaned
    return names


def channel_order(have: Sequence[str], want: Sequence[str], where: str = "recording") -> list[int]:
    """Find the indices of channels by name, as laboratories write them.

    A name is looked for as it is, then whatever its case, dots and prefix, then as
    :func:`clean_names` reads it ("EEG Fz-REF" is "Fz", "T3" is "T7").

    Returns
    -------
    list of int
        For each wanted channel its index in ``have``.

    Raises
    ------
    InputError
        If some are missing; the message lists them and the recorded ones.

    Examples
    --------
    >>> channel_order(["Fz", "Cz", "Pz"], ["PZ", "fz"])
    [2, 0]
    >>> channel_order(["EEG Fz-CPz", "EEG T3-CPz"], ["T7", "Fz"])
    [1, 0]
    """
    check_names(have, where)
    exact = {name: k for k, name in enumerate(have)}
    plain = {_plain(name): k for k, name in enumerate(have)}
    cleaned = {name: k for k, name in enumerate(clean_names(have))}
    order, missing = [], []
    for name, clean in zip(want, clean_names(want), strict=True):
        k = exact.get(name, plain.get(_plain(name), cleaned.get(clean)))
        if k is None:
            missing.append(name)
        else:
            order.append(k)
    if missing:
        raise InputError(
            f"{where}: channels {missing} are not among the {len(have)} recorded: "
            f"{', '.join(have)}"
        )
    return order


def check_names(ch_names: Sequence[str], where: str) -> None:
    """Refuse names that are equal but for case, dots, spaces and what stands before them."""
    plain = [_plain(name) for name in ch_names]
    if len(set(plain)) < len(plain):
        twice = [c for c, name in zip(ch_names, plain, strict=True) if plain.count(name) > 1]
        raise InputError(
            f"{where}: got duplicate channel names {twice}, which differ in case, dots or a "
            "prefix alone; expected each once; rename or leave out one of them"
        )


def _plain(ch_name: str) -> str:
    name = ch_name.strip(". ").lower()
    return BEFORE.sub("", name).strip(". ") or name


def standard_montage() -> mne.channels.DigMontage:
    """Return MNE's positions of the 10-05 system (Colin 27 head), in any version of MNE."""
    import mne

    # renamed in MNE 1.13: the old name warns there, the new one is unknown in older versions
    known = mne.channels.get_builtin_montages()
    kind = "colin27_1005" if "colin27_1005" in known else "standard_1005"
    return mne.channels.make_standard_montage(kind)


def find_positions(ch_names: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Find the positions of electrodes by their names.

    Names of the 10-05 system have those of :func:`standard_montage`; 128, 160 or 256 names of
    BioSemi's layouts (A1, B1, …) those of that layout. Where some names are BioSemi's alone, none
    of its names is taken for one of the 10-05 system: its C3 is 9 cm from theirs.

    Returns
    -------
    dict
        Name to x, y and z in m, in MNE's head coordinates; names without a position are missing.
    """
    names = clean_names(ch_names)
    standard = _positions(None)
    is_grouped = [bool(BIOSEMI.fullmatch(name)) for name in names]
    known: Mapping[str, tuple[float, float, float]] = standard
    if any(g and name not in standard for g, name in zip(is_grouped, names, strict=True)):
        n_grouped = sum(is_grouped)
        if n_grouped in (128, 160, 256):
            known = _positions(f"biosemi{n_grouped}")
        else:
            known = {name: at for name, at in standard.items() if not BIOSEMI.fullmatch(name)}
    pairs = zip(ch_names, names, strict=True)
    return {ch_name: known[name] for ch_name, name in pairs if name in known}


@cache
def _positions(layout: str | None) -> dict[str, tuple[float, float, float]]:
    """Return the positions of a layout in head coordinates, by lower-case name."""
    import mne

    montage = standard_montage() if layout is None else mne.channels.make_standard_montage(layout)
    info = mne.create_info(montage.ch_names, 1.0, "eeg", verbose="error")
    info.set_montage(montage, verbose="error")
    places = info.get_montage().get_positions()["ch_pos"]
    return {name.lower(): (float(x), float(y), float(z)) for name, (x, y, z) in places.items()}


def make_info(
    ch_names: Sequence[str], sfreq: float, positions: Positions | None = None
) -> mne.Info:
    """Build MNE's Info of EEG channels, with the positions that are given or known by name."""
    import mne

    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    places = find_positions(ch_names) if positions is None else positions
    if places:
        montage = mne.channels.make_dig_montage(
            {name: list(place) for name, place in places.items()}, coord_frame="head"
        )
        info.set_montage(montage, on_missing="ignore", verbose="error")
    return info
