"""Screens whose groups change: checkerboards, random groups. The flash table says what was lit."""

import dataclasses

import mne
import numpy as np
import pandas as pd
import pytest

import p300
from p300.errors import InputError
from p300.flashes import flash_table, label_flashes, with_lit_codes
from p300.readers.mne_raw import read_raw
from p300.simulation import simulate_recording
from p300.speller import Speller
from p300.spelling import ScoreLikelihood, SymbolPosterior, spell
from p300.spelling.sums import wanted_symbol
from p300.spelling.traces import characters_of, trace

KEYS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789_"
SCREEN = Speller.changing(KEYS, n_per_repetition=12)


def recorded(text="PZ3_WAVES", n_repetitions=4, seed=0):
    return simulate_recording(
        text, n_repetitions=n_repetitions, speller=SCREEN, ch_names=["Pz"], seed=seed
    )


def test_every_simulated_symbol_is_lit_twice_in_each_repetition():
    flashes = recorded().flashes
    for _, repetition in flashes.groupby(["character", "repetition"]):
        lit = [symbol for text in repetition["lit"] for symbol in text.split()]
        assert sorted(lit) == sorted(2 * KEYS)
        assert repetition["is_target"].sum() == 2


def test_the_groups_differ_between_repetitions():
    assert recorded().flashes["lit"].nunique() > 0.9 * len(recorded().flashes)


def test_a_perfect_detector_spells_the_text_after_one_repetition():
    flashes = recorded().flashes
    spelled = spell(flashes["is_target"].astype(float), flashes, SCREEN)
    assert spelled["is_right"].all()
    assert set(spelled["n_repetitions"]) == {1, 2, 3, 4}


def test_codes_alone_would_not_tell_the_symbols():
    flashes = recorded().flashes.drop(columns="lit")
    with pytest.raises(InputError, match="flash codes .* are not on the screen"):
        spell(np.zeros(len(flashes)), flashes, SCREEN)


def test_a_matrix_whose_groups_are_written_out_is_read_as_by_its_codes():
    recording = simulate_recording("WAVES", n_repetitions=3, ch_names=["Pz"])
    scores = np.random.default_rng(0).normal(size=len(recording.flashes))
    scores += 1.5 * recording.flashes["is_target"].to_numpy(bool)
    screen = recording.speller
    written = recording.flashes.assign(
        lit=[" ".join(screen.groups[code]) for code in recording.flashes["code"]], code=1
    )
    changing = Speller.changing(screen.symbols, 12)
    found, expected = spell(scores, written, changing), spell(scores, recording.flashes, screen)
    pd.testing.assert_frame_equal(found, expected)


def test_known_words_become_labels():
    flashes = recorded("WAVES").flashes
    labelled = label_flashes(flashes.assign(is_target=None), "waves", SCREEN)
    assert (labelled["is_target"] == flashes["is_target"]).all()
    assert labelled["lit"].tolist() == flashes["lit"].tolist()
    one = flashes[flashes["character"] == 2]
    assert wanted_symbol(one, SCREEN) == "A"


def test_live_and_replayed_posteriors_are_the_same():
    flashes, likelihood = recorded("WA").flashes, ScoreLikelihood(2.0, -1.0)
    scores = np.random.default_rng(0).normal(size=len(flashes))
    characters = characters_of(scores, flashes, SCREEN, likelihood)
    traces = trace(characters, SCREEN)
    live = SymbolPosterior(SCREEN)
    for score, lit in zip(scores[:48], flashes["lit"][:48], strict=True):
        live.update(0, float(likelihood.log_ratio(score)), lit.split())
    assert live.belief.best == traces.belief.best[0, -1]
    assert live.belief.log_best == pytest.approx(traces.belief.log_best[0, -1])
    assert live.n_repetitions == 4


def test_the_recording_is_checked_and_counts_its_repetitions():
    report = p300.check_recording(recorded())
    assert not report.at("refuse") and not report.at("warn")
    assert "9 characters of 4 repetitions" in str(report)
    wrong = recorded().flashes.assign(is_target=lambda table: ~table["is_target"])
    report = p300.check_recording(dataclasses.replace(recorded(), flashes=wrong))
    assert any("swapped" in finding.text for finding in report.at("refuse"))


def test_what_was_lit_is_part_of_the_content_and_of_a_saved_table(tmp_path):
    recording = recorded()
    other = recording.flashes.assign(lit=recording.flashes["lit"].to_numpy()[::-1])
    changed = p300.Recording(recording.segments, other, ["Pz"], 240.0, speller=SCREEN)
    assert changed.checksum != recording.checksum
    recording.flashes.to_csv(tmp_path / "flashes.csv", index=False)
    table = pd.read_csv(tmp_path / "flashes.csv")
    assert with_lit_codes(table, SCREEN)[1] == with_lit_codes(recording.flashes, SCREEN)[1]
    assert Speller.from_dict(SCREEN.to_dict()) == SCREEN


def test_lit_symbols_are_texts_or_lists_of_symbols_on_the_screen():
    flashes = flash_table(onset=[0.0, 0.2, 0.4], lit=["B A", ["A", "B"], "C"], code=9)
    assert with_lit_codes(flashes, Speller.changing("ABC", 3))[0]["code"].tolist() == [1, 1, 2]
    with pytest.raises(InputError, match=r"lit \['C'\], which the screen .* does not have"):
        with_lit_codes(flashes, Speller.changing("AB", 3))
    with pytest.raises(InputError, match="column lit has 2 values; expected 1"):
        flash_table(onset=[0.0], lit=["A", "B"])
    with pytest.raises(InputError, match="got the lit symbol 'page up'; expected symbols without"):
        flash_table(onset=[0.0], lit=[["page up"]])
    partly = flash_table(onset=[0.0, 0.2], lit=["A", None], code=7)
    with pytest.raises(InputError, match="neither lit symbols nor a code of the screen"):
        with_lit_codes(partly, Speller.changing("AB", 3))


def test_a_screen_has_groups_or_says_how_many_flashes_a_repetition_has():
    with pytest.raises(InputError, match="got 0 groups and n_per_repetition=0"):
        Speller("AB", {})


def lit_twice(n_per_repetition=5, *, n_repetitions=3, text="AD"):
    """A repetition of four groups of two of ABCD, of which the first is lit once more."""
    groups, shown = ["A B", "C D", "A C", "B D", "A B"], []
    for k, symbol in enumerate(text, start=1):
        for repetition in range(n_repetitions):
            shown += [(k, repetition, lit, symbol in lit) for lit in groups]
    character, repetition, lit, is_target = zip(*shown, strict=True)
    onset = 1.0 + 0.2 * np.arange(len(shown))
    columns = {"character": character, "repetition": repetition, "is_target": is_target}
    signal = np.random.default_rng(0).normal(size=(1, int(250 * (onset[-1] + 2))))
    screen = Speller.changing("ABCD", n_per_repetition)
    return p300.recording_from_arrays(signal, onset, sfreq=250, speller=screen, lit=lit, **columns)


def test_a_group_that_is_lit_twice_in_a_repetition_counts_twice():
    recording = lit_twice()
    report = p300.check_recording(recording)
    assert "2 characters of 3 repetitions" in str(report)
    assert not any("repetition" in f.check for f in [*report.at("refuse"), *report.at("warn")])
    flashes, one = recording.flashes, ScoreLikelihood(1.0, 0.0)
    spelled = spell(flashes["is_target"] * 2 - 1.0, flashes, recording.speller, one)
    assert spelled["is_right"].all() and len(spelled) == 6
    # C has a higher sum than the first "A B" alone, and a lower one than both
    scores = flashes["lit"].map({"A B": 0.6, "A C": 0.0, "C D": 1.0, "B D": 0.0})
    assert set(spell(scores, flashes, recording.speller, one)["symbol"]) == {"A"}
    once = flashes.drop_duplicates(["character", "repetition", "lit"])
    assert set(spell(scores[once.index], once, recording.speller, one)["symbol"]) == {"C"}


def test_a_posterior_counts_repetitions_of_such_a_screen_by_their_flashes():
    posterior = SymbolPosterior(Speller("AB", {1: "A", 2: "B"}, n_per_repetition=4))
    counts = []
    for code in (1, 2, 1, 1, 2, 2, 1, 2):
        posterior.update(code, 0.0)
        counts.append(posterior.n_repetitions)
    assert counts == [0, 0, 0, 1, 1, 1, 1, 2]


@pytest.mark.parametrize(("n_per_repetition", "level"), [(4, "warn"), (2, "refuse")])
def test_repetitions_with_more_flashes_than_the_screen_says_are_found(n_per_repetition, level):
    report = p300.check_recording(lit_twice(n_per_repetition))
    (text,) = [f.text for f in report.at(level) if f.check == "repetitions"]
    assert f"6 of 6 repetitions have 5 flashes; expected {n_per_repetition}" in text
    assert "set n_per_repetition" in text


def test_repetitions_of_changing_groups_are_counted_by_their_number_of_flashes():
    recording = lit_twice(text="A")
    rows = recording.flashes[["onset", "lit", "is_target"]].to_dict("records")
    marks = mne.Annotations(
        [row["onset"] for row in rows],
        0.0,
        ["target" if row["is_target"] else "nontarget" for row in rows],
        extras=[{"lit": row["lit"]} for row in rows],
    )
    raw = mne.io.RawArray(
        1e-6 * recording.segments[0], mne.create_info(["Pz"], 250, "eeg"), verbose="error"
    )
    found = read_raw(raw.set_annotations(marks), speller=recording.speller).flashes
    assert found["repetition"].tolist() == recording.flashes["repetition"].tolist()
    assert (found["character"] == 1).all()
