"""The EEG of a run's recording, which is read and preprocessed again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from p300.report.page import Section, Text, sentence

if TYPE_CHECKING:
    from p300.preprocessing import Epochs


def take(epochs: Epochs, rows: np.ndarray) -> Epochs:
    """Return some of the flashes; ``rows`` is a mask or row numbers."""
    rejected = epochs.is_rejected
    return dataclasses.replace(
        epochs,
        data=epochs.data[rows],
        flashes=epochs.flashes.iloc[np.arange(len(epochs.flashes))[rows]].reset_index(drop=True),
        is_rejected=None if rejected is None else rejected[rows],
    )


def signal_section(epochs: Epochs | None, why_not: str) -> Section:
    """Draw the EEG after a flash, or note why it cannot be drawn."""
    from p300.figures import draw_averages, draw_difference_image, draw_scalp_series

    section = Section("The EEG after a flash")
    if epochs is None:
        section.note(f"The signal is not shown. {sentence(why_not)}")
        return section
    n_flashes, n_chans, n_times = epochs.data.shape
    size = f"{n_flashes:,} flashes, {n_chans} channels, {n_times} samples at {epochs.sfreq:g} Hz"
    text = "All labelled flashes of the recording, read again and preprocessed as the detector "
    section.blocks.append(Text(f"{text}reads them: {size}."))
    section.draw(
        "Averages",
        lambda: draw_averages(epochs),
        "Average EEG after target and nontarget flashes. Where the bands do not overlap, the two "
        "differ. Bands resample characters, or blocks of 30 s where there are none.",
    )
    section.draw(
        "Scalp maps",
        lambda: draw_scalp_series(epochs),
        "The same averages on the head, seen from above with the nose upwards, in time windows "
        "after the flash. All maps share one scale.",
        as_pixels=True,
    )
    section.draw(
        "Difference wave",
        lambda: draw_difference_image(epochs),
        "Targets minus nontargets at every channel. Red where targets are more positive.",
    )
    return section
