"""Spelling from chunks and markers: the same as offline, whatever the chunks and the faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_session import (
    DETECTOR,
    EXPECTED,
    RECORDING,
    RULE,
    decide_offline,
    of,
    spell,
)

from p300.errors import InputError
from p300.online.events import Decided, Ended, Scored
from p300.online.playback import events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.preprocessing import Preprocessor


def rechunk(inputs, sizes):
    """Cut the same samples into other chunks; every marker comes with its sample's chunk."""
    inputs = list(inputs)
    samples = np.concatenate([chunk for chunk, _, _ in inputs], axis=1)
    times = np.concatenate([timestamps for _, timestamps, _ in inputs])
    markers = [marker for _, _, some in inputs for marker in some]
    begin = k = 0
    while begin < len(times):
        end = begin + sizes[k % len(sizes)]
        due = [m for m in markers if m[1] <= times[min(end, len(times)) - 1]]
        markers = markers[len(due) :]
        yield samples[:, begin:end], times[begin:end], due
        begin, k = end, k + 1


def test_live_scores_and_decisions_are_the_offline_ones_flash_by_flash():
    events = spell(recording_inputs(RECORDING, start=1e5))
    scores = [event.score for event in of(Scored, events)]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)
    decided = [(event.symbol, event.n_flashes) for event in of(Decided, events)]
    assert decided == decide_offline(RECORDING)
    assert "".join(symbol for symbol, _ in decided) == "ABCD"
    assert any(event.n_repetitions < 6 for event in of(Decided, events))


def test_flashes_are_numbered_and_labelled_as_in_the_flash_table():
    scored = of(Scored, spell(recording_inputs(RECORDING)))
    for column in ("code", "character", "repetition", "is_target", "segment"):
        assert [getattr(s, column) for s in scored] == RECORDING.flashes[column].tolist()


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_the_size_of_chunks_changes_no_decision(sizes):
    decided = of(Decided, spell(rechunk(recording_inputs(RECORDING), sizes)))
    assert [(d.symbol, d.n_flashes) for d in decided] == EXPECTED


def test_channels_are_found_by_name_among_others():
    names = ["Oz", "trigger", "Pz", "Fz", "Cz"]
    order = [names.index(c) for c in RECORDING.ch_names]

    def shuffled():
        for samples, times, markers in recording_inputs(RECORDING):
            more = np.full((5, len(times)), np.nan, np.float32)  # of the trigger nothing is used
            more[order] = samples
            yield more, times, markers

    decided = of(Decided, spell(shuffled(), ch_names=names))
    assert [(d.symbol, d.n_flashes) for d in decided] == EXPECTED


def test_volts_are_read_as_microvolts():
    inputs = ((1e-6 * s, t, m) for s, t, m in recording_inputs(RECORDING))
    scores = [s.score for s in of(Scored, spell(inputs, gain=1e6))]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)


def test_markers_that_come_before_their_light_are_shifted_by_the_offset():
    early = (
        (s, t, [(text, at - 0.1) for text, at in m]) for s, t, m in recording_inputs(RECORDING)
    )
    scores = [s.score for s in of(Scored, spell(early, offset_s=0.1))]
    np.testing.assert_allclose(scores, DETECTOR.score(RECORDING), atol=1e-3)


def test_without_a_rule_every_character_is_read_when_it_has_ended():
    events = spell(recording_inputs(RECORDING), rule=None)
    assert [(d.symbol, d.n_repetitions) for d in of(Decided, events)] == [(c, 6) for c in "ABCD"]
    assert not any(d.is_early for d in of(Decided, events))
    assert [e.n_shown for e in of(Ended, events)] == [6] * 4


def test_a_character_is_decided_the_moment_its_last_epoch_is_complete():
    times = RECORDING.flashes["onset"].to_numpy()
    for event in of(Decided, spell(recording_inputs(RECORDING, chunk_s=0))):
        of_character = RECORDING.flashes["character"] == event.character
        last = times[of_character][event.n_flashes - 1]
        assert event.time == pytest.approx(last + 77 / 120, abs=1 / 240 + 1e-6)


def test_the_stop_marker_ends_the_session_when_everything_before_it_is_read():
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=None)
    inputs = list(recording_inputs(RECORDING))
    for k, part in enumerate(inputs):
        speller.push(*part)
        assert speller.is_over == (k == len(inputs) - 1)
    assert speller.text == "ABCD"


def test_a_language_makes_a_likely_letter_win_earlier():
    class Certain:
        def log_prior(self, previous):
            return np.log(np.where(np.array(list("ABCD")) == "ABCD"[len(previous)], 0.9, 0.1 / 3))

    decided = of(Decided, spell(recording_inputs(RECORDING), language=Certain()))
    assert "".join(d.symbol for d in decided) == "ABCD"
    assert sum(d.n_flashes for d in decided) < sum(n for _, n in EXPECTED)


def test_a_character_that_nobody_means_adds_nothing_to_the_text():
    # so sure beforehand that no flash can tell otherwise
    for rule in (RULE, None):
        speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=rule, idle_prior=1 - 1e-15)
        decided = of(Decided, events_of(speller, recording_inputs(RECORDING)))
        assert [d.symbol for d in decided] == [None] * 4
        assert speller.text == ""


def test_what_cannot_be_spelled_with_is_refused():
    class Other:
        preprocessor, speller = DETECTOR.preprocessor, DETECTOR.speller
        likelihood, alignment = None, None

    with pytest.raises(InputError, match="no likelihood"):
        OnlineSpeller(Other, RECORDING.ch_names)
    Other.likelihood = DETECTOR.likelihood
    Other.preprocessor = Preprocessor(phase="zero").fit(RECORDING)
    with pytest.raises(InputError, match="needs future samples"):
        OnlineSpeller(Other, RECORDING.ch_names)
    with pytest.raises(InputError, match=r"channels \['Pz', 'Oz'\] are not among the 2"):
        OnlineSpeller(DETECTOR, ["Fz", "Cz"])
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names)
    with pytest.raises(InputError, match=r"shape \(3, 2\) with 2 timestamps; expected \(4 "):
        speller.push(np.zeros((3, 2)), [0.0, 0.1])


@pytest.mark.slow
def test_memory_stays_flat_over_a_long_session():
    import tracemalloc

    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    chunk = np.random.default_rng(0).normal(size=(4, 240)).astype(np.float32)
    sizes = []
    tracemalloc.start()
    for second in range(1000):
        start = float(second)
        markers = [(f"flash {1 + k % 4}", start + k * 0.17) for k in range(5)]
        if second % 10 == 0:
            markers.insert(0, ("begin", start))
        speller.push(chunk, start + np.arange(240) / 240, markers)
        if second in (300, 999):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 50_000
    assert len(speller.text) >= 95
