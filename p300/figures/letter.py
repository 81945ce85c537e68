"""From EEG to one letter: the signal, its averages, and the scores on the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.figures.averages import flash_classes, mean_waves, pick_channels
from p300.figures.style import AMPLITUDES, NONTARGET, TARGET, new_figure, styled
from p300.recording import CHARACTER_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from p300.preprocessing import Epochs
    from p300.recording import Recording
    from p300.speller import Speller

#: Seconds of the EEG that are shown.
SHOWN_S = 2.15


@styled
def draw_letter(
    recording: Recording,
    epochs: Epochs,
    scores: ArrayLike,
    *,
    character: int = 0,
    channel: str = "Cz",
    n_repetitions: int = 5,
) -> Figure:
    """Draw how one letter is read: EEG with its flashes, averages, and scores on the screen.

    Parameters
    ----------
    recording : Recording
        With a speller.
    epochs : Epochs
        Of the recording, preferably unscaled, for the averages.
    scores : array-like, shape (n_flashes,)
        One score per flash of the recording.
    character : int
        Which of the recording's characters, from 0, in the order of the flash table.
    channel : str
        Channel of the EEG shown.
    n_repetitions : int
        Number of repetitions over which scores are summed.

    Returns
    -------
    Figure
        Three panels: two seconds of EEG, averages over all labelled flashes, and the screen,
        where a darker symbol has a higher sum.

    Raises
    ------
    InputError
        If the recording has no speller, or no such character, channel or repetition.
    """
    speller = recording.speller
    if speller is None:
        raise InputError(f"{recording.name} has no screen; expected a recording with a speller")
    rows = _rows_of(recording, character)
    spelled = _read(recording, speller, np.asarray(scores, float), rows, n_repetitions)
    figure = new_figure(2.5)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    _draw_eeg(left, recording, rows, channel)
    _draw_waves(middle, epochs, channel)
    _draw_screen(right, speller, spelled)
    wanted = f", wanted {spelled['wanted']}" if spelled["wanted"] else ""
    figure.set_label(
        f"From EEG to a letter: two seconds of {recording.name} at {channel} with its flashes, "
        f"the averages after target and nontarget flashes, and the screen, on which "
        f"{spelled['symbol']} has the highest score after {n_repetitions} repetitions{wanted}."
    )
    return figure


def _rows_of(recording: Recording, character: int) -> np.ndarray:
    """Find the flashes of one character."""
    groups = recording.flashes.groupby(CHARACTER_KEY, sort=False)
    if not 0 <= character < groups.ngroups:
        raise InputError(
            f"got character={character} of {recording.name}; expected 0 to {groups.ngroups - 1}"
        )
    return np.flatnonzero(groups.ngroup().to_numpy() == character)


def _read(
    recording: Recording,
    speller: Speller,
    scores: np.ndarray,
    rows: np.ndarray,
    n_repetitions: int,
) -> dict[str, Any]:
    """Sum the scores of one character on its screen, as :func:`p300.spelling.spell` does."""
    from p300.spelling import symbol_scores, wanted_symbol

    flashes = recording.flashes.iloc[rows]
    n_shown = int(flashes["repetition"].max()) + 1
    if not 1 <= n_repetitions <= n_shown:
        raise InputError(
            f"got n_repetitions={n_repetitions}; expected 1 to {n_shown}, as many as were flashed"
        )
    used = (flashes["repetition"] < n_repetitions).to_numpy(bool)
    code = np.searchsorted(speller.codes, flashes["code"].to_numpy(int))
    sums = np.bincount(code[used], scores[rows][used], len(speller.codes))
    evidence = symbol_scores(sums, speller)
    known = flashes["is_target"].notna().all()
    return {
        "evidence": evidence,
        "symbol": speller.symbols[int(np.argmax(evidence))],
        "wanted": wanted_symbol(flashes, speller) if known else None,
        "n_repetitions": n_repetitions,
    }


def _draw_eeg(axis: Axes, recording: Recording, rows: np.ndarray, channel: str) -> None:
    flashes = recording.flashes.iloc[rows]
    (k,) = pick_channels(recording.ch_names, [channel])
    start = float(flashes["onset"].iloc[0]) - 0.1
    sfreq = recording.sfreq
    segment = recording.segments[int(flashes["segment"].iloc[0])][k]
    begin = max(0, round(start * sfreq))
    signal = np.asarray(segment[begin : begin + round(SHOWN_S * sfreq)], float)
    signal -= signal.mean()
    axis.plot(np.arange(len(signal)) / sfreq, signal, color="0.35", lw=0.8)
    onsets = flashes["onset"].to_numpy(float) - begin / sfreq
    is_target = flashes["is_target"].fillna(False).to_numpy(bool)
    for wanted, style in ((False, NONTARGET), (True, TARGET)):
        shown = onsets[(is_target == wanted) & (onsets < len(signal) / sfreq)]
        height = 0.97 if wanted else 0.92
        marks = axis.get_xaxis_transform()
        axis.vlines(shown, 0, 1, color=style["color"], lw=0.8 if wanted else 0.3, transform=marks)
        axis.plot(
            shown, np.full(len(shown), height), "v", ms=4 if wanted else 2.5,
            color=style["color"], transform=marks, clip_on=False,
        )  # fmt: skip
    axis.set_title(f"EEG at {recording.ch_names[k]}: one line per flash")
    axis.set_xlabel("time (s)")
    axis.set_ylabel(AMPLITUDES[recording.unit])


def _draw_waves(axis: Axes, epochs: Epochs, channel: str) -> None:
    classes, picked = flash_classes(epochs), pick_channels(epochs.ch_names, [channel])
    means = mean_waves(epochs, classes, picked)
    for kind, style in (("targets", TARGET), ("nontargets", NONTARGET)):
        if kind in means:
            label = f"{len(classes[kind]):,} {kind}"
            axis.plot(epochs.times, means[kind][0], label=label, **style)
    axis.axhline(0, color="0.6", lw=0.6, zorder=0)
    axis.set_title("their averages")
    axis.set_xlabel("time from the flash (s)")
    axis.margins(y=0.3)
    axis.legend(loc="upper right")


def _draw_screen(axis: Axes, speller: Speller, spelled: dict[str, Any]) -> None:
    n_columns = math.ceil(math.sqrt(len(speller.symbols)))
    n_rows = math.ceil(len(speller.symbols) / n_columns)
    evidence = np.full(n_rows * n_columns, np.nan)
    evidence[: len(speller.symbols)] = spelled["evidence"]
    axis.imshow(evidence.reshape(n_rows, n_columns), cmap="cividis_r", aspect="equal")
    middle = np.nanmean([np.nanmin(evidence), np.nanmax(evidence)])
    for k, symbol in enumerate(speller.symbols):
        is_read = symbol == spelled["symbol"]
        axis.text(
            k % n_columns, k // n_columns, symbol, ha="center", va="center",
            color="white" if evidence[k] > middle else "black",
            weight="bold" if is_read else "normal", fontsize=12 if is_read else 9,
        )  # fmt: skip
    axis.set_axis_off()
    n = spelled["n_repetitions"]
    axis.set_title(f"scores of {n} repetition{'s' if n > 1 else ''}: {spelled['symbol']}")
