"""From EEG to one letter: the signal, its averages, and the scores on the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.figures.averages import flash_classes, mean_waves, pick_channels
from p300.figures.style import AMPLITUDES, NONTARGET, TARGET, count, new_figure, styled
from p300.flashes import CHARACTER_KEY, with_lit_codes

if TYPE_CHECKING:
    import pandas as pd
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
    from p300.spelling.sums import estimate_likelihood, split_characters

    speller = recording.speller
    if speller is None:
        raise InputError(f"{recording.name} has no screen; expected a recording with a speller")
    characters = recording.flashes.groupby(CHARACTER_KEY, sort=False)
    last = characters.ngroups - 1
    if not 0 <= character <= last:
        raise InputError(f"got character={character} of {recording.name}; expected 0 to {last}")
    rows = np.flatnonzero(characters.ngroup().to_numpy() == character)
    table, screen = with_lit_codes(recording.flashes, speller)
    flashes = table.iloc[rows]
    parts = split_characters(np.asarray(scores, float)[rows], flashes, screen)
    ((_, code, repetition, score, wanted),) = parts
    if not 1 <= n_repetitions <= repetition.max() + 1:
        raise InputError(
            f"got n_repetitions={n_repetitions}; expected 1 to {repetition.max() + 1}, as many as "
            f"were flashed"
        )
    used = repetition < n_repetitions
    log_ratio = estimate_likelihood(scores, recording.flashes, speller).log_ratio(score[used])
    evidence = screen.membership @ np.bincount(code[used], log_ratio, len(screen.codes))
    symbol = speller.symbols[int(np.argmax(evidence))]
    figure = new_figure(2.5)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    _draw_eeg(left, recording, flashes, channel)
    _draw_waves(middle, epochs, channel)
    _draw_screen(right, speller, evidence)
    right.set_title(f"scores of {count(n_repetitions, 'repetition')}: {symbol}")
    known = f", wanted {wanted}" if wanted else ""
    figure.set_label(
        f"From EEG to a letter: two seconds of {recording.name} at {channel} with its flashes, "
        f"the averages after target and nontarget flashes, and the screen, on which {symbol} has "
        f"the highest score after {n_repetitions} repetitions{known}."
    )
    return figure


def _draw_eeg(axis: Axes, recording: Recording, flashes: pd.DataFrame, channel: str) -> None:
    (k,) = pick_channels(recording.ch_names, [channel])
    first = flashes.iloc[0]
    sfreq = recording.rates[int(first["segment"])]
    segment = recording.segments[int(first["segment"])][k]
    begin = max(0, round((float(first["onset"]) - 0.1) * sfreq))
    signal = np.asarray(segment[begin : begin + round(SHOWN_S * sfreq)], float)
    signal -= signal.mean()
    axis.plot(np.arange(len(signal)) / sfreq, signal, color="0.35", lw=0.8)
    onsets = flashes["onset"].to_numpy(float) - begin / sfreq
    is_target = flashes["is_target"].fillna(False).to_numpy(bool)
    for wanted, style, width, height, size in (
        (False, NONTARGET, 0.3, 0.92, 2.5),
        (True, TARGET, 0.8, 0.97, 4),
    ):
        shown = onsets[(is_target == wanted) & (onsets < len(signal) / sfreq)]
        look = {"color": style["color"], "transform": axis.get_xaxis_transform()}
        axis.vlines(shown, 0, 1, lw=width, **look)
        axis.plot(shown, np.full(len(shown), height), "v", ms=size, clip_on=False, **look)
    axis.set_title(f"EEG at {recording.ch_names[k]}: one line per flash")
    axis.set(xlabel="time (s)", ylabel=AMPLITUDES[recording.unit])


def _draw_waves(axis: Axes, epochs: Epochs, channel: str) -> None:
    classes, picked = flash_classes(epochs), pick_channels(epochs.ch_names, [channel])
    means = mean_waves(epochs, classes, picked)
    for kind, style in (("targets", TARGET), ("nontargets", NONTARGET)):
        if kind in means:
            label = f"{len(classes[kind]):,} {kind}"
            axis.plot(epochs.times, means[kind][0], label=label, **style)
    axis.axhline(0, color="0.6", lw=0.6, zorder=0)
    axis.set(title="their averages", xlabel="time from the flash (s)")
    axis.margins(y=0.3)
    axis.legend(loc="upper right")


def _draw_screen(axis: Axes, speller: Speller, evidence: np.ndarray) -> None:
    n_columns = math.ceil(math.sqrt(len(evidence)))
    n_rows = math.ceil(len(evidence) / n_columns)
    padded = np.pad(evidence, (0, n_rows * n_columns - len(evidence)), constant_values=np.nan)
    axis.imshow(padded.reshape(n_rows, n_columns), cmap="cividis_r", aspect="equal")
    middle = (evidence.min() + evidence.max()) / 2
    for k, symbol in enumerate(speller.symbols):
        is_read = k == np.argmax(evidence)
        axis.text(
            k % n_columns, k // n_columns, symbol, ha="center", va="center",
            color="white" if evidence[k] > middle else "black",
            weight="bold" if is_read else "normal", fontsize=12 if is_read else 9,
        )  # fmt: skip
    axis.set_axis_off()
