"""An audit of learning while spelling: it passes what is fair, and fails what cheats."""

import numpy as np
import pytest
from learners import pool

from p300.experiments.audit.learning import check_codes, check_labels, check_later

PEOPLE = pool()
EPOCHS = PEOPLE.epochs
IS_TARGET = PEOPLE.flashes["is_target"].to_numpy(bool)


def fair(flashes, inputs):
    return PEOPLE.spell(flashes, inputs).scores


def peeks_at_labels(flashes, inputs):
    return fair(flashes, inputs) + 0.1 * flashes["is_target"].to_numpy(float)


def peeks_ahead(flashes, inputs):
    return fair(flashes, inputs) + inputs.mean()


def believes_its_codes(flashes, inputs):
    """Scores a flash by whether it lit the symbol of the labels."""
    return fair(flashes, inputs) + flashes["is_target"].to_numpy(float)


@pytest.mark.parametrize(
    ("check", "cheat"), [(check_later, peeks_ahead), (check_labels, peeks_at_labels)]
)
def test_a_check_passes_what_is_fair_and_fails_what_cheats(check, cheat):
    for read, passed in ((fair, True), (cheat, False)):
        scores = read(PEOPLE.flashes, EPOCHS)
        assert check(read, PEOPLE.flashes, EPOCHS, scores).passed is passed


def test_a_detector_that_ignores_what_comes_fails_the_check_of_later_data():
    ignores = np.zeros(len(EPOCHS))
    assert not check_later(lambda *_: ignores, PEOPLE.flashes, EPOCHS, ignores).passed


def test_codes_in_random_order_are_at_chance_unless_labels_are_read():
    assert check_codes(fair, PEOPLE.flashes, EPOCHS, 0).passed is True
    assert check_codes(believes_its_codes, PEOPLE.flashes, EPOCHS, 0).passed is False
    blind = PEOPLE.flashes.assign(is_target=None).astype({"is_target": "boolean"})
    assert check_codes(fair, blind, EPOCHS, 0).passed is None


@pytest.mark.slow
def test_an_audit_of_a_run_that_learns_passes(p300):
    status, printed, _ = p300(
        "audit",
        "experiment=ridge",
        "learning=while_spelling",
        "data.read.ch_names=[Fz,Cz,Pz,Oz]",
        "audit.n_permutations=0",
    )
    assert status == 0
    for name in ("what comes later changes no score", "learning while spelling reads no label"):
        assert f"PASS  {name}" in printed
    assert "FAIL" not in printed
