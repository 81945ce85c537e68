import pytest

from p300.errors import InputError
from p300.figures import draw_stopping

SPELLING = [
    {"n_repetitions": 1, "accuracy": 0.5, "bits_per_minute": 19.0},
    {"n_repetitions": 15, "accuracy": 1.0, "bits_per_minute": 9.1},
]


def row(rule, n_characters=20):
    return {
        "rule": rule,
        "n_characters": n_characters,
        "n_repetitions": 3.5,
        "accuracy": 0.9,
        "low": 0.7,
        "high": 0.97,
        "bits_per_minute": 30.0,
        "bits_low": 20.0,
        "bits_high": 38.0,
    }


def test_a_rule_stands_at_its_mean_repetitions_beside_the_line_of_fixed_numbers():
    figure = draw_stopping([row("all"), row("fixed, rate"), row("margin, accuracy")], SPELLING)
    accuracy, bits = figure.axes
    line, rule = accuracy.get_lines()[:2]
    assert line.get_xydata().tolist() == [[1, 50], [15, 100]]
    assert rule.get_xydata().tolist() == [[3.5, 90]]
    assert bits.get_lines()[1].get_xydata().tolist() == [[3.5, 30]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fixed number", "margin, accuracy"]


def test_rules_on_unlabelled_characters_cannot_be_drawn():
    with pytest.raises(
        InputError, match="1 stopping rules among 1 rows, .* 0 labelled characters"
    ):
        draw_stopping([row("margin, accuracy", n_characters=0)], SPELLING)
    with pytest.raises(InputError, match="got 0 stopping rules among 1 rows"):
        draw_stopping([row("all")], SPELLING)
