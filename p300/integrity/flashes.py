"""Integrity of the flash table: onsets, codes, labels and symbols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from p300.integrity.finding import Finding
from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    import pandas as pd

    from p300.recording import Recording
    from p300.speller import Speller


def _check_onsets(recording: Recording, tmin: float, tmax: float) -> Iterator[Finding]:
    """Check that flashes and their epochs lie in their segments, in order of time."""
    flashes = recording.flashes
    onset, segment = flashes["onset"].to_numpy(), flashes["segment"].to_numpy()
    # rounding of a thousandth of a sample is no fault of the recording
    stop = np.array([s.shape[1] + 1e-3 for s in recording.segments])[segment] / recording.sfreq
    is_outside = ~((onset >= 0) & (onset < stop - 0.5 / recording.sfreq))
    if is_outside.any():
        yield Finding(
            "refuse",
            "onsets",
            f"{is_outside.sum()} flashes lie outside their segment ({_where(flashes, is_outside)}"
            "); expected every onset between its start and its end.",
            int(is_outside.sum()),
        )
    is_cut = ~is_outside & ((onset + tmin < -1e-6) | (onset + tmax > stop))
    if is_cut.any():
        room = (stop - onset)[is_cut].min()
        yield Finding(
            "refuse",
            "epochs",
            f"{is_cut.sum()} epochs of {tmin:g} to {tmax:g} s reach past an end of their segment "
            f"({_where(flashes, is_cut)}; the least signal after a flash is {room:.3f} s); "
            "expected a shorter interval or a longer recording.",
            int(is_cut.sum()),
        )
    step = np.diff(onset)
    is_within = np.diff(segment) == 0
    for what, is_wrong in (("equals", step == 0), ("comes before", step < 0)):
        is_wrong = np.concatenate([[False], is_wrong & is_within])
        if is_wrong.any():
            yield Finding(
                "refuse",
                "onsets",
                f"{is_wrong.sum()} onsets: each {what} the onset above it in the same segment "
                f"({_where(flashes, is_wrong)}); expected ascending onsets.",
                int(is_wrong.sum()),
            )


def _check_codes(recording: Recording) -> Iterator[Finding]:
    """Check that every code is on the screen and flashes once per repetition."""
    speller, flashes = recording.speller, recording.flashes
    if speller is None or not len(flashes):
        return
    is_unknown = ~flashes["code"].isin(speller.codes).to_numpy(bool)
    if is_unknown.any():
        codes = sorted(flashes.loc[is_unknown, "code"].dropna().unique().tolist())
        yield Finding(
            "refuse",
            "codes",
            f"{is_unknown.sum()} flashes have codes {codes or '<NA>'} that the screen "
            f"{speller.name!r} does not know ({_where(flashes, is_unknown)}); expected "
            f"{list(speller.codes)}.",
            int(is_unknown.sum()),
        )
    spelled = flashes[flashes["character"].notna() & flashes["repetition"].notna()]
    if len(spelled) < len(flashes):
        n_without = len(flashes) - len(spelled)
        yield Finding(
            "warn",
            "characters",
            f"{n_without} flashes belong to no character or repetition, so no symbol can be read "
            "from them.",
            n_without,
        )
    key = [*CHARACTER_KEY, "repetition"]
    is_twice = spelled.duplicated([*key, "code"]).to_numpy()
    if is_twice.any():
        yield Finding(
            "refuse",
            "repetitions",
            f"{is_twice.sum()} flashes repeat a code within their repetition "
            f"({_where(spelled, is_twice)}); expected each code once in each.",
            int(is_twice.sum()),
        )
    n_codes = spelled.groupby(key)["code"].nunique()
    is_short = n_codes < len(speller.codes)
    if is_short.any():
        yield Finding(
            "warn",
            "repetitions",
            f"{is_short.sum()} of {len(n_codes)} repetitions have {_range(n_codes[is_short])} "
            f"codes; expected {len(speller.codes)}.",
            int(is_short.sum()),
        )


def _check_labels(recording: Recording) -> Iterator[Finding]:
    """Check that labels exist, have the expected target ratio and belong to symbols."""
    speller, flashes = recording.speller, recording.flashes
    labelled = flashes[flashes["is_target"].notna()]
    n_missing = len(flashes) - len(labelled)
    if n_missing:
        sessions = ", ".join(flashes.loc[flashes["is_target"].isna(), "session"].unique())
        yield Finding(
            "note",
            "labels",
            f"{n_missing} of {len(flashes)} flashes have no label (session {sessions}): they can "
            "be used to spell, but not to train or evaluate.",
            n_missing,
        )
    if not len(labelled):
        return
    is_target = labelled["is_target"].to_numpy(bool)
    fraction = is_target.mean()
    if fraction in (0, 1):
        yield Finding(
            "warn",
            "labels",
            f"All {len(labelled)} labelled flashes are {'targets' if fraction else 'nontargets'}; "
            "expected both classes.",
            len(labelled),
        )
        return
    if speller is None:
        if fraction >= 0.5:
            yield Finding(
                "warn",
                "target ratio",
                f"{fraction:.1%} of the labelled flashes are targets; expected fewer than half in "
                "an oddball: are the two labels swapped?",
                int(is_target.sum()),
            )
        return
    expected = speller.target_ratio
    if abs(fraction - expected) > 0.2 * expected:
        is_swapped = abs(1 - fraction - expected) <= 0.2 * expected
        yield Finding(
            "refuse" if is_swapped and abs(expected - 0.5) > 0.1 else "warn",
            "target ratio",
            f"{fraction:.1%} of the labelled flashes are targets; expected about {expected:.1%} "
            f"on the screen {speller.name!r}{': the labels are swapped' if is_swapped else ''}.",
            int(is_target.sum()),
        )
    yield from _check_symbols(labelled, speller)


def _check_symbols(labelled: pd.DataFrame, speller: Speller) -> Iterator[Finding]:
    """Find characters whose target codes belong to no symbol or are not always targets."""
    spelled = labelled[labelled["character"].notna()]
    symbols = {frozenset(speller.codes_of(s)) for s in speller.symbols}
    kinds: dict[bool, dict[tuple, set[int]]] = {True: {}, False: {}}
    rows = spelled[[*CHARACTER_KEY, "code", "is_target"]].drop_duplicates()
    for *character, code, is_target in rows.itertuples(index=False, name=None):
        kinds[bool(is_target)].setdefault(tuple(character), set()).add(code)
    characters = kinds[True].keys() | kinds[False].keys()
    wrong = sorted(
        c
        for c in characters
        if frozenset(kinds[True].get(c, ())) not in symbols
        or kinds[True][c] & kinds[False].get(c, set())
    )
    if wrong:
        subject, session, run, character = wrong[0]
        codes = sorted(map(int, kinds[True].get(wrong[0], ())))
        yield Finding(
            "refuse",
            "labels",
            f"In {len(wrong)} of {len(characters)} characters the target codes belong to no "
            f"symbol, or are not always targets (the first: subject {subject}, session {session},"
            f" run {run}, character {character}, codes {codes}); expected, for example, "
            f"{list(speller.codes_of(speller.symbols[0]))} for {speller.symbols[0]!r}.",
            len(wrong),
        )


def _where(flashes: pd.DataFrame, rows: np.ndarray) -> str:
    """Describe the first of some flashes."""
    first = flashes[rows].iloc[0]
    return (
        f"the first: subject {first['subject']}, session {first['session']}, run {first['run']}, "
        f"segment {first['segment']}, at {first['onset']:.3f} s"
    )


def _range(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"
