import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from p300.errors import InputError
from p300.metrics import (
    bits_per_minute,
    bits_per_selection,
    detection_metrics,
    on_one_scale,
    roc_auc,
    wilson_interval,
)


def test_perfect_scores_have_auc_1_reversed_ones_0_and_equal_ones_one_half():
    truth = [True, True, False, False, False]
    assert roc_auc(truth, [2, 3, 1, 0, -1]) == 1
    assert roc_auc(truth, [-2, -3, 1, 0, 1]) == 0
    assert roc_auc(truth, [1, 1, 1, 1, 1]) == 0.5


def test_measures_agree_with_scikit_learn_ties_included():
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 1 / 6
    scores = np.round(rng.normal(size=500) + truth, 1)
    found = detection_metrics(truth, scores)
    assert found["auc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, scores > 0))
    assert found["f_score"] == pytest.approx(f1_score(truth, scores > 0))


def test_the_papers_counts_give_the_papers_rates():
    # Cecotti & Graeser 2011, MCNN-1, subject A: recall 0.69
    tp, tn, fp, fn = 2071, 10348, 4652, 929
    truth = np.repeat([True, False, False, True], [tp, tn, fp, fn])
    scores = np.repeat([1.0, -1.0, 1.0, -1.0], [tp, tn, fp, fn])
    found = detection_metrics(truth, scores)
    assert [found[name] for name in ("tp", "tn", "fp", "fn")] == [tp, tn, fp, fn]
    assert round(found["recall"], 2) == 0.69
    assert round(100 * found["recognition_rate"], 2) == 68.99
    assert round(found["precision"], 3) == 0.308


def test_one_class_alone_has_no_auc_and_no_recall():
    assert math.isnan(roc_auc([False, False], [0.0, 1.0]))
    assert math.isnan(roc_auc([True, True], [0.0, 1.0]))
    assert math.isnan(detection_metrics([False, False], [0.0, 1.0])["recall"])


def test_a_single_nontarget_is_enough_for_an_auc():
    assert roc_auc([True, False, True], [1.0, 2.0, 3.0]) == 0.5


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(InputError, match="1 of 2 scores"):
        roc_auc([True, False], [np.nan, 1.0])
    with pytest.raises(InputError, match="one label and one score per flash"):
        roc_auc([True, False], [1.0])
    with pytest.raises(InputError, match="one label and one score per flash"):
        roc_auc([[True, False]], [[1.0, 2.0]])


def test_bits_per_selection_are_log2_36_at_accuracy_1_and_0_at_and_below_chance():
    assert bits_per_selection(1.0, 36) == pytest.approx(math.log2(36))
    assert bits_per_selection([0.0, 1 / 72, 1 / 36], 36).tolist() == [0, 0, 0]


def test_chance_carries_no_information_on_a_screen_of_any_size():
    assert [float(bits_per_selection(1 / n, n)) for n in range(2, 200)] == [0] * 198


def test_two_symbols_at_accuracy_three_quarters_carry_a_fifth_of_a_bit():
    assert bits_per_selection(0.75, 2) == pytest.approx(1 - 0.8112781, abs=1e-6)


def test_the_papers_accuracies_give_its_bits_per_minute():
    # mean accuracy of CNN-1 after 5, 10 and 15 repetitions
    rates = bits_per_minute([0.70, 0.885, 0.945], [5, 10, 15])
    assert rates.round(2).tolist() == [12.69, 10.38, 8.08]


def test_wilson_intervals_of_200_characters_match_published_ones():
    assert np.round(100 * np.array([*wilson_interval(197, 200)]), 1).tolist() == [95.7, 99.5]
    assert wilson_interval(200, 200).high == 1 and wilson_interval(0, 200).low == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(5, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_end_where_the_proportion_would_be_1_96_deviations_away(counts):
    n_right, n_all = counts
    for end in wilson_interval(n_right, n_all):
        assert 0 <= end <= 1
        variance = end * (1 - end) / n_all  # of the proportion, if this were the true one
        assert (n_right / n_all - end) ** 2 == pytest.approx(1.959963985**2 * variance, abs=1e-9)


def test_all_characters_right_or_wrong_never_leave_the_scale():
    for n_all in range(5, 1000):
        low, high = wilson_interval(0, n_all)
        assert low >= 0 and high < 1
        low, high = wilson_interval(n_all, n_all)
        assert low > 0 and high <= 1


def test_no_characters_have_no_interval():
    assert np.isnan([*wilson_interval(0, 0)]).tolist() == [True, True]


def test_impossible_accuracies_and_counts_are_refused():
    for accuracy, n_symbols in ((1.2, 36), (-0.1, 36), ([0.5, 1.2], 36), (0.5, 1)):
        with pytest.raises(InputError, match="at least 2 symbols"):
            bits_per_selection(accuracy, n_symbols)
    for counts in ((3, 2), (-1, 2)):
        with pytest.raises(InputError, match="0 <= n_right <= n_all"):
            wilson_interval(*counts)


@pytest.mark.parametrize("measure", [roc_auc, lambda y, s: detection_metrics(y, s, 0.5)["tp"]])
def test_labels_that_have_one_reading_are_taken_and_others_refused(measure):
    scores = [0.1, 0.9, 0.2, 0.8]
    expected = measure([False, True, False, True], scores)
    for labels in ([0, 1, 0, 1], [-1, 1, -1, 1], [0.0, 1.0, 0.0, 1.0]):
        assert measure(labels, scores) == expected
    for labels, words in (
        ([1, 2, 1, 2], "values 1, 2; expected bool"),
        ([0, 3, 0, 3], "values 0, 3; expected bool"),
        ([0, 1, np.nan, 1], "1 of 4 flashes without a label"),
        (pd.array([False, True, pd.NA, True], "boolean"), "1 of 4 flashes without a label"),
    ):
        with pytest.raises(InputError, match=words):
            measure(labels, scores)


def test_detectors_of_other_levels_and_scales_pool_to_the_auc_of_each():
    g = np.random.default_rng(0)
    fold = np.repeat(np.arange(4), 3000)
    is_target = np.arange(len(fold)) % 6 == 0
    scores = g.normal(size=len(fold)) + is_target
    level, scale = np.array([0.0, 5, -3, 1]), np.array([1.0, 0.1, 20, 3])
    pooled = on_one_scale(scores * scale[fold] + level[fold], fold)
    alone = [roc_auc(is_target[fold == k], scores[fold == k]) for k in range(4)]
    assert roc_auc(is_target, scores * scale[fold] + level[fold]) < np.mean(alone) - 0.05
    assert roc_auc(is_target, pooled) == pytest.approx(np.mean(alone), abs=0.003)
    assert pooled.mean() == pytest.approx((scores * scale[fold] + level[fold]).mean())


def test_a_detector_whose_scores_are_all_equal_lands_on_the_mean():
    assert on_one_scale([3, 3, 0, 2], [0, 0, 1, 1]).tolist() == [2, 2, 1.5, 2.5]
