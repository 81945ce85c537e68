"""The EEG of a run's recording, read again: in its own unit, and as the detector reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p300.preprocessing import Preprocessor
from p300.report.doubt import marked
from p300.report.page import Section, Text, sentence

if TYPE_CHECKING:
    from p300.preprocessing import Epochs
    from p300.recording import Recording

#: Highest rate in Hz of the EEG that is drawn.
DRAWN_SFREQ = 120.0

#: What the units of a recording are called in a sentence.
UNITS = {"uV": "in µV", "mV": "in µV", "V": "in µV", "AD": "in amplifier steps of unknown size"}


def recorded_epochs(recording: Recording, tmin: float, tmax: float) -> Epochs:
    """Cut the EEG around every flash in the unit of the recording, filtered and not scaled.

    All channels, 0.1 to 20 Hz without a shift in time, less the mean of each epoch, whatever a
    detector reads: the pages of all detectors on a recording show the same EEG.

    Parameters
    ----------
    recording : Recording
    tmin, tmax : float
        Interval in seconds from the flash.
    """
    sfreq = min(DRAWN_SFREQ, recording.sfreq)
    steps = Preprocessor(scaling="center", tmin=tmin, tmax=tmax, sfreq=sfreq)
    is_inside = steps.fits(recording)
    if not is_inside.all():  # the checks have said so
        recording = recording.select(is_inside)
    return steps.fit(recording).epochs(recording)


def signal_section(
    recording: Recording | None,
    read: Epochs | None,
    interval: tuple[float, float],
    why_not: str,
    *,
    times_in_doubt: bool = False,
) -> Section:
    """Draw the EEG after a flash, or note why it cannot be drawn.

    Parameters
    ----------
    recording : Recording or None
        Read again; None if it cannot be.
    read : Epochs or None
        The epochs that the detector reads.
    interval : tuple of float
        Seconds from the flash that are drawn.
    why_not : str
        Why there is no recording.
    times_in_doubt : bool
        Whether times are marked.
    """
    from p300.figures import draw_averages, draw_difference_image, draw_scalp_series

    section = Section("The EEG after a flash", times_in_doubt=times_in_doubt)
    if recording is None or read is None:
        section.note(f"The signal is not shown. {sentence(why_not)}")
        return section
    epochs = recorded_epochs(recording, *interval)
    n_flashes, n_chans, n_times = epochs.data.shape
    size = f"{n_flashes:,} flashes, {n_chans} channels, {n_times} samples at {epochs.sfreq:g} Hz"
    text = (
        f"All labelled flashes of the recording, {UNITS[recording.unit]}, filtered from 0.1 to "
        f"20 Hz, less the mean of each epoch: {size}. The page of every detector shows the same."
    )
    section.blocks.append(Text(marked(text) if times_in_doubt else text))
    section.draw(
        "Averages",
        lambda: draw_averages(epochs),
        "Average EEG after target and nontarget flashes, with 95 % intervals at each time over "
        "characters, or blocks of 30 s where there are none.",
    )
    section.draw(
        "Scalp maps",
        lambda: draw_scalp_series(epochs),
        "The same averages on the head, seen from above with the nose upwards, in time windows "
        "after the flash. All maps share one scale. Colours end where no electrode is near.",
        as_pixels=True,
    )
    section.draw(
        "Difference wave",
        lambda: draw_difference_image(epochs),
        "Targets minus nontargets at every channel. Red where targets are more positive.",
    )
    if read.unit != epochs.unit:
        section.draw(
            "What the detector reads",
            lambda: draw_averages(read),
            "What the detector reads: the same flashes after its own preprocessing, in standard "
            "deviations. Each electrode is scaled, so heights differ from those above.",
        )
    return section
