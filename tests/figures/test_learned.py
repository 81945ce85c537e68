import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from p300.errors import InputError
from p300.explain.attribution import Attribution
from p300.explain.occlusion import Occlusion
from p300.figures import attribution as drawn_attribution
from p300.figures import learned as drawn_learned
from p300.figures.attribution import draw_attribution, draw_occlusion, draw_pattern_series
from p300.figures.learned import (
    draw_electrode_power,
    draw_filters_and_patterns,
    draw_temporal_kernels,
)
from p300.figures.scalp import SIGNED
from p300.readers.datasets.bci3_ii import CH_NAMES
from p300.simulation import EIGHT_CHANNELS

TIMES = np.arange(78) / 120


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def maps(monkeypatch):
    """What was drawn on scalps: values and limits."""
    drawn = []

    def spy(values, ch_names, ax, limits, marked=()):
        drawn.append((np.asarray(values, float), limits, list(marked)))
        return scalp(values, ch_names, ax, limits, marked)

    scalp = drawn_learned.scalp
    monkeypatch.setattr(drawn_learned, "scalp", spy)
    monkeypatch.setattr(drawn_attribution, "scalp", spy)
    return drawn


def occlusion(loss):
    loss = np.asarray(loss, float)
    return Occlusion(0.9, loss, loss - 0.01, loss + 0.02, 2 * loss, "mean", 300, 12, "characters")


def windows():
    edges = np.append(np.arange(0, 0.65, 0.1), 0.65)
    return np.column_stack([edges[:-1], edges[1:]])


def examples(rng, ch_names):
    """Every figure of what was learned, of random numbers."""
    n = len(ch_names)
    filters = rng.normal(size=(10, n))
    found = Attribution(rng.normal(0.2, 1, (n, 78)), 1.5, -2.0, "nontarget", 180, 1e-5)
    losses = occlusion(rng.normal(size=n) / 20), occlusion(rng.normal(size=7) / 20)
    signal, weights = rng.normal(size=(2, n, 78))
    return {
        "power": draw_electrode_power(rng.random(n), ch_names),
        "power by subject": draw_electrode_power(
            {"A": rng.random(n), "B": rng.random(n)}, ch_names
        ),
        "filters": draw_filters_and_patterns(filters, -filters, ch_names),
        "one filter": draw_filters_and_patterns(filters[:1], filters[:1], ch_names),
        "seven filters": draw_filters_and_patterns(filters[:7], filters[:7], ch_names),
        "kernels": draw_temporal_kernels(rng.normal(size=(50, 13)), 120.0, h_freq=20.0),
        "one kernel": draw_temporal_kernels(rng.normal(size=(1, 60)), 120.0),
        "attribution": draw_attribution(found, ch_names, TIMES),
        "occlusion": draw_occlusion(*losses, windows(), ch_names),
        "series": draw_pattern_series(signal, ch_names, TIMES, weights=weights, unit="uV"),
        "nonlinear series": draw_pattern_series(signal, ch_names, TIMES),
    }


@pytest.mark.slow
@pytest.mark.parametrize("ch_names", [CH_NAMES, EIGHT_CHANNELS], ids=["64", "8"])
def test_every_figure_is_described_in_a_sentence_and_readable_without_a_window(rng, ch_names):
    before = dict(plt.rcParams)
    for name, figure in examples(rng, ch_names).items():
        assert isinstance(figure, Figure), name
        assert figure.get_label().endswith(".") and len(figure.get_label()) > 60, name
        figure.savefig(io.BytesIO(), format="png")
        texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
        assert min(t.get_fontsize() for t in texts) >= 8, name
        assert figure.get_figwidth() == 7
    assert plt.get_fignums() == [] and dict(plt.rcParams) == before


@pytest.mark.slow
def test_signed_maps_are_blue_white_red_with_white_at_zero(rng, maps):
    figures = examples(rng, CH_NAMES)
    for name in ("filters", "attribution", "occlusion", "series", "kernels"):
        images = [i for axis in figures[name].axes for i in axis.images]
        signed = [i for i in images if i.get_cmap().name == SIGNED]
        assert signed, name
        for image in signed:
            low, high = image.get_clim()
            assert low == -high < 0, name
    assert all(limits[0] == -limits[1] for values, limits, _ in maps if (values < 0).any())


def test_the_strongest_electrodes_are_marked_and_named_with_their_power(maps):
    power = np.ones(64)
    power[[CH_NAMES.index("Pz"), CH_NAMES.index("PO7")]] = 4, 3
    figure = draw_electrode_power(power, CH_NAMES)
    (values, limits, marked), *_ = maps
    assert limits == (0, pytest.approx(4 / power.mean()))
    assert values[CH_NAMES.index("Pz")] == pytest.approx(4 / power.mean())
    assert marked[:2] == ["Pz", "PO7"] and len(marked) == 8
    assert f"are Pz ({4 / power.mean():.2f}), PO7 ({3 / power.mean():.2f})" in figure.get_label()
    names = [t.get_text() for t in figure.axes[1].get_xticklabels()]
    assert names[:2] == ["Pz", "PO7"] and len(names) == 16
    assert figure.axes[1].patches[0].get_height() == pytest.approx(4 / power.mean())


def test_subjects_share_one_scale_and_keep_their_names(maps):
    figure = draw_electrode_power({"A": [1, 1, 4], "B": [1, 1, 2]}, ["Cz", "Fz", "Pz"])
    assert maps[0][1] == maps[1][1] == (0, 2.0)
    assert "A: Pz (2.00)" in figure.get_label() and "B: Pz (1.50)" in figure.get_label()
    assert {"A", "B"} <= {axis.get_title(loc="left") for axis in figure.axes}


def test_a_filter_is_turned_together_with_its_pattern(maps):
    filters = np.array([[1.0, 2.0, 0.0, -1.0], [1.0, 0.0, 0.0, 0.0]])
    patterns = np.array([[0.5, 1.0, -4.0, 1.0], [0.0, 3.0, -1.0, 0.0]])
    figure = draw_filters_and_patterns(filters, patterns, ["Fz", "Cz", "Pz", "Oz"])
    np.testing.assert_allclose(maps[0][0], [-0.5, -1, 0, 0.5])
    np.testing.assert_allclose(maps[1][0], [-0.125, -0.25, 1, -0.25])
    np.testing.assert_allclose(maps[2][0], [1, 0, 0, 0])
    np.testing.assert_allclose(maps[3][0], [0, 1, -1 / 3, 0])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:4] == ["filter 1", "pattern 1: Pz", "filter 2", "pattern 2: Cz"]
    alike = abs(np.corrcoef(patterns)[0, 1])
    assert "at Pz, Cz" in figure.get_label() and f"by {alike:.2f} on" in figure.get_label()


def test_filters_without_their_patterns_are_refused():
    with pytest.raises(
        InputError,
        match=r"\(2, 3\) and .* \(1, 3\); expected .*\(n_filters, 3\)",
    ):
        draw_filters_and_patterns(np.ones((2, 3)), np.ones((1, 3)), ["Fz", "Cz", "Pz"])


def test_the_response_of_a_kernel_stands_over_hertz():
    kernel = np.cos(2 * np.pi * 10 * np.arange(60) / 120)
    figure = draw_temporal_kernels([kernel, 0.1 * kernel], 120.0, h_freq=20.0)
    assert "largest at 10 Hz" in figure.get_label()
    panel = next(a for a in figure.axes if a.get_xlabel() == "frequency (Hz)")
    hertz, gain = panel.lines[0].get_data()
    assert (hertz[0], hertz[-1]) == (0, 60) and hertz[gain.argmax()] == pytest.approx(10, abs=0.25)
    panel = next(a for a in figure.axes if a.get_xlabel().startswith("time"))
    assert panel.get_title(loc="left") == "the strongest, kernel 1"
    weights, below = (line for line in panel.lines if len(line.get_xdata()) == 60)
    assert weights.get_xdata()[-1] == pytest.approx(1000 * 59 / 120)
    np.testing.assert_allclose(weights.get_ydata(), kernel)
    inside = slice(10, 50)  # 10 Hz is below 20 Hz, but for the ends
    np.testing.assert_allclose(below.get_ydata()[inside], kernel[inside], atol=0.1)


def test_an_attribution_is_drawn_where_and_when_it_is(maps):
    values = np.full((64, 78), 0.001)
    values[CH_NAMES.index("Pz"), 36:40] = 0.5
    figure = draw_attribution(Attribution(values, 3.0, 1.0, "zero", 42, 0.0), CH_NAMES, TIMES)
    whole, at_peak = maps[0][0], maps[1][0]
    np.testing.assert_allclose(whole, 100 * values.sum(axis=1) / values.sum())
    assert CH_NAMES[at_peak.argmax()] == "Pz" and at_peak.max() < 100 * 2.01 / values.sum()
    label = figure.get_label()
    assert f"42 targets, {values.sum():.2f} above that of an epoch of zeros" in label
    assert f"from Pz ({100 * 2.074 / values.sum():.0f} %)" in label and "and at 0.30 s." in label
    image = figure.axes[0].images[0].get_array()
    assert image.sum() == pytest.approx(100)
    with pytest.raises(InputError, match="expected more than 0"):
        draw_attribution(Attribution(-values, 1.0, 3.0, "zero", 42, 0.0), CH_NAMES, TIMES)
    row = np.unravel_index(image.argmax(), image.shape)[0]
    named = dict(zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True))
    assert named[row].get_text() == "Pz"  # the strongest row is never left unnamed
    gaps = np.diff(sorted(named))
    assert gaps.min() >= 2


def test_the_electrode_and_window_with_the_largest_loss_are_named():
    loss = np.zeros(64)
    loss[CH_NAMES.index("PO8")] = 0.08
    figure = draw_occlusion(
        occlusion(loss), occlusion([0, 0, 0, 0.2, 0, 0, 0]), windows(), CH_NAMES
    )
    label = figure.get_label()
    assert "PO8 (0.080)" in label and "0.30 to 0.40 s (0.200)" in label and "of 0.900" in label
    bars = next(a for a in figure.axes if a.get_title(loc="left").startswith("the 16"))
    assert bars.get_xticklabels()[0].get_text() == "PO8"
    assert bars.patches[0].get_height() == pytest.approx(0.08)
    low, high = bars.collections[0].get_segments()[0][:, 1]
    assert (low, high) == (pytest.approx(0.07), pytest.approx(0.10))


@pytest.mark.slow
def test_a_window_of_the_series_shows_the_mean_of_its_samples(maps):
    pattern = np.arange(78.0) * np.ones((64, 1))
    pattern[CH_NAMES.index("Cz"), 40] = 100
    figure = draw_pattern_series(pattern, CH_NAMES, TIMES, width_s=0.1, unit="uV")
    assert len(maps) == 7  # 78 samples: six windows of 12, one of 6
    np.testing.assert_allclose([m[0][0] for m in maps], [5.5, 17.5, 29.5, 41.5, 53.5, 65.5, 74.5])
    assert [a.get_title() for a in figure.axes[:7]][-1] == "0.60–0.65"
    assert "at Cz at 0.33 s, +100 uV per unit" in figure.get_label()


@pytest.mark.slow
def test_a_channel_without_a_place_stays_in_the_ranking_and_off_the_map():
    names = ["Cz", "Fz", "Pz", "Oz", "EMG"]
    figure = draw_electrode_power([1, 1, 1, 1, 6], names)
    assert figure.axes[1].get_xticklabels()[0].get_text() == "EMG"
    figure.savefig(io.BytesIO())
    draw_filters_and_patterns(np.eye(5), np.eye(5), names).savefig(io.BytesIO())
