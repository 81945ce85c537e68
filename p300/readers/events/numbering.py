"""Which character and which repetition each flash of a continuous run belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from p300.errors import InputError
from p300.flashes import rows_by
from p300.speller import Speller

#: Gaps longer than this many times the median may be pauses.
MIN_PAUSE = 1.5

#: Two pauses are of different kinds if one is this many times as long.
MIN_RATIO = 1.3


@dataclass(frozen=True)
class Division:
    """What is known of how characters follow each other; with nothing, pauses decide.

    Parameters
    ----------
    characters : int or None
        Their number.
    n_repetitions : int or None
        Repetitions of each.
    pause_s : float or None
        Gaps between two flashes longer than this separate two characters.
    starts : sequence of float or None
        Times at which they begin.
    """

    characters: int | None = None
    n_repetitions: int | None = None
    pause_s: float | None = None
    starts: Sequence[float] | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return any(getattr(self, field.name) is not None for field in dataclasses.fields(self))


def number_characters(
    seconds: np.ndarray,
    codes: np.ndarray,
    speller: Speller,
    *,
    is_target: Sequence[bool | None] | None = None,
    known: Division | None = None,
    where: str = "recording",
) -> tuple[np.ndarray, str]:
    """Divide the flashes of a run into characters.

    Where nothing is known, long gaps between two flashes are pauses. If they are of several
    kinds (rests after each repetition, pauses after each character, a break), that kind divides
    the run whose characters fit the labels and have about as many flashes each; of several, the
    longest. A gap that lost flashes explain, since the sequence of codes goes on behind it, is no
    pause.

    Parameters
    ----------
    seconds : ndarray, shape (n_flashes,)
        Onsets, ascending, of all flashes that were shown.
    codes : ndarray of int, shape (n_flashes,)
        What they lit.
    speller : Speller
        The screen.
    is_target : sequence of bool or None
        Labels, against which a guess is checked.
    known : Division or None
        What is known.
    where : str
        For messages.

    Returns
    -------
    numbers : ndarray of int, shape (n_flashes,)
        From 1.
    sentence : str
        How they were told apart.

    Raises
    ------
    InputError
        If what is known does not fit the flashes, or no kind of pause fits the labels.
    """
    seconds, codes, known = np.asarray(seconds, float), np.asarray(codes, int), known or Division()
    if known.starts is not None:
        return _from_starts(seconds, np.sort(np.asarray(known.starts, float)), known, where)
    gaps = np.diff(seconds)
    if known.pause_s is not None:
        is_pause = gaps > known.pause_s
        numbers = _numbers(is_pause)
        how = f"gaps of more than {known.pause_s:g} s"
        return numbers, _sentence(numbers, codes, how, known, speller, where)
    pace = float(np.median(gaps)) if len(gaps) else 0.0
    pauses = [
        k
        for k in np.flatnonzero(gaps > MIN_PAUSE * pace).tolist()
        if not _is_loss(codes, k, gaps[k] / pace, speller.n_per_repetition)
    ]
    wanted = known.characters
    if wanted is None and known.n_repetitions is not None:
        wanted = max(1, round(len(codes) / (known.n_repetitions * speller.n_per_repetition)))
    if wanted is not None:
        if len(pauses) < wanted - 1:
            raise InputError(
                f"{where}: got {len(codes)} flashes with {len(pauses)} pauses between them; "
                f"expected at least {wanted - 1} for {wanted} characters; set pause_s or starts."
            )
        by_length = sorted(pauses, key=lambda k: -gaps[k])
        longest, others = by_length[: wanted - 1], by_length[wanted - 1 :]
        is_close = longest and others and gaps[others[0]] * MIN_RATIO > gaps[longest[-1]]
        if is_close and known.n_repetitions is None:
            raise InputError(
                f"{where}: got pauses of {gaps[longest[-1]]:.2f} s that would separate {wanted} "
                f"characters, and another of {gaps[others[0]]:.2f} s; expected pauses of one "
                "kind: are there more characters? Set n_repetitions, pause_s or starts if not."
            )
        numbers = _numbers(np.isin(np.arange(len(gaps)), longest))
        how = f"their number and the longest {len(longest)} pauses"
        return numbers, _sentence(numbers, codes, how, known, speller, where)
    return _guess(gaps, pauses, codes, speller, is_target, where)


def _guess(
    gaps: np.ndarray,
    pauses: Sequence[int],
    codes: np.ndarray,
    speller: Speller,
    is_target: Sequence[bool | None] | None,
    where: str,
) -> tuple[np.ndarray, str]:
    """Divide by the kind of pause that fits best."""
    is_candidate = np.isin(np.arange(len(gaps)), pauses)
    if not is_candidate.any():
        return np.ones(len(codes), int), "One character: no pause separates two. " + SAY
    lengths = np.sort(gaps[is_candidate])
    kinds = [lengths[0], *lengths[1:][lengths[1:] >= MIN_RATIO * lengths[:-1]]]
    ways = [_numbers(is_candidate & (gaps >= kind)) for kind in kinds]
    has_labels = is_target is not None and any(label is True for label in is_target)
    fitting = list(range(len(ways)))
    if has_labels:
        labels = np.array([-1 if label is None else int(label) for label in is_target or ()])
        fitting = [k for k in fitting if _fits(ways[k], codes, labels, speller)]
        if not fitting:
            found = ", ".join(
                f"{ways[k].max()} with pauses of {kinds[k]:.2f} s" for k in range(len(ways))
            )
            raise InputError(
                f"{where}: the labels fit no division into characters by pauses (tried {found}); "
                f"expected targets of one symbol in each; {SAY[0].lower()}{SAY[1:]}"
            )
    best = max(fitting, key=lambda k: (-_unevenness(ways[k]), k))
    numbers = ways[best]
    shorter = gaps[gaps < kinds[best]].max(initial=0.0)
    how = f"pauses of {kinds[best]:.2f} s and more (the next longest gap: {shorter:.2f} s)"
    if has_labels and _looks_like_repetitions(numbers, codes, labels, speller):
        raise InputError(
            f"{where}: {numbers.max()} characters by {how} have one repetition each, and always "
            "the same symbol several times: the pauses seem to be rests between repetitions; "
            f"expected pauses between characters; {SAY[0].lower()}{SAY[1:]}"
        )
    return numbers, _sentence(numbers, codes, how, Division(), speller, where) + " " + SAY


#: How to say what was guessed.
SAY = "Set characters, n_repetitions, pause_s or starts if they follow each other otherwise."


def number_repetitions(
    codes: np.ndarray, characters: np.ndarray, n_flashes: int | None = None
) -> np.ndarray:
    """Count the repetitions of each character by time, from 0.

    A repetition ends where a code would flash a second time. In a sequence that is not made of
    repetitions, as many flashes as there are codes count as one.

    Parameters
    ----------
    codes, characters : ndarray, shape (n_flashes,)
        In order of time.
    n_flashes : int or None
        Flashes in one repetition, where the groups change and a code does not tell its end.

    Returns
    -------
    ndarray of int, shape (n_flashes,)

    Examples
    --------
    >>> number_repetitions(np.array([2, 1, 1, 2, 1]), np.array([1, 1, 1, 1, 2]))
    array([0, 0, 1, 1, 0])
    >>> number_repetitions(np.array([2, 3, 2, 1, 3, 1, 2, 3]), np.ones(8))  # a 1 was lost
    array([0, 0, 1, 1, 1, 2, 2, 2])
    """
    codes, characters = np.asarray(codes), np.asarray(characters)
    repetitions = np.zeros(len(codes), int)
    n_codes = n_flashes or len(np.unique(codes))
    whole: list[int] = []
    for rows in [] if n_flashes else rows_by(characters):
        seen: set = set()
        number = 0
        for row, code in zip(rows.tolist(), codes[rows].tolist(), strict=True):
            if code in seen:
                whole.append(len(seen))
                seen, number = set(), number + 1
            seen.add(code)
            repetitions[row] = number
    if n_flashes or (whole and np.median(whole) < 0.7 * n_codes):  # drawn at random
        for rows in rows_by(characters):
            repetitions[rows] = np.arange(len(rows)) // n_codes
    return repetitions


def _numbers(is_pause: np.ndarray) -> np.ndarray:
    return 1 + np.concatenate([[0], np.cumsum(is_pause)]).astype(int)


def _from_starts(
    seconds: np.ndarray, starts: np.ndarray, known: Division, where: str
) -> tuple[np.ndarray, str]:
    numbers = np.searchsorted(starts, seconds + 1e-9, side="right")
    if n_before := int((numbers == 0).sum()):
        raise InputError(
            f"{where}: {n_before} of {len(seconds)} flashes come before the first of "
            f"{len(starts)} starts of characters; expected a start before every flash."
        )
    _, numbers = np.unique(numbers, return_inverse=True)
    numbers = numbers + 1
    if known.characters is not None and numbers.max(initial=0) != known.characters:
        raise InputError(
            f"{where}: got {numbers.max(initial=0)} characters by {len(starts)} starts; expected "
            f"{known.characters}."
        )
    return numbers, f"{numbers.max(initial=0)} characters by {len(starts)} marks of their start."


def _is_loss(codes: np.ndarray, k: int, length: float, n_codes: int) -> bool:
    """Return whether flashes lost between flash k and k + 1 explain a gap of ``length`` paces.

    Then the repetition that was going on is completed behind the gap, and the flashes behind it
    do not begin a new one.
    """
    n_lost = round(length) - 1
    if n_lost < 1 or n_lost >= n_codes or abs(length - round(length)) > 0.2:
        return False
    seen: set[int] = set()  # of the repetition that is going on at flash k
    for code in codes[: k + 1].tolist():
        if code in seen or len(seen) == n_codes:
            seen = set()
        seen.add(code)
    after = codes[k + 1 : k + 1 + 2 * n_codes].tolist()
    n_open = n_codes - (len(seen) % n_codes + n_lost)
    first, second = (
        (after[:n_open], after[n_open:]) if n_open >= 0 else ([], after[n_open % n_codes :])
    )
    before = [] if len(seen) == n_codes or n_open < 0 else list(seen)
    goes_on = _is_once([*before, *first]) and _is_once(second[:n_codes])
    return goes_on and not _is_once(after[:n_codes])


def _is_once(codes: Sequence[int]) -> bool:
    return len(set(codes)) == len(codes)


def _fits(numbers: np.ndarray, codes: np.ndarray, labels: np.ndarray, speller: Speller) -> bool:
    """Return whether the labels of every character belong to one symbol."""
    return all(_symbols(codes[rows], labels[rows], speller) for rows in rows_by(numbers))


def _symbols(codes: np.ndarray, labels: np.ndarray, speller: Speller) -> tuple[str, ...]:
    targets, others = set(codes[labels == 1].tolist()), set(codes[labels == 0].tolist())
    return () if targets & others else speller.symbols_of(targets, targets | others)


def _looks_like_repetitions(
    numbers: np.ndarray, codes: np.ndarray, labels: np.ndarray, speller: Speller
) -> bool:
    """Return whether "characters" of one repetition come in runs of one symbol."""
    rows = rows_by(numbers)
    if len(rows) < 4 or any(not _is_once(codes[k].tolist()) for k in rows):
        return False
    symbols = [_symbols(codes[k], labels[k], speller) for k in rows]
    changes = np.flatnonzero([a != b for a, b in zip(symbols[1:], symbols[:-1], strict=True)])
    lengths = np.diff([-1, *changes, len(symbols) - 1])
    return bool(np.gcd.reduce(lengths) > 1)


def _unevenness(numbers: np.ndarray) -> float:
    """Return how unequal the numbers of flashes are, from 0 to 1, in tenths."""
    counts = np.bincount(numbers)[1:]
    return round(float(1 - counts.min() / counts.max()), 1)


def _sentence(
    numbers: np.ndarray, codes: np.ndarray, how: str, known: Division, speller: Speller, where: str
) -> str:
    """Say how many characters there are, and check what is known of them."""
    counts = np.bincount(numbers)[1:]
    found = int(numbers.max(initial=0))
    if known.characters is not None and found != known.characters:
        raise InputError(f"{where}: got {found} characters by {how}; expected {known.characters}.")
    if known.n_repetitions is not None:
        whole = known.n_repetitions * speller.n_per_repetition
        wrong = np.flatnonzero((counts > whole) | (counts < 0.75 * whole))
        if len(wrong):
            raise InputError(
                f"{where}: {len(wrong)} of {found} characters by {how} have not {whole} "
                f"flashes ({known.n_repetitions} repetitions of {speller.n_per_repetition}), the "
                f"first {counts[wrong[0]]}; expected {whole} in each; set pause_s or starts."
            )
    few, most = counts.min(), counts.max()
    size = f"{most}" if few == most else f"{few} to {most}"
    return f"{found} characters of {size} flashes, told apart by {how}."
