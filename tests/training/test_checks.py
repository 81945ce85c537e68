"""Scores and epochs that are computed again are compared up to rounding, which depends on how."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.training.checks import ADVICE, check_same

SCORES = np.array([2.0, -1.0, 0.5])


@pytest.mark.parametrize(
    "done, rounded, other",
    [
        ("saved and loaded", 1e-6, 1e-4),
        ("scored once", 1e-6, 1e-4),
        ("scored with other flashes", 1e-4, 1e-2),  # of one row and of many: other kernels
    ],
)
def test_rounding_is_no_difference_and_what_is_more_is_one(done, rounded, other):
    for scale in (1.0, 1e13):
        check_same(scale * SCORES, scale * SCORES * (1 + rounded), "scores", done)
        with pytest.raises(InputError, match=done) as caught:
            check_same(scale * SCORES, scale * SCORES * (1 + other), "scores", done)
        assert ADVICE[done] in str(caught.value)


def test_a_hole_or_another_shape_is_a_difference():
    with pytest.raises(InputError, match="differ"):
        check_same(SCORES, np.where(SCORES > 0, SCORES, np.nan), "scores")
    with pytest.raises(InputError, match=r"\(3,\); saved and loaded, \(2,\)"):
        check_same(SCORES, SCORES[:2], "scores")
    check_same(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), "scores")
