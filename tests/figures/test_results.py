import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

from p300.errors import InputError
from p300.figures import (
    draw_accuracy,
    draw_confusion,
    draw_reliability,
    draw_roc,
    draw_scores,
    published_accuracy,
)
from p300.figures.confusion import symbol_families
from p300.figures.tables import reliability
from p300.metrics import bits_per_minute, calibration_error, roc_auc, wilson_interval
from p300.metrics.published import CHARACTERS
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH, Speller
from p300.spelling import accuracy_by_repetition, spell

TEXT = "P3_WAVE"


@pytest.fixture(scope="module")
def flashes():
    return simulate_recording(TEXT, n_repetitions=4, ch_names=("Cz",)).flashes


@pytest.fixture(scope="module")
def scores(flashes):
    """A prediction table as a run writes it: log odds, with a train part to be left out."""
    rng = np.random.default_rng(1)
    is_target = flashes["is_target"].to_numpy(bool)
    test = flashes.assign(part="test", score=2.0 * is_target - 2.5 + rng.normal(size=len(flashes)))
    return pd.concat([test, test.assign(part="train", score=-test["score"])], ignore_index=True)


def labels(axis):
    return [line.get_label() for line in axis.lines if not line.get_label().startswith("_")]


def accuracies(*n_right, n_all=20):
    rows = []
    for n, right in enumerate(n_right, start=1):
        low, high = wilson_interval(right, n_all)
        rate = float(bits_per_minute(right / n_all, n, repetition_s=1.4, pause_s=1.0))
        rows.append(
            {
                "n_repetitions": n,
                "n_right": right,
                "n_characters": n_all,
                "accuracy": right / n_all,
                "low": low,
                "high": high,
                "bits_per_minute": rate,
            }
        )
    return rows


def test_the_area_under_the_drawn_roc_curve_is_the_auc_of_the_test_part(scores):
    figure = draw_roc({"lda": scores})
    (axis,) = figure.axes
    (curve,) = [x for x in axis.lines if x.get_label().startswith("lda")]
    test = scores[scores["part"] == "test"]
    auc = roc_auc(test["is_target"].to_numpy(bool), test["score"])
    assert trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(auc)
    assert f"AUC {auc:.3f} [" in curve.get_label() and "336 flashes" in curve.get_label()
    assert f"lda {auc:.3f}" in figure.get_label()
    assert "nontargets" in axis.get_xlabel() and "targets" in axis.get_ylabel()
    ends, _, n = curve.get_label().split("[")[1].split("]")[0].partition("; n = ")
    low, high = (float(x) for x in ends.split(","))
    assert low < auc < high and int(n) == 7


def test_the_roc_marker_stands_at_the_threshold_zero(scores):
    axis = draw_roc(scores).axes[0]
    marker = [line for line in axis.lines if line.get_linestyle() == "None"][0]
    test = scores[scores["part"] == "test"]
    called, is_target = test["score"] > 0, test["is_target"].astype(bool)
    assert marker.get_xdata()[0] == pytest.approx(called[~is_target].mean())
    assert marker.get_ydata()[0] == pytest.approx(called[is_target].mean())


def test_detectors_differ_in_colour_and_in_line_style(scores):
    axis = draw_roc({name: scores for name in "abcdefg"}).axes[0]
    curves = [line for line in axis.lines if line.get_label()[0] in "abcdefg"]
    assert len({line.get_color() for line in curves}) == 7
    assert len({line.get_linestyle() for line in curves}) == 4


@pytest.mark.parametrize("draw", [draw_roc, draw_reliability, draw_scores])
def test_what_is_wrong_with_a_table_of_scores_is_said(scores, draw):
    with pytest.raises(InputError, match="no flash of part 'validation'; expected one of test"):
        draw(scores, part="validation")
    with pytest.raises(InputError, match="lda: no column score; expected is_target and score"):
        draw({"lda": scores.drop(columns="score")})
    with pytest.raises(InputError, match="none of 336 flashes is labelled"):
        draw(scores.assign(is_target=pd.NA))
    with pytest.raises(InputError, match="1 of 336 scores are not finite"):
        draw(scores.assign(score=scores["score"].where(scores.index > 0)))
    with pytest.raises(InputError, match="at least one detector"):
        draw({})


def test_one_class_has_scores_and_reliability_but_no_roc_curve(scores):
    nontargets = scores[~scores["is_target"].astype(bool)]
    with pytest.raises(InputError, match="0 targets and 280 nontargets; expected both"):
        draw_roc(nontargets)
    figure = draw_scores(nontargets)
    assert "0 targets, 280 nontargets" in figure.axes[0].get_title(loc="left")
    bars = draw_reliability(nontargets).axes[0].containers[0]
    assert (bars[0].get_ydata() == 0).all()


def test_one_flash_is_drawn():
    one = pd.DataFrame({"is_target": [True], "score": [0.3]})
    assert "median +0.30 of targets" in draw_scores({"x": one}).get_label()
    assert "1 flash" in draw_reliability(one).get_label()


def test_reliability_shows_fractions_with_intervals_around_them(scores):
    figure = draw_reliability({"lda": scores}, added_log_odds={"lda": 0.5}, n_bins=5)
    axis, below = figure.axes
    test = scores[scores["part"] == "test"]
    is_target, log_odds = test["is_target"].to_numpy(bool), test["score"].to_numpy() + 0.5
    probability = 1 / (1 + np.exp(-log_odds))
    expected = reliability(is_target, probability, 5)
    (points,) = [c for c in axis.containers]
    np.testing.assert_allclose(points[0].get_xdata(orig=False), expected["probability"])
    np.testing.assert_allclose(points[0].get_ydata(orig=False), expected["fraction"])
    inside = [np.floor(probability * 5) == k for k in range(5)]
    by_hand = [is_target[rows].mean() for rows in inside if rows.any()]
    np.testing.assert_allclose(points[0].get_ydata(orig=False), by_hand)
    has_interval = expected["n_flashes"] >= 5
    for segment, row in zip(points[2][0].get_segments(), expected.itertuples(), strict=True):
        assert len(segment) == 0 or segment[0][1] <= row.fraction <= segment[1][1]
    assert expected["low"].notna().equals(has_interval)
    assert f"{calibration_error(is_target, log_odds, n_bins=5):.3f}" in figure.get_label()
    assert below.get_ylabel() == "flashes"


def test_score_distributions_hold_every_flash_of_each_class(scores):
    figure = draw_scores({"a": scores, "b": scores})
    assert len(figure.axes) == 2
    outlines = {p.get_label(): p for p in figure.axes[0].patches if p.get_label() in KINDS}
    assert set(outlines) == KINDS
    for outline in outlines.values():
        assert outline.get_data().values.sum() == pytest.approx(100)
    test = scores[scores["part"] == "test"]
    median = test.loc[test["is_target"].astype(bool), "score"].median()
    assert f"{median:+.2f} of targets" in figure.get_label()
    assert "%" in figure.get_supylabel() and "score" in figure.get_supxlabel()


KINDS = {"targets", "nontargets"}


def test_accuracy_and_bits_are_those_of_the_table():
    figure = draw_accuracy({"lda": accuracies(8, 12, 20), "cnn1": accuracies(5, 10, 15)})
    left, right = figure.axes
    assert labels(left) == ["lda (n = 20)", "cnn1 (n = 20)"]
    assert left.lines[0].get_ydata().tolist() == [40, 60, 100]
    np.testing.assert_allclose(
        right.lines[1].get_ydata(), [row["bits_per_minute"] for row in accuracies(5, 10, 15)]
    )
    assert left.get_xlabel() == right.get_xlabel() == "repetitions"
    assert left.get_ylabel() == "characters right (%), 95 % interval"
    assert right.get_ylabel() == "bits per minute, 95 % interval"
    assert "lda 100 % after 3 (n = 20); cnn1 75 % after 3 (n = 20)" in figure.get_label()


def test_bands_of_bits_are_those_of_the_accuracy_in_the_time_of_the_table():
    table = accuracies(8, 12, 20)
    left, right = draw_accuracy({"lda": table}).axes
    for axis, low_high in (
        (left, lambda row: (100 * row["low"], 100 * row["high"])),
        (
            right,
            lambda row: bits_per_minute(
                [row["low"], row["high"]], row["n_repetitions"], repetition_s=1.4, pause_s=1.0
            ),
        ),
    ):
        vertices = axis.collections[0].get_paths()[0].vertices
        for row in table:
            at = vertices[np.isclose(vertices[:, 0], row["n_repetitions"]), 1]
            np.testing.assert_allclose([at.min(), at.max()], low_high(row))


def test_intervals_become_bars_and_then_vanish_as_detectors_grow():
    few = draw_accuracy({str(k): accuracies(k + 1, k + 9) for k in range(3)}).axes[0]
    assert len(few.collections) == 3 and few.get_ylabel().endswith("95 % interval")
    many = draw_accuracy({str(k): accuracies(k + 1, k + 9) for k in range(6)}).axes[0]
    assert not many.collections and many.get_ylabel() == "characters right (%)"


def test_published_curves_are_drawn_beside_the_measured():
    figure = draw_accuracy({"cnn1": accuracies(8, 12)}, published=["cnn1", "mcnn1"], subject="B")
    left, right = figure.axes
    assert labels(left)[1:] == ["cnn1, published, B (n = 100)", "mcnn1, published, B (n = 100)"]
    np.testing.assert_allclose(left.lines[1].get_ydata(), CHARACTERS["cnn1", "B"])
    np.testing.assert_allclose(
        right.lines[1].get_ydata(),
        bits_per_minute(np.array(CHARACTERS["cnn1", "B"]) / 100, np.arange(1, 16)),
    )
    both = published_accuracy("cnn1")
    assert both["accuracy"].iloc[-1] == pytest.approx(0.945)
    assert (both["low"] <= both["accuracy"]).all() and (both["accuracy"] <= both["high"]).all()
    assert both["bits_per_minute"].max() == pytest.approx(12.69, abs=0.01)
    with pytest.raises(
        InputError, match="no published result of cnn9, subject A or cnn9, subject B; expected"
    ):
        draw_accuracy({}, published=["cnn9"])


def test_one_repetition_and_chance_are_drawn():
    left, right = draw_accuracy({"lda": accuracies(10)}).axes
    assert left.lines[0].get_ydata().tolist() == [50]
    assert left.get_xlim() == (0.5, 1.5)
    assert len(right.collections) == 1
    at_chance = draw_accuracy({"lda": accuracies(0, 0)})
    assert at_chance.axes[1].lines[0].get_ydata().tolist() == [0, 0]


def test_accuracy_without_known_text_is_refused(flashes):
    hidden = flashes.assign(is_target=pd.array([pd.NA] * len(flashes), "boolean"))
    spelled = spell(np.zeros(len(flashes)), hidden, WADSWORTH)
    table = accuracy_by_repetition(spelled, WADSWORTH, repetition_s=2.1, pause_s=2.5)
    with pytest.raises(InputError, match="lda: none of 4 rows has an accuracy"):
        draw_accuracy({"lda": table})
    with pytest.raises(InputError, match="no character of 28 rows has a known symbol; expected"):
        draw_confusion(spelled, WADSWORTH)
    with pytest.raises(InputError, match="no column high, low"):
        draw_accuracy({"lda": table.drop(columns=["low", "high"])})
    with pytest.raises(InputError, match="at least one detector"):
        draw_accuracy({})


def test_accuracy_alone_is_drawn_where_no_bits_are_known():
    table = pd.DataFrame(accuracies(3, 9)).drop(columns=["bits_per_minute", "n_characters"])
    figure = draw_accuracy(table)
    assert len(figure.axes) == 1
    assert labels(figure.axes[0]) == ["detector"]


def confused(wanted, read, speller=WADSWORTH):
    return pd.DataFrame(
        {
            "subject": "1",
            "session": "1",
            "run": 1,
            "character": range(1, len(wanted) + 1),
            "n_repetitions": 5,
            "symbol": list(read),
            "wanted": list(wanted),
        }
    )


def cells(axis):
    """Numbers written into a confusion matrix: {(wanted, read): count}."""
    return {(t.get_position()[1], t.get_position()[0]): int(t.get_text()) for t in axis.texts}


def test_confusions_are_counted_by_row_and_by_column():
    # A→B: column wrong; A→G: row wrong; A→H: both; A→A, Z→Z right
    figure = draw_confusion(confused("AAAAZ", "BGHAZ"), WADSWORTH)
    column, row = figure.axes
    assert cells(column) == {(0, 1): 2, (0, 0): 2, (1, 1): 1}
    assert cells(row) == {(0, 0): 2, (0, 1): 2, (4, 4): 1}
    assert column.get_xlabel() == "column read" and row.get_ylabel() == "row wanted"
    assert [t.get_text() for t in row.get_yticklabels()][0] == "ABCDEF"
    assert [t.get_text() for t in column.get_xticklabels()][5] == "FLRX4_"
    assert (
        "2 of 5 characters right after 5 repetitions; 1 with only the column right, "
        "1 with only the row right, 1 with neither"
    ) in figure.get_label()


def test_confusions_after_fewer_repetitions_are_read_then(flashes):
    rng = np.random.default_rng(0)
    score = flashes["is_target"].to_numpy(float) + rng.normal(size=len(flashes))
    spelled = spell(score, flashes, WADSWORTH)
    for n in (1, 4):
        n_right = spelled.loc[spelled["n_repetitions"] == n, "is_right"].sum()
        label = draw_confusion(spelled, WADSWORTH, n_repetitions=n).get_label()
        assert f"{n_right} of 7 characters right after {n} repetition" in label
    assert "after 4 repetitions" in draw_confusion(spelled, WADSWORTH).get_label()


def test_other_screens_have_the_panels_that_their_codes_allow():
    keys = Speller.single_keys(["yes", "no"])
    figure = draw_confusion(confused(["yes", "no"], ["no", "no"]), keys)
    (axis,) = figure.axes
    assert cells(axis) == {(0, 1): 1, (1, 1): 1}
    assert [t.get_text() for t in axis.get_xticklabels()] == ["yes", "no"]
    scattered = Speller(tuple("ABC"), {1: ("A", "B"), 2: ("B", "C"), 3: ("C",)})
    assert list(symbol_families(scattered)) == ["symbol"]
    rows_first = Speller(tuple("ABCD"), {1: "AB", 2: "CD", 3: "AC", 4: "BD"})
    assert list(symbol_families(rows_first)) == ["row", "column"]
    with pytest.raises(InputError, match="symbols # are not on the screen"):
        draw_confusion(confused("A", "#"), WADSWORTH)


def test_drawing_leaves_the_global_style_alone(scores):
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_scores(scores)
    assert dict(matplotlib.rcParams) == before


def test_importing_the_figures_imports_neither_matplotlib_nor_mne():
    import subprocess
    import sys

    heavy = "matplotlib mne torch pandas".split()
    code = f"import p300.figures, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
