"""What goes wrong in a laboratory: each fault is injected, must be told, and must cost little."""

import numpy as np
import pytest
from simulated_session import DETECTOR, EXPECTED, RECORDING, RULE, of, spell

from p300.errors import InputError
from p300.online.events import Decided, Ended, Noted, Scored
from p300.online.playback import recording_inputs
from p300.online.session import OnlineSpeller

INPUTS = list(recording_inputs(RECORDING))
SFREQ = RECORDING.sfreq


def notes(events):
    return [note.text for note in of(Noted, events)]


def symbols(events):
    return [(d.symbol, d.n_flashes) for d in of(Decided, events)]


def test_a_good_session_says_nothing():
    events = spell(INPUTS)
    assert not of(Noted, events)
    assert len(of(Ended, events)) == 4


def test_a_long_gap_costs_the_epochs_it_cuts_and_no_others():
    cut = [part for k, part in enumerate(INPUTS) if not 200 <= k < 206]  # 0.2 s is lost
    begin, end = INPUTS[200][1][0], INPUTS[205][1][-1]
    events = spell(cut)
    assert "signal missing for 0.200 s: the filter restarts" in notes(events)
    onsets = RECORDING.flashes["onset"].to_numpy()
    is_cut = (onsets <= end) & (onsets + 77 / 120 >= begin - 1e-6)
    lost = [n.time for n in of(Noted, events) if "no complete epoch: lost" in n.text]
    sent = [at for k, part in enumerate(cut) for text, at in part[2] if text.startswith("flash")]
    np.testing.assert_allclose(lost, [t for t in onsets[is_cut] if t in sent])
    assert len(of(Scored, events)) == len(sent) - len(lost)
    assert "".join(d.symbol for d in of(Decided, events)) == "ABCD"


def test_a_single_lost_sample_is_found_once_the_stamps_have_proved_exact():
    def with_one_lost():
        for k, (samples, times, markers) in enumerate(INPUTS):
            keep = slice(1, None) if k == 500 else slice(None)
            yield samples[:, keep], times[keep], markers

    found = [text for text in notes(spell(with_one_lost())) if "missing" in text]
    assert found == ["signal missing for 0.004 s: interpolated"]


def test_samples_that_are_no_numbers_are_left_out_and_told():
    def with_nan():
        for k, (samples, times, markers) in enumerate(INPUTS):
            if k == 100:
                samples = samples.copy()
                samples[1, 2:4] = np.nan, np.inf
            yield samples, times, markers

    events = spell(with_nan())
    assert any("2 samples are not finite and are left out" in text for text in notes(events))
    assert all(np.isfinite(s.score) for s in of(Scored, events))
    assert "".join(d.symbol for d in of(Decided, events)) == "ABCD"


def test_a_marker_sent_twice_is_counted_once():
    twice = [(s, t, [m for m in markers for _ in range(2)]) for s, t, markers in INPUTS]
    events = spell(twice)
    n_flashes = len(RECORDING.flashes)
    assert sum("came twice" in text for text in notes(events)) == n_flashes + 4  # and 4 begins
    assert symbols(events) == EXPECTED
    assert len(of(Scored, events)) == n_flashes


def test_unknown_markers_are_told_and_change_nothing():
    strange = ["hello", "flash", "flash 99", "flash x", "ende", "end now", "flash 1.5", ""]
    odd = [(s, t, [*m, (strange[k % 8], t[0])]) for k, (s, t, m) in enumerate(INPUTS)]
    events = spell(odd)
    assert symbols(events) == EXPECTED
    assert len(notes(events)) == len(INPUTS)
    assert any("'99' is no code" in text for text in notes(events))
    assert any("marker 'hello' at" in text and "is unknown" in text for text in notes(events))


def test_markers_that_come_a_second_late_still_decide_the_same():
    late = []
    held = [[] for _ in range(30)]
    for samples, times, markers in INPUTS:
        held.append(markers)
        late.append((samples, times, held.pop(0)))
    tail = [m for markers in held for m in markers]
    events = spell([*late, (np.empty((4, 0)), np.empty(0), tail)])
    assert symbols(events) == EXPECTED
    # to the session, all markers shifted by a second would look the same
    assert {note.kind for note in of(Noted, events)} == {"shifts of markers"}


def test_a_flash_announced_after_its_samples_are_forgotten_is_told_as_lost():
    text, at = next(m for _, _, markers in INPUTS for m in markers if m[0].startswith("flash"))
    inputs = [(s, t, [m for m in markers if m != (text, at)]) for s, t, markers in INPUTS]
    samples, times, markers = inputs[400]
    assert times[0] - at > 6
    inputs[400] = samples, times, [*markers, (text, at)]
    events = spell(inputs)
    assert any("no complete epoch: lost" in note for note in notes(events))
    assert len(of(Scored, events)) == len(RECORDING.flashes) - 1


def test_a_flash_outside_of_any_character_is_scored_and_not_read():
    inputs = [(s, t, [m for m in ms if m[0] not in ("begin B", "end")]) for s, t, ms in INPUTS]
    inputs[120] = (*inputs[120][:2], [*inputs[120][2], ("end", float(inputs[120][1][0]))])
    events = spell(inputs)
    outside = [s for s in of(Scored, events) if s.character is None]
    assert outside and all(s.repetition is None and s.is_target is None for s in outside)
    told = [text for text in notes(events) if "in no open character; it is scored" in text]
    assert len(told) == len(outside)


def test_a_marker_by_another_clock_is_refused():
    wrong = [(s, t, [(text, at + 1e4) for text, at in m]) for s, t, m in INPUTS]
    events = spell(wrong[1:])
    assert not of(Scored, events)
    assert any("s ahead of the signal; expected at most 60 s" in text for text in notes(events))


def test_a_clock_set_back_in_the_pause_costs_one_note():
    onsets = RECORDING.flashes.groupby("character")["onset"].agg(["min", "max"])
    pause = (onsets["max"][2] + onsets["min"][3]) / 2
    assert onsets["min"][3] - onsets["max"][2] > 1

    def set_back():
        for samples, times, markers in INPUTS:
            back = 1000.0 if times[0] > pause else 0.0
            yield samples, times - back, [(text, at - back) for text, at in markers]

    events = spell(set_back())
    assert [n for n in notes(events) if "clock set back" in n] == [
        n for n in notes(events) if "clock set back by 1000.000 s" in n
    ]
    assert "".join(d.symbol for d in of(Decided, events)) == "ABCD"
    assert len(of(Ended, events)) == 4


def test_a_clock_set_back_within_a_character_does_not_hold_up_the_next():
    onsets = RECORDING.flashes.groupby("character")["onset"].agg(["min", "max"])
    middle = (onsets["min"][2] + onsets["max"][2]) / 2

    def set_back():
        for samples, times, markers in INPUTS:
            back = 1000.0 if times[0] > middle else 0.0
            yield samples, times - back, [(text, at - back) for text, at in markers]

    decided = {d.character: d for d in of(Decided, spell(set_back(), rule=None))}
    assert decided[3].symbol == "C" and decided[4].symbol == "D"
    assert decided[3].time < onsets["min"][4] - 1000


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_clock_that_drifts_is_followed(ppm):
    def drifting():
        for samples, times, markers in INPUTS:
            scale = 1 + ppm * 1e-6
            yield samples, times * scale, [(text, at * scale) for text, at in markers]

    events = spell(drifting())
    assert not of(Noted, events)
    scores = [s.score for s in of(Scored, events)]
    assert np.corrcoef(scores, DETECTOR.score(RECORDING))[0, 1] > 0.9999
    assert [d.symbol for d in of(Decided, events)] == list("ABCD")


def test_stamps_that_jitter_by_ten_milliseconds_are_smoothed():
    rng = np.random.default_rng(0)

    def jittered():
        for samples, times, markers in INPUTS:
            yield samples, times + rng.uniform(-0.005, 0.005), markers

    events = spell(jittered())
    assert not of(Noted, events)
    scores = [s.score for s in of(Scored, events)]
    assert np.corrcoef(scores, DETECTOR.score(RECORDING))[0, 1] > 0.99
    assert [d.symbol for d in of(Decided, events)] == list("ABCD")


def test_a_stream_of_another_true_rate_is_refused():
    speller = OnlineSpeller(DETECTOR, RECORDING.ch_names, rule=RULE)
    with pytest.raises(InputError, match=r"has 25\d\.\d samples per second .* expected 240"):
        for samples, times, _ in INPUTS:
            speller.push(samples, times * SFREQ / 256)


def test_a_stream_that_stops_leaves_what_can_be_read():
    third = RECORDING.flashes["onset"][RECORDING.flashes["character"] == 3].to_numpy()
    until = [part for part in INPUTS if part[1][-1] < third[-3]]
    events = spell(until, rule=None)
    assert [d.symbol for d in of(Decided, events)] == ["A", "B"]
    assert "the session ended within character 3: nothing is typed" in notes(events)
    assert [e.n_shown for e in of(Ended, events)] == [6, 6, 6]
    assert 0 < sum("lost" in text for text in notes(events)) < 6


def test_a_score_that_is_no_number_is_told_and_not_counted():
    class Broken(type(DETECTOR)):
        def __init__(self):
            self.__dict__.update(vars(DETECTOR))

        def score_epochs(self, epochs):
            scores = super().score_epochs(epochs)
            return np.where(np.arange(len(scores)) == 0, np.nan, scores)

    speller = OnlineSpeller(Broken(), RECORDING.ch_names)
    events = [e for part in INPUTS[:300] for e in speller.push(*part)]
    assert any("has the score nan: not counted" in text for text in notes(events))
