"""Flashes whose code and class are two events of one instant."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from p300.errors import InputError
from p300.proposals import Proposal
from p300.readers.events.labels import counted, in_order
from p300.readers.events.words import Meaning

#: Largest distance of a code and its class that are recorded one after the other.
MAX_APART_S = 0.05


def join_simultaneous(
    seconds: np.ndarray,
    meanings: Sequence[Meaning | None],
    labels: Sequence[Hashable],
    within_s: float,
    where: str,
) -> tuple[np.ndarray, list[Meaning], np.ndarray, tuple[str, ...]]:
    """Join a flash's code and its class where they are two events of one instant.

    OpenViBE and g.tec record them so. Where codes and classes take turns, each class nearer to
    its code than any other event, they are joined over up to :data:`MAX_APART_S`.

    Parameters
    ----------
    seconds : ndarray, shape (n_events,)
        Times of the events.
    meanings : sequence of Meaning or None
        None for events that are no flashes.
    labels : sequence of str or int
        For messages.
    within_s : float
        Largest distance of one instant.
    where : str
        For messages.

    Returns
    -------
    seconds : ndarray
        Of each flash, ascending.
    meanings : list of Meaning
        Of each flash.
    rows : ndarray of int
        Its event, that of the code if two were joined.
    notes : tuple of str
        What was joined and left out.

    Raises
    ------
    InputError
        If some flashes have a code alone and others a class alone, or two flashes of one kind are
        at one instant and differ.
    """
    in_time = np.argsort(seconds, kind="stable").tolist()
    flashes = [(k, meaning) for k in in_time if (meaning := meanings[k]) is not None]
    within_s = _pair_distance(seconds, flashes) or within_s
    joined: list[tuple[int, Meaning]] = []
    n_joined = n_twice = 0
    clashes: list[int] = []
    for k, meaning in flashes:
        if joined and seconds[k] - seconds[joined[-1][0]] <= within_s:
            row, before = joined[-1]
            if before.kind != meaning.kind and sum(before.kind) == sum(meaning.kind) == 1:
                code, cls = (before, meaning) if before.kind[0] else (meaning, before)
                joined[-1] = (row if before.kind[0] else k, Meaning(code.code, cls.is_target))
                n_joined += 1
                continue
            if meaning in (before, Meaning(before.code), Meaning(None, before.is_target)):
                n_twice += 1
                continue
            clashes += [row, k]
        joined.append((k, meaning))
    if clashes:
        found = counted([labels[k] for k in dict.fromkeys(clashes)])
        raise InputError(
            f"{where}: got {len(clashes) // 2} instants with two flashes that are not the same "
            f"(the first at {seconds[clashes[0]]:.3f} s; {found}); expected one flash at an "
            "instant, or a code and a class; set codes and targets for the labels that tell "
            "them, and ignore for the others."
        )
    notes = []
    if n_twice:
        notes.append(f"{n_twice} events repeat what another says at their instant.")
    if n_joined:
        apart = (
            f", up to {1000 * within_s:.1f} ms apart," if _pair_distance(seconds, flashes) else ""
        )
        notes.append(
            f"{n_joined} codes and classes of one instant{apart} are joined to one flash each."
        )
        alone = [j for j in joined if j[1].kind == (False, True)]
        if alone:
            notes.append(
                f"{len(alone)} events of a class without a code at the same instant are left out "
                f"(the first at {seconds[alone[0][0]]:.3f} s)."
            )
            joined = [j for j in joined if j[1].kind != (False, True)]
        if n_open := sum(m.kind == (True, False) for _, m in joined):
            notes.append(f"{n_open} flashes have a code and no class at the same instant.")
    elif len({meaning.kind for _, meaning in flashes if not meaning.is_named}) > 1:
        by_kind: dict[tuple[bool, bool], list[Hashable]] = {}
        for k, meaning in flashes:
            by_kind.setdefault(meaning.kind, []).append(labels[k])
        words = {(True, True): "code and class", (True, False): "a code alone"}
        words |= {(False, True): "a class alone", (False, False): "neither"}
        found = ", ".join(
            f"{len(some)} have {words[kind]} ({counted(some)})" for kind, some in by_kind.items()
        )
        fewest = min(by_kind.values(), key=lambda some: len(some))
        ignoring = Proposal("ignore", in_order(fewest))
        raise InputError(
            f"{where}: of {len(flashes)} flashes {found}; expected the same of all, or code and "
            "class at one instant; set codes and targets for the labels of flashes, or "
            f"{ignoring} if those are none.",
            [ignoring],
        )
    rows = np.array([k for k, _ in joined], int)
    return seconds[rows], [m for _, m in joined], rows, tuple(notes)


def _pair_distance(seconds: np.ndarray, flashes: Sequence[tuple[int, Meaning]]) -> float | None:
    """Return the largest distance in pairs of a code and a class; None if there are no pairs.

    Events are pairs if one kind always precedes the other, and pairs are well apart.
    """
    kinds = [meaning.kind for _, meaning in flashes]
    first = kinds[:2]
    if len(kinds) % 2 or set(first) != {(True, False), (False, True)}:
        return None
    if kinds != first * (len(kinds) // 2):
        return None
    times = seconds[[k for k, _ in flashes]]
    within, between = times[1::2] - times[::2], times[2::2] - times[1:-1:2]
    farthest = float(within.max())
    if farthest > MAX_APART_S or (len(between) and between.min() < 2 * farthest):
        return None
    return farthest
