"""Learning curves of a benchmark get a forecast: in its summary, its table and its figure."""

import numpy as np
import pandas as pd
import pytest

from p300.experiments.benchmark.cells import Cell
from p300.experiments.benchmark.findings import Finding, condition
from p300.experiments.benchmark.forecasts import with_forecasts
from p300.experiments.benchmark.summary import summarize
from p300.experiments.benchmark.tables import markdown
from p300.figures import draw_learning_curves
from p300.recording import flash_table

NUMBERS = (2, 4, 8, 16)


def finding(n, experiment="lda", *, first=0.0):
    """Test scores of a detector that is the better the more characters it learned from."""
    is_target = np.tile(np.arange(12) < 2, 10)
    flashes = flash_table(
        onset=first + np.arange(120.0),
        character=np.repeat(np.arange(10) + 1, 12),
        is_target=is_target,
    )
    noise = np.random.default_rng(0).normal(size=len(flashes))
    flashes = flashes.assign(score=noise + (2 - 2 * n**-0.5) * is_target)
    cell = Cell("curve", "learning-curve", experiment, "", 0, (f"split.n_characters={n}",), None)
    numbers = {"n_parameters": 1, "fit_s": 1.0, "score_ms": 1.0}
    measures = dict.fromkeys(("balanced_accuracy", "calibration_error", "brier"), 0.5)
    return Finding(cell, numbers | measures, flashes, None)


def summary_of(findings):
    conditions = {}
    for one in findings:
        conditions.setdefault(condition(one.cell), ([], [""]))[0].append(one)
    parts = [summarize(*known, reference="lda") for known in conditions.values()]
    return with_forecasts(pd.concat(parts, ignore_index=True), conditions)


@pytest.fixture(scope="module")
def summary():
    return summary_of([finding(n) for n in NUMBERS])


def test_the_last_point_of_a_curve_holds_the_forecast_over_test_characters(summary):
    last = summary[summary["forecast"].notna()]
    assert last["n_characters"].tolist() == [16] and last["forecast_n"].tolist() == [32]
    assert last["forecast_unit"].tolist() == ["characters"]
    row = last.iloc[0]
    assert row["auc"] < row["forecast"] < 1
    assert row["forecast_low"] < row["forecast"] < row["forecast_high"]


def test_the_table_calls_the_forecast_a_guess(summary):
    text = markdown(summary, "lda", {})
    assert "| forecast at 2n [95 %] |" in text and " at 32, over characters |" in text
    assert "A forecast is a guess and no result." in text


def test_the_figure_goes_on_as_a_dashed_line_to_twice_the_largest_number(summary):
    figure = draw_learning_curves(summary)
    (axis,) = figure.axes
    (line,) = [each for each in axis.lines if len(each.get_xdata()) == 50]
    assert line.get_linestyle() == "--" and [*line.get_xdata()[[0, -1]]] == [16, 32]
    forecast = summary["forecast"].dropna().iloc[0]
    assert line.get_ydata()[-1] == pytest.approx(forecast)
    assert "are forecasts: guesses, no results" in figure.get_label()


def test_three_points_have_no_forecast_and_no_one_speaks_of_it():
    short = summary_of([finding(n) for n in NUMBERS[:3]])
    assert "forecast" not in short and "forecast" not in markdown(short, "lda", {})
    assert "forecast" not in draw_learning_curves(short).get_label()


def test_nothing_to_learn_from_is_no_point_of_the_law():
    findings = [finding(n) for n in NUMBERS]
    nothing = finding(1)
    cell = Cell("curve", "learning-curve", "lda", "", 0, ("split.n_characters=0",), None)
    findings.append(Finding(cell, nothing.record, nothing.flashes, None))
    forecast = summary_of(findings)["forecast"].dropna()
    assert forecast.tolist() == summary_of(findings[:4])["forecast"].dropna().tolist()


def test_points_with_other_test_characters_have_an_interval_over_points():
    findings = [finding(n, first=float(n)) for n in (*NUMBERS, 32)]
    row = summary_of(findings).dropna(subset=["forecast"]).iloc[0]
    assert row["forecast_unit"] == "points of the curve" and row["forecast_n"] == 64
