import numpy as np
import pytest

from p300.errors import InputError
from p300.speller import WADSWORTH, Speller


def test_every_wadsworth_symbol_is_lit_by_one_column_and_one_row():
    for k, symbol in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789_"):
        assert WADSWORTH.codes_of(symbol) == (1 + k % 6, 7 + k // 6)


def test_a_column_and_a_row_cross_at_the_symbol_of_the_matrix():
    assert WADSWORTH.symbol_of([1, 7]) == "A"
    assert WADSWORTH.symbol_of([12, 6]) == "_"
    assert WADSWORTH.symbol_of([1, 2]) is None


def test_one_flash_in_six_is_a_target_on_a_6x6_matrix_and_one_in_seven_on_seven_keys():
    assert WADSWORTH.target_ratio == pytest.approx(1 / 6)
    assert Speller.single_keys("abcdefg").target_ratio == pytest.approx(1 / 7)


def test_single_keys_light_alone():
    assert np.array_equal(Speller.single_keys("abc").membership, np.eye(3, dtype=bool))


def test_a_screen_survives_a_checkpoint():
    assert Speller.from_dict(WADSWORTH.to_dict()) == WADSWORTH


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Speller.matrix(["ABC", "DE"]), "rows of"),
        (lambda: Speller.matrix(["AB", "CA"]), "duplicate symbols"),
        (lambda: Speller(("A", "B"), {1: ("A", "B")}), "the same codes"),
        (lambda: Speller(("A",), {1: ("Z",)}), "lights"),
        (lambda: WADSWORTH.codes_of("ä"), "not on the screen"),
    ],
)
def test_an_impossible_screen_is_refused_in_one_sentence(make, words):
    with pytest.raises(InputError, match=words):
        make()
