"""Integrity of the flash table: onsets, codes, labels and symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from p300.flashes import CHARACTER_KEY, with_lit_codes
from p300.integrity.finding import Finding
from p300.preprocessing.preprocessor import MAX_LEFT_OUT
from p300.recording import Recording
from p300.speller import Speller

if TYPE_CHECKING:
    import pandas as pd


#: What is expected of a repetition where groups are fixed, and what to do if they are not.
ONCE = (
    "each code once in each; number repetitions so, or say what each flash lit (Speller.changing "
    "and the column lit), if the screen lights a group twice in one"
)


def check_flashes(
    recording: Recording,
    tmin: float,
    tmax: float,
    fits: Callable[[Recording], np.ndarray] | None = None,
) -> Iterator[Finding]:
    """Count the flashes, and check their onsets, codes and labels."""
    flashes = recording.flashes
    if not len(flashes):
        yield Finding("refuse", "flashes", "There is no flash.", 0)
        return
    is_target = flashes["is_target"]
    text = (
        f"{len(flashes)} flashes in {len(recording.segments)} segments: "
        f"{int(is_target.sum())} target, {int((~is_target).sum())} nontarget, "
        f"{int(is_target.isna().sum())} without a label."
    )
    spelled = flashes[flashes["character"].notna()]
    if len(spelled):
        characters = spelled.groupby(CHARACTER_KEY, dropna=False)
        n_repetitions = characters["repetition"].nunique()
        text += f" {len(n_repetitions)} characters of {_range(n_repetitions)} repetitions."
    yield Finding("note", "flashes", text, len(flashes))
    yield from _check_onsets(recording, tmin, tmax, fits)
    if recording.speller is not None:
        yield from _check_codes(flashes, recording.speller)
        yield from _check_labels(*with_lit_codes(flashes, recording.speller))
    else:
        yield from _check_labels(flashes, None)


def _check_onsets(
    recording: Recording,
    tmin: float,
    tmax: float,
    fits: Callable[[Recording], np.ndarray] | None,
) -> Iterator[Finding]:
    """Check that flashes and their epochs lie in their segments, in order of time."""
    flashes = recording.flashes
    onset, segment = flashes["onset"].to_numpy(), flashes["segment"].to_numpy()
    # rounding of a thousandth of a sample is no fault of the recording
    n_samples, rate = np.array([s.shape[1] for s in recording.segments]), recording.flash_rates
    stop = (n_samples[segment] + 1e-3) / rate
    is_outside = ~((onset >= 0) & (onset < stop - 0.5 / rate))
    what = "flashes lie outside their segment"
    expected = "every onset between its start and its end"
    yield from _refuse("onsets", flashes, is_outside, what, expected)
    is_inside = recording.fits(tmin, tmax) if fits is None else fits(recording)
    is_cut = ~is_outside & ~is_inside
    if n_cut := int(is_cut.sum()):
        level = "refuse" if n_cut > MAX_LEFT_OUT * len(flashes) else "warn"
        text = (
            f"{n_cut} epochs of {tmin:g} to {tmax:g} s reach past an end of their segment (the "
            f"first: {_place(flashes[is_cut].iloc[0])}); expected a shorter interval or a longer "
            "recording, because the least signal after a flash is "
            f"{(stop - onset)[is_cut].min():.3f} s. "
        )
        text += "They are left out." if level == "warn" else f"More than {MAX_LEFT_OUT:.0%} do."
        yield Finding(level, "epochs", text, n_cut)
    step = np.where(np.diff(segment, prepend=-1) == 0, np.diff(onset, prepend=np.nan), np.nan)
    for relation, is_wrong in (("equals", step == 0), ("comes before", step < 0)):
        what = f"onsets: each {relation} the onset above it in the same segment"
        yield from _refuse("onsets", flashes, is_wrong, what, "ascending onsets")


def _check_codes(flashes: pd.DataFrame, speller: Speller) -> Iterator[Finding]:
    """Check that every code is on the screen, and that repetitions are what they should be."""
    n_per_repetition, is_changing = speller.n_per_repetition, speller.is_changing
    flashes, speller = with_lit_codes(flashes, speller)
    is_unknown = ~flashes["code"].isin(speller.codes).to_numpy(bool)
    codes = sorted(flashes.loc[is_unknown, "code"].dropna().unique().tolist())
    what = f"flashes have codes {codes or '<NA>'} that the screen {speller.name!r} does not know"
    yield from _refuse("codes", flashes, is_unknown, what, str(list(speller.codes)))
    spelled = flashes.dropna(subset=["character", "repetition"])
    if n_without := len(flashes) - len(spelled):
        text = (
            f"{n_without} flashes belong to no character or repetition, so no symbol can be read "
            "from them."
        )
        yield Finding("warn", "characters", text, n_without)
    key = [*CHARACTER_KEY, "repetition"]
    repetitions = spelled.groupby(key, dropna=False)["code"]
    if is_changing:
        counted, n_codes = "flashes", repetitions.size()
        yield from _check_sizes(n_codes, n_per_repetition)
    else:
        counted, n_codes = "codes", repetitions.nunique()
        is_twice = spelled.duplicated([*key, "code"]).to_numpy()
        what = "flashes repeat a code within their repetition"
        yield from _refuse("repetitions", spelled, is_twice, what, ONCE)
    of_character = n_codes.groupby(level=CHARACTER_KEY, dropna=False, sort=False)
    is_last = of_character.cumcount(ascending=False) == 0
    is_short = n_codes < n_per_repetition
    if n_ended := int((is_last & is_short).sum()):
        text = f"{n_ended} characters end within a repetition, as under a stopping rule."
        yield Finding("note", "repetitions", text, n_ended)
    n_flashes = of_character.sum()
    if n_few := int((n_flashes < n_per_repetition / 4).sum()):
        text = (
            f"{n_few} of {len(n_flashes)} characters have {n_flashes.min()} flashes or little "
            f"more; expected at least {n_per_repetition}, those of one repetition."
        )
        yield Finding("warn", "repetitions", text, n_few)
    n_codes, short = n_codes[~is_last], n_codes[~is_last & is_short]
    if len(short):
        text = (
            f"{len(short)} of {len(n_codes)} repetitions that another one follows have "
            f"{_range(short)} {counted}; expected {n_per_repetition}."
        )
        yield Finding("warn", "repetitions", text, len(short))


def _check_sizes(n_flashes: pd.Series, expected: int) -> Iterator[Finding]:
    """Find repetitions with more flashes than one has where groups change; several are refused."""
    many = n_flashes[n_flashes > expected]
    if len(many):
        text = (
            f"{len(many)} of {len(n_flashes)} repetitions have {_range(many)} flashes; expected "
            f"{expected}, as the screen says; number each pass as a repetition of its own, or set "
            "n_per_repetition of the screen."
        )
        level = "refuse" if many.max() >= 2 * expected else "warn"
        yield Finding(level, "repetitions", text, len(many))


def _check_labels(flashes: pd.DataFrame, speller: Speller | None) -> Iterator[Finding]:
    """Check that labels exist, have the expected target ratio and belong to symbols."""
    is_missing = flashes["is_target"].isna()
    labelled = flashes[~is_missing]
    if n_missing := int(is_missing.sum()):
        text = (
            f"{n_missing} of {len(flashes)} flashes have no label (session "
            f"{', '.join(flashes.loc[is_missing, 'session'].unique())}): they can be used to "
            "spell, but not to train or evaluate."
        )
        yield Finding("note", "labels", text, n_missing)
    if not len(labelled):
        return
    spelled = flashes[flashes["character"].notna()]
    known = spelled["is_target"].notna().groupby([spelled[c] for c in CHARACTER_KEY], dropna=False)
    n_partly = int((known.any() & ~known.all()).sum())
    if n_partly:
        text = f"{n_partly} characters have labels for some of their flashes alone."
        yield Finding("warn", "labels", text, n_partly)
    fraction = labelled["is_target"].to_numpy(bool).mean()
    n_targets = int(labelled["is_target"].sum())
    ratio = f"{fraction:.1%} of the labelled flashes are targets; expected"
    if fraction in (0, 1):
        kind = "targets" if fraction else "nontargets"
        text = f"All {len(labelled)} labelled flashes are {kind}; expected both classes."
        yield Finding("warn", "labels", text, len(labelled))
    elif speller is None:
        if fraction >= 0.5:
            text = f"{ratio} fewer than half in an oddball: are the two labels swapped?"
            yield Finding("warn", "target ratio", text, n_targets)
    else:
        expected = speller.target_ratio
        chance = 3 * np.sqrt(expected * (1 - expected) / len(labelled))
        if abs(fraction - expected) > max(0.2 * expected, chance):
            is_swapped = abs(1 - fraction - expected) <= 0.2 * expected
            level = "refuse" if is_swapped and abs(expected - 0.5) > 0.1 else "warn"
            swapped = ": the labels are swapped" if is_swapped else ""
            text = f"{ratio} about {expected:.1%} on the screen {speller.name!r}{swapped}."
            yield Finding(level, "target ratio", text, n_targets)
        yield from _check_symbols(labelled, speller)


def _check_symbols(labelled: pd.DataFrame, speller: Speller) -> Iterator[Finding]:
    """Find characters whose labels fit no symbol or several, or change within the character."""
    rows = labelled[[*CHARACTER_KEY, "code", "is_target"]].dropna(subset="character")
    characters = rows.drop_duplicates().groupby(CHARACTER_KEY, dropna=False)
    wrong, n_open = [], 0
    for character, row in characters:
        targets = row.loc[row["is_target"], "code"]
        fitting = speller.symbols_of(targets.dropna(), row["code"].dropna())
        n_open += len(fitting) > 1
        if not fitting or row["code"].duplicated().any():
            wrong.append((*character, sorted(targets.dropna().tolist())))
    if wrong:
        subject, session, run, character, codes = wrong[0]
        text = (
            f"In {len(wrong)} of {len(characters)} characters the target codes belong to no "
            f"symbol, or are not always targets (the first: subject {subject}, session {session},"
            f" run {run}, character {character}, codes {codes}); expected, for example, "
            f"{list(speller.codes_of(speller.symbols[0]))} for {speller.symbols[0]!r}."
        )
        yield Finding("refuse", "labels", text, len(wrong))
    if n_open:
        text = (
            f"In {n_open} of {len(characters)} characters several symbols fit the labels, because "
            "some codes did not flash: they are read, but do not count as right or wrong."
        )
        yield Finding("note", "labels", text, n_open)


def _refuse(
    check: str, flashes: pd.DataFrame, is_wrong: np.ndarray, what: str, expected: str
) -> Iterator[Finding]:
    """Refuse the flashes that are wrong, if there are some, with their number and the first."""
    if n_wrong := int(is_wrong.sum()):
        first = _place(flashes[is_wrong].iloc[0])
        text = f"{n_wrong} {what} (the first: {first}); expected {expected}."
        yield Finding("refuse", check, text, n_wrong)


def _place(flash: pd.Series) -> str:
    """Say where a flash is."""
    return (
        f"subject {flash['subject']}, session {flash['session']}, run {flash['run']}, segment "
        f"{flash['segment']}, at {flash['onset']:.3f} s"
    )


def _range(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"
