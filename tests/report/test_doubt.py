import re
import warnings

import numpy as np
import pytest
from matplotlib.text import Text
from omegaconf import OmegaConf

from p300.experiments.prepare import read_recording
from p300.figures import draw_averages, draw_scalp_series
from p300.integrity import RATE, check_recording
from p300.preprocessing import Preprocessor
from p300.recording import RateWarning
from p300.report.doubt import mark_figure, marked
from p300.report.integrity import doubt_about_times, findings, integrity_tables
from p300.report.signals import recorded_epochs, signal_section
from p300.simulation import simulate_recording


def doubtful():
    """A reader whose rate is in doubt, and that left a run out."""
    warnings.warn("at 256 Hz the flashes\nare 78 ms apart", RateWarning, stacklevel=2)
    warnings.warn("/home/ada/eeg/s6.mat: run 3 is left out", UserWarning, stacklevel=2)
    return simulate_recording("WATERS", n_repetitions=2, seed=0)


@pytest.fixture
def read(tmp_path):
    data = OmegaConf.create({"read": {"_target_": f"{__name__}.doubtful"}})
    recording = read_recording(data, tmp_path, Preprocessor())
    return recording, (tmp_path / "integrity.txt").read_text("utf-8")


def test_what_a_reader_warns_of_is_in_the_integrity_report_and_its_table(read, tmp_path):
    _, report = read
    rows = {check: finding for _, level, check, _, finding in findings(report) if level == "warn"}
    assert rows == {
        RATE: "at 256 Hz the flashes are 78 ms apart",
        "reader": "…/s6.mat: run 3 is left out",
    }
    (table,) = integrity_tables([tmp_path])
    assert "…/s6.mat: run 3 is left out" in {row[-1] for row in table.rows}


def test_only_a_doubtful_rate_makes_times_doubtful(read):
    recording, report = read
    assert doubt_about_times([report]) == "at 256 Hz the flashes are 78 ms apart"
    sure = check_recording(recording, tmax=0.65, doubts=[UserWarning("run 3 is left out")])
    assert doubt_about_times([f"{recording!r}\n\n{sure}"]) == ""


def test_every_time_on_the_figures_of_a_doubtful_recording_is_marked(read):
    epochs = recorded_epochs(read[0], 0.0, 0.65)
    for draw in (draw_averages, draw_scalp_series):
        figure = mark_figure(draw(epochs))
        texts = [figure.get_label(), *(text.get_text() for text in figure.findobj(Text))]
        times = [text for text in texts if re.search(r"\d s\b|\(s\)", text)]
        assert times and all(re.search(r"(\d s|\(s\)) \(\?\)", text) for text in times)
        assert not re.search(r"\d s after the flash", figure.get_label())


def test_marking_twice_marks_once():
    once = marked("20 Hz, 15.3 bits/min, 50 ms and 5 of 6 characters")
    assert once == "20 Hz (?), 15.3 bits/min (?), 50 ms (?) and 5 of 6 characters"
    assert marked(once) == once


@pytest.mark.slow
def test_the_eeg_of_a_recording_is_the_same_for_every_detector(read):
    recording = read[0]
    few = Preprocessor(channels=["Cz", "Pz"], scaling="zscore_epoch", l_freq=1.0).fit(recording)
    many = Preprocessor(scaling="none", h_freq=10.0).fit(recording)
    shown = []
    for steps in (few, many):
        section = signal_section(recording, steps.epochs(recording), (0.0, 0.65), "")
        averages, maps, difference, *detector = (b for b in section.blocks if hasattr(b, "alt"))
        shown.append((averages.address, maps.address, difference.address))
        assert len(detector) == (steps is few)  # what it reads has another unit
    assert shown[0] == shown[1]


def test_a_p300_of_10_uv_is_drawn_as_10_uv():
    recording = simulate_recording("WADSWORTH", n_repetitions=8, seed=0)
    epochs = recorded_epochs(recording, 0.0, 0.65)
    is_target = epochs.flashes["is_target"].to_numpy(bool)
    wave = epochs.data[is_target].mean(axis=0) - epochs.data[~is_target].mean(axis=0)
    assert epochs.unit == "uV"
    assert np.ptp(wave[epochs.ch_names.index("Pz")]) == pytest.approx(10, rel=0.35)
