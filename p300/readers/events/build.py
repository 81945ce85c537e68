"""From the events of a recording to its flash table, in the same way for every format."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from p300.errors import InputError
from p300.flashes import LIT, flash_table, label_flashes, with_lit_codes
from p300.proposals import OPEN, Proposal
from p300.readers.events.instants import join_simultaneous
from p300.readers.events.keys import label_list
from p300.readers.events.labels import Understood, in_order, understand
from p300.readers.events.numbering import Division, number_characters, number_repetitions
from p300.readers.events.words import plain_label
from p300.speller import WADSWORTH

if TYPE_CHECKING:
    import pandas as pd

    from p300.speller import Speller

#: Said of an oddball with the codes of the usual matrix.
OF_MATRIX = (
    "The codes 1 to 12 may be those of a 6 x 6 matrix; no letter is read without a screen: set "
    "speller (to wadsworth for columns 1 to 6, rows 7 to 12)."
)

#: Columns of the flash table that an event may have in its ``extras``.
EXTRAS = ("subject", "session", "run", "character", "repetition", LIT)


@dataclass(frozen=True)
class Events:
    """All events of one source: seconds from the first sample, labels, and further columns."""

    seconds: np.ndarray
    labels: list
    extras: list[dict]

    @classmethod
    def in_time(cls, seconds: ArrayLike, labels: Sequence[Hashable]) -> Events:
        """Build events without further columns, sorted by time; of one instant as they came."""
        seconds = np.asarray(seconds, float)
        order = np.argsort(seconds, kind="stable")
        return cls(seconds[order], [labels[k] for k in order], [{}] * len(order))


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the user says of the events; the arguments of :func:`p300.readers.mne_raw.read_raw`."""

    targets: Mapping[Any, bool | None] | None = None
    codes: Mapping[Any, int | None] | None = None
    ignore: Collection[Hashable] = ()
    speller: Speller | None = None
    text: Sequence[str] | None = None
    characters: int | None = None
    n_repetitions: int | None = None
    pause_s: float | None = None
    starts: Collection[Hashable] = ()
    offset_s: float = 0.0
    subject: str = "1"
    session: str = "1"
    run: int | str = 1
    name: str = "recording"

    def understand(self, labels: Sequence[Hashable]) -> Understood:
        """Decide which labels are flashes."""
        return understand(
            labels,
            codes=self.codes,
            targets=self.targets,
            ignore=[*label_list(self.ignore), *label_list(self.starts)],
            speller=self.speller,
            where=self.name,
        )


def build_flashes(
    found: Events, understood: Understood, given: Given, within_s: float
) -> tuple[pd.DataFrame, list[str]]:
    """Build the flash table of all flashes, before any is left out.

    Parameters
    ----------
    found : Events
        Of the source that has flashes.
    understood : Understood
        What they mean.
    given : Given
        What the user says.
    within_s : float
        Seconds within which two events are of one instant.

    Returns
    -------
    flashes : DataFrame
        Of segment 0; ``onset`` counts from the first sample of the recording.
    notes : list of str
        What was taken, joined and guessed.
    """
    where = given.name
    seconds, taken, rows, joined = join_simultaneous(
        found.seconds, understood.meanings, found.labels, within_s, where
    )
    columns: dict[str, Any] = {
        "onset": seconds + given.offset_s,
        "code": [m.code for m in taken],
        "is_target": [m.is_target for m in taken],
        "subject": given.subject,
        "session": given.session,
        "run": given.run,
    }
    for column in EXTRAS:
        values = [found.extras[k].get(column) for k in rows]
        if any(value is not None for value in values):
            columns[column] = values
    numbered = _complete(columns, given, _division(found, given))
    flashes = flash_table(**columns)
    notes = [*understood.notes, *joined, *numbered]
    if given.text is not None and given.speller is not None:
        spelled = label_flashes(flashes, given.text, given.speller, where)
        both = flashes["is_target"].notna() & spelled["is_target"].notna()
        differ = both & flashes["is_target"].ne(spelled["is_target"]).fillna(False)
        if differ.any():
            raise InputError(
                f"{where}: got the text {''.join(given.text)!r}, by which {differ.sum()} of "
                f"{both.sum()} flashes have another label than in the recording; expected the "
                "text that was spelled; leave out text for the recorded labels"
            )
        flashes = spelled
        notes.append(f"The labels are those of the text {''.join(given.text)!r}.")
    return flashes, notes


def agreed_screen(given: Speller | None, stated: Speller | None, where: str) -> Speller | None:
    """Return the screen that is given or that the data state, the latter if both are the same.

    Raises
    ------
    InputError
        If they differ in symbols or groups.
    """
    if given is None or stated is None:
        return given or stated
    parts = ("symbols", "groups", "n_per_repetition")
    if any(getattr(given, part) != getattr(stated, part) for part in parts):
        raise InputError(
            f"{where}: got the screen {given.name!r}, whose symbols or groups are not those of "
            f"{stated.name!r}, which the data state; expected the same; leave out speller"
        )
    return stated


def _division(found: Events, given: Given) -> Division:
    """Collect what is known of how characters follow each other."""
    known = Division(given.characters, given.n_repetitions, given.pause_s)
    if not given.starts:
        return known
    starts = label_list(given.starts)
    wanted = set(map(plain_label, starts))
    is_start = np.array([plain_label(label) in wanted for label in found.labels], bool)
    if not is_start.any():
        raise InputError(
            f"{given.name}: got starts={starts}, which no event has; expected labels of events."
        )
    begins = (found.seconds[is_start] + given.offset_s).tolist()
    return dataclasses.replace(known, starts=begins)


def _complete(columns: dict[str, Any], given: Given, known: Division) -> list[str]:
    """Add codes of an oddball, or characters and repetitions of a speller; say how."""
    code, is_target, speller = columns["code"], columns["is_target"], given.speller
    if speller is None:
        if known.is_known or given.text is not None:
            what = "a text" if given.text is not None else "a division into characters"
            raise InputError(
                f"{given.name}: got {what} and no screen; expected both; set speller."
            )
        pairs = zip(code, is_target, strict=True)
        columns["code"] = [int(t) + 1 if c is None and t is not None else c for c, t in pairs]
        is_matrix = set(code) == set(WADSWORTH.codes) and LIT not in columns
        return [OF_MATRIX] if is_matrix else []
    is_known = [lit is not None for lit in columns.get(LIT, [None] * len(code))]
    pairs = zip(code, is_known, strict=True)
    if unknown := [c for c, is_lit in pairs if not is_lit and c not in speller.groups]:
        raise InputError(
            f"{given.name}: {len(unknown)} of {len(code)} flashes have no code of the screen "
            f"{speller.name!r} (the first: {unknown[0]}); expected one of {list(speller.codes)}; "
            "set codes."
        )
    table = flash_table(onset=columns["onset"], code=code, lit=columns.get(LIT))
    table, screen = with_lit_codes(table, speller)
    codes, notes = table["code"].to_numpy(int), []
    if "character" not in columns:
        if given.text is not None and known.characters is None:
            known = dataclasses.replace(known, characters=len(given.text))
        columns["character"], sentence = number_characters(
            columns["onset"], codes, screen, is_target=is_target, known=known, where=given.name
        )
        notes.append(sentence)
    elif known.is_known:
        _check_division(columns | {"code": codes}, known, screen, where=given.name)
    if "repetition" not in columns:
        character = np.asarray(columns["character"])
        size = speller.n_per_repetition if speller.is_changing else None
        columns["repetition"] = number_repetitions(codes, character, size)
    return notes


def _check_division(
    columns: Mapping[str, Any], known: Division, speller: Speller, where: str
) -> None:
    """Refuse what is said of characters where the events state others."""
    stated = np.unique(np.array(columns["character"], float), return_inverse=True)[1]
    try:
        found, _ = number_characters(
            columns["onset"], columns["code"], speller, known=known, where=where
        )
    except InputError:
        found = None
    if found is None or (found != stated + 1).any():
        raise InputError(
            f"{where}: the events state {stated.max() + 1} characters, and characters, "
            "n_repetitions, pause_s or starts say otherwise; expected the same; leave them out"
        )


def no_flash(given: Given, found: str, labels: Collection[Hashable]) -> InputError:
    """Return the error of a recording without a flash, with the mapping to copy.

    Parameters
    ----------
    given : Given
        What the user says.
    found : str
        What there is instead, for the message.
    labels : collection of str or int
        Of all events.
    """
    speller, name = given.speller, "targets" if given.speller is None else "codes"
    mapping = Proposal(name, dict.fromkeys(in_order(labels) or ["target"], OPEN))
    of_screen = f" with codes of the screen {speller.name!r}" if speller is not None else ""
    return InputError(
        f"{given.name}: got no flash among the {found}; expected labels such as 'target/7', or "
        f"numbers{of_screen}; set {mapping}, without the labels that are no flashes.",
        [mapping],
    )
