import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from p300.errors import InputError
from p300.figures import draw_averages, draw_difference_image, draw_scalp_map, draw_scalp_series
from p300.figures.scalp import electrode_place
from p300.preprocessing import Epochs, Preprocessor
from p300.recording import flash_table
from p300.simulation import EIGHT_CHANNELS, simulate_recording


@pytest.fixture(scope="module")
def epochs():
    recording = simulate_recording("P3_WAVE", n_repetitions=6)
    return Preprocessor(scaling="none").fit(recording).epochs(recording)


#: Enough electrodes for a map; none of them at the edge of the head.
TWENTY = "Fz F3 F4 FC1 FC2 C3 Cz C4 CP1 CP2 CP5 CP6 P3 Pz P4 PO7 PO3 PO4 PO8 Oz".split()


def take(epochs, rows, **changes):
    flashes = epochs.flashes.iloc[rows].reset_index(drop=True)
    return dataclasses.replace(epochs, data=epochs.data[rows], flashes=flashes, **changes)


def truth(epochs):
    return epochs.flashes["is_target"].to_numpy(bool)


def drawn(figure):
    """Lines of a panel by their label."""
    return [{line.get_label(): line for line in axis.lines} for axis in figure.axes]


def test_averages_are_the_means_of_the_two_classes(epochs):
    figure = draw_averages(epochs, ["pz", "FZ"])
    is_target = truth(epochs)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Pz", "Fz"]
    for lines, channel in zip(drawn(figure), (2, 0), strict=True):
        for rows, label in ((is_target, "targets"), (~is_target, "nontargets")):
            line = lines[f"{label} (n = {rows.sum()} flashes, 7 characters)"]
            np.testing.assert_allclose(line.get_xdata(), epochs.times)
            expected = epochs.data[rows, channel].astype(float).mean(axis=0)
            np.testing.assert_allclose(line.get_ydata(), expected, atol=1e-6)
    assert figure.get_supxlabel() == "time from the flash (s)"
    assert figure.get_supylabel() == "amplitude (µV)"


def test_bands_contain_the_mean_and_widen_with_confidence(epochs):
    widths = []
    for confidence in (0.5, 0.95):
        axis = draw_averages(epochs, ["Pz"], confidence=confidence).axes[0]
        bands = [c.get_paths()[0] for c in axis.collections]
        assert len(bands) == 2
        means = [line.get_ydata() for line in axis.lines if "n =" in line.get_label()]
        for path, mean in zip(bands, means, strict=True):
            at = {t: path.vertices[np.isclose(path.vertices[:, 0], t), 1] for t in epochs.times}
            low, high = (np.array([f(v) for v in at.values()]) for f in (np.min, np.max))
            assert (low <= mean).all() and (mean <= high).all()
        widths.append((high - low).mean())
    assert widths[0] < widths[1]


def test_the_band_is_students_interval_where_each_character_has_as_many_flashes(epochs):
    from scipy.stats import t

    path = draw_averages(epochs, ["Pz"]).axes[0].collections[0].get_paths()[0]
    targets = truth(epochs)
    of_character = pd.Series(epochs.data[targets, 2, 10].astype(float)).groupby(
        epochs.flashes["character"].to_numpy()[targets]
    )
    means = of_character.mean()
    half = t.ppf(0.975, 6) * means.std() / np.sqrt(7)
    at = path.vertices[np.isclose(path.vertices[:, 0], epochs.times[10]), 1]
    assert at.min() == pytest.approx(means.mean() - half)
    assert at.max() == pytest.approx(means.mean() + half)


def test_four_characters_are_drawn_without_a_band_and_the_reason_is_said(epochs):
    for n in (1, 4):
        few = take(epochs, np.flatnonzero(epochs.flashes["character"].to_numpy() <= n))
        figure = draw_averages(few)
        assert all(not axis.collections for axis in figure.axes)
        labels = [line.get_label() for line in figure.axes[0].lines if "n =" in line.get_label()]
        assert all("no interval, fewer than 5 characters" in label for label in labels)
        assert len(labels) == 2


def test_flashes_without_label_and_rejected_ones_do_not_count(epochs):
    is_target = pd.array([True, True, False, pd.NA], "boolean")
    four = take(epochs, range(4), is_rejected=np.array([True, False, False, False]))
    four = dataclasses.replace(four, flashes=four.flashes.assign(is_target=is_target))
    lines = drawn(draw_averages(four, ["Cz"]))[0]
    alone = " (n = 1 flash, 1 character: no interval, fewer than 5 characters)"
    np.testing.assert_allclose(lines["targets" + alone].get_ydata(), four.data[1, 1], atol=1e-6)
    np.testing.assert_allclose(lines["nontargets" + alone].get_ydata(), four.data[2, 1], atol=1e-6)


def test_the_sentence_for_those_who_cannot_see_names_the_peak(epochs):
    wave = epochs.data[truth(epochs)].mean(0) - epochs.data[~truth(epochs)].mean(0)
    k, when = np.unravel_index(np.abs(wave).argmax(), wave.shape)
    peak = f"at {EIGHT_CHANNELS[k]} {epochs.times[when]:.2f} s after the flash"
    for draw in (draw_averages, draw_difference_image, draw_scalp_series):
        label = draw(epochs).get_label()
        assert peak in label
        assert "84 target and 420 nontarget flashes" in label


def test_the_difference_image_holds_the_difference_from_front_to_back(epochs):
    figure = draw_difference_image(epochs)
    axis, bar = figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["Fz", "Cz", "P3", "Pz", "P4", "PO7", "PO8", "Oz"]
    wave = epochs.data[truth(epochs)].mean(0, float) - epochs.data[~truth(epochs)].mean(0, float)
    order = [EIGHT_CHANNELS.index(name) for name in names]
    np.testing.assert_allclose(axis.images[0].get_array(), wave[order], atol=1e-6)
    low, high = axis.images[0].get_clim()
    assert low == -high
    left, right = axis.images[0].get_extent()[:2]
    assert left == pytest.approx(-0.5 / 120) and right == pytest.approx(77.5 / 120)
    assert axis.get_xlabel() == "time from the flash (s)"
    assert bar.get_ylabel() == "amplitude (µV)"


def test_scalp_series_has_a_map_for_every_class_and_window(epochs):
    figure = draw_scalp_series(epochs, edges=[0.2, 0.3, 0.4])
    *maps, bar = figure.axes
    assert len(maps) == 6 and bar.get_ylabel() == "amplitude (µV)"
    assert [axis.get_title() for axis in maps[:2]] == ["0.2–0.3 s", "0.3–0.4 s"]
    assert [axis.texts[0].get_text() for axis in maps[::2]] == [
        "targets",
        "nontargets",
        "difference",
    ]
    limits = {axis.collections[0].get_clim() for axis in maps}
    assert len(limits) == 1
    inside = (epochs.times >= 0.2) & (epochs.times < 0.4)
    largest = max(
        np.abs(epochs.data[rows][..., part].mean((0, 2))).max()
        for rows in (truth(epochs), ~truth(epochs))
        for part in (inside & (epochs.times < 0.3), inside & (epochs.times >= 0.3))
    )
    assert max(limits)[1] >= largest - 1e-6


def test_scalp_series_leaves_out_channels_without_a_place(epochs):
    odd = dataclasses.replace(epochs, ch_names=("EOG", *EIGHT_CHANNELS[1:]))
    figure = draw_scalp_series(odd)
    assert "without place: EOG" in figure.get_suptitle()
    nowhere = dataclasses.replace(epochs, ch_names=tuple(f"E{k}x" for k in range(8)))
    with pytest.raises(InputError, match="0 of 8 channels have a place"):
        draw_scalp_series(nowhere)


def test_one_class_gives_one_row_of_maps_and_no_difference(epochs):
    nontargets = take(epochs, np.flatnonzero(~truth(epochs)))
    assert len(draw_scalp_series(nontargets, edges=[0, 0.2, 0.4]).axes) == 2 + 1
    with pytest.raises(InputError, match="0 target and 420 nontarget flashes; expected both"):
        draw_difference_image(nontargets)


@pytest.mark.parametrize("draw", [draw_averages, draw_scalp_series, draw_difference_image])
def test_unlabelled_flashes_and_broken_samples_are_refused(epochs, draw):
    unlabelled = epochs.flashes.assign(
        is_target=pd.array([pd.NA] * len(epochs.flashes), "boolean")
    )
    with pytest.raises(InputError, match="0 of 504 flashes are labelled.*expected at least one"):
        draw(dataclasses.replace(epochs, flashes=unlabelled))
    data = epochs.data.copy()
    data[3, 0, 0] = np.nan
    with pytest.raises(InputError, match="1 of 504 epochs hold samples that are not finite"):
        draw(dataclasses.replace(epochs, data=data))


def test_wrong_requests_name_what_there_is(epochs):
    with pytest.raises(InputError, match="got channels Xz; expected .* the 8 channels Fz, Cz"):
        draw_averages(epochs, ["Cz", "Xz"])
    with pytest.raises(InputError, match=r"\[0.7, 0.8\) s holds no sample"):
        draw_scalp_series(epochs, edges=[0.6, 0.7, 0.8])
    with pytest.raises(InputError, match="1 edges"):
        draw_scalp_series(epochs, edges=[0.6])


def test_signals_of_one_sample_and_of_no_unit_are_drawn():
    data = np.ones((4, 3, 1), np.float32)
    flashes = flash_table(onset=np.arange(4.0), is_target=[True, False, True, False])
    tiny = Epochs(data, flashes, ("Fz", "Cz", "Pz"), 120.0, unit="sd")
    assert draw_averages(tiny).get_supylabel() == "amplitude (standard deviations)"
    assert draw_difference_image(tiny).axes[0].images[0].get_clim() == (-1, 1)
    assert len(draw_scalp_series(tiny).axes) == 3 + 1


def dot_at(name, dots):
    """The value of the dot that lies on an electrode."""
    centres = np.array([path.get_extents().get_points().mean(axis=0) for path in dots.get_paths()])
    off = np.hypot(*(centres - electrode_place(name)).T)
    assert off.min() < 1e-6
    return dots.get_array()[off.argmin()]


def test_a_scalp_map_takes_names_in_any_case_and_marks_electrodes():
    ax = Figure().subplots()
    names = ["FZ", "cz", "Pz.", "OZ"]
    dots = draw_scalp_map([1.0, -2.0, 0.5, 1.5], names, ax, marked=["oz"])
    assert dots.get_clim() == (-2, 2)
    assert dots.get_cmap().name == "RdBu_r"
    assert [dot_at(name, dots) for name in ("Fz", "Cz", "Pz", "Oz")] == [1, -2, 0.5, 1.5]
    assert np.argmax(dots.get_linewidth()) == 3
    ax = Figure().subplots()
    draw_scalp_map(np.arange(20.0), TWENTY, ax, marked=["oz"])
    marks = [line for line in ax.lines if line.get_markerfacecolor() == "w"]
    assert len(marks) == 1
    assert float(marks[0].get_ydata()[0]) == pytest.approx(0.095 * electrode_place("Oz")[1])


@pytest.mark.parametrize("peaks", [["P3", "P4"], ["Oz"], ["Fz", "PO7"]])
def test_nothing_drawn_on_a_head_exceeds_the_range_of_the_values(peaks):
    for names in (EIGHT_CHANNELS, TWENTY):
        values = np.isin(names, peaks).astype(float)
        drawn = np.ma.filled(draw_scalp_map(values, names, Figure().subplots()).get_array(), 0.0)
        assert values.min() - 1e-9 <= np.nanmin(drawn) and np.nanmax(drawn) <= 1 + 1e-9
        assert np.nanmax(drawn) > 0.9


def test_colours_end_near_the_outer_electrodes():
    ax = Figure().subplots()
    image = draw_scalp_map(np.ones(20), TWENTY, ax)
    outline = image.get_clip_path().get_fully_transformed_path()

    def is_coloured(name):
        return outline.contains_point(
            ax.transData.transform(0.095 * np.array(electrode_place(name)))
        )

    assert all(map(is_coloured, TWENTY))
    assert not any(map(is_coloured, ("Fpz", "AF7", "T9", "T10", "Iz")))


def test_a_scalp_map_shows_the_peak_where_the_electrode_is():
    values = 5.0 * (np.array(TWENTY) == "C4")
    image = draw_scalp_map(values, TWENTY, Figure().subplots(), limits=(0, 5))
    grid = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    row, column = np.unravel_index(np.nanargmax(grid), grid.shape)
    x = left + (right - left) * column / (grid.shape[1] - 1)
    y = bottom + (top - bottom) * row / (grid.shape[0] - 1)
    expected = 0.095 * np.array(electrode_place("C4"))
    np.testing.assert_allclose([x, y], expected, atol=0.012)
    assert expected[0] > 0.03  # C4 is on the right


def test_all_electrodes_lie_within_the_head_left_of_right_and_front_of_back():
    names = "Fpz AF7 T9 T10 TP9 Iz Oz Cz M1".split()
    place = {name: electrode_place(name) for name in names}
    assert all(np.hypot(*p) < 0.96 for p in place.values())
    assert place["T9"][0] < 0 < place["T10"][0]
    assert place["Iz"][1] < place["Oz"][1] < place["Cz"][1] < place["Fpz"][1]


@pytest.mark.parametrize(
    ("values", "names", "marked", "message"),
    [
        ([1, 2, 3], ["Cz", "Pz", "EMG"], (), "1 of 3 channels have no place on the head: EMG"),
        ([1, 2, 3], ["Cz", "Pz", "cz"], (), "channels are repeated: Cz, cz; expected each once"),
        ([1, 2], ["Cz", "Pz"], (), "2 electrodes; expected at least 3"),
        ([1, 2], ["Cz", "Pz", "Fz"], (), "for 3 channels; expected one value per channel"),
        (
            [1, np.nan, 2],
            ["Cz", "Pz", "Fz"],
            (),
            "not finite, those of Pz; expected finite",
        ),
        (
            [1, 2, 3],
            ["Cz", "Pz", "Fz"],
            ["Oz"],
            "got marked=oz; expected .* Cz, Pz, Fz",
        ),
    ],
)
def test_a_scalp_map_says_what_it_cannot_draw(values, names, marked, message):
    with pytest.raises(InputError, match=message):
        draw_scalp_map(values, names, Figure().subplots(), marked=marked)


@pytest.mark.real_data
def test_real_eeg_peaks_at_the_vertex_near_300_ms(data_root):
    from p300.readers.datasets.bci2_iib import read

    recording = read(data_root / "bci2_iib")
    epochs = Preprocessor(scaling="none").fit(recording).epochs(recording)
    figure = draw_difference_image(epochs)
    assert figure.axes[1].get_ylabel() == "amplitude (A/D units)"
    assert "at Cz 0.31 s after the flash" in figure.get_label()
    assert len(draw_scalp_series(epochs).axes) == 3 * 6 + 1
