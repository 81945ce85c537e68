"""What must stay true while spelling: each fault is injected into a session and must be said."""

import copy

import numpy as np
import pytest
from simulated_session import DETECTOR, EXPECTED, RECORDING, of, simulate

from p300.errors import InputError
from p300.integrity.levels import SignalLevels, segment_digests
from p300.online.events import Decided, Ended, Noted, Scored
from p300.online.playback import events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.online.supervisor import NO_LIMITS, Limits, RateWatch
from p300.preprocessing import recording_from_arrays

INPUTS = list(recording_inputs(RECORDING))
SFREQ = RECORDING.sfreq

WATCHED = copy.copy(DETECTOR)
WATCHED.levels = SignalLevels.measure(simulate("DCBADCBA", seed=0), RECORDING.ch_names)


def spell(inputs, **options):
    return list(events_of(OnlineSpeller(WATCHED, RECORDING.ch_names, **options), inputs))


def kinds(events):
    return [note.kind for note in of(Noted, events)]


def texts(events):
    return " | ".join(note.text for note in of(Noted, events))


def changed(change):
    return [(change(np.array(s), t), t, m) for s, t, m in INPUTS]


# -- signal ----------------------------------------------------------------------------------


def test_a_signal_as_in_training_is_not_remarked():
    assert not of(Noted, spell(INPUTS))


def test_all_zeros_are_said_within_four_seconds_and_type_nothing():
    events = spell(changed(lambda s, t: 0 * s))
    note = of(Noted, events)[0]
    assert note.time < INPUTS[0][1][0] + 4
    assert "the signal is flat at Fz, Cz, Pz, Oz: 0 uV within a second, expected" in note.text
    assert [d.symbol for d in of(Decided, events)] == [None] * 4


def test_volts_that_are_taken_as_microvolts_are_said_and_type_nothing():
    events = spell(changed(lambda s, t: 1e-6 * s))
    assert "of another scale" in texts(events)
    assert "e-06 times; check the unit of the stream, or set eeg.unit" in texts(events)
    assert len(of(Noted, events)) == 1
    tiny = [d for d in of(Decided, events) if d.probability < 0.5]
    assert all(d.symbol is None for d in tiny)


def test_one_loud_electrode_is_named_and_so_is_its_return():
    def loud(s, t):
        if 5 < t[0] < 15:
            s[1] += 300 * np.sin(2 * np.pi * 7 * t)
        return s

    notes = of(Noted, spell(changed(loud)))
    assert [note.kind for note in notes] == ["channels loud: Cz", "times no longer loud"]
    assert 5 < notes[0].time < 9.1 and 15 < notes[1].time < 19.1


def test_a_blink_is_no_finding():
    def blink(s, t):
        return s + 200 * np.exp(-(((t - 8) / 0.1) ** 2))

    assert not kinds(spell(changed(blink)))


def test_an_amplifier_that_settles_is_loud_and_its_unit_is_not_doubted():
    def settling(s, t):
        rng = np.random.default_rng(round(t[0] * SFREQ))
        return s + 5000 * np.exp(-t / 0.9) * rng.normal(size=len(t))

    found = kinds(spell(changed(settling)))
    assert found == ["channels loud: Fz, Cz, Pz, Oz", "times no longer loud"]


def test_an_electrode_that_drifts_is_no_finding():
    def drift(s, t):
        return s + (300 * t).astype(np.float32)  # 300 µV in a second, as after gel was added

    events = spell(changed(drift))
    assert not of(Noted, events)


def test_levels_are_the_quantiles_of_the_seconds_beside_the_training_flashes():
    # 10 s of 1, 2, … 10 times noise; the flashes are in seconds 2 to 7
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 100))
    noise /= noise.std()
    signal = np.concatenate([k * noise for k in range(1, 11)], axis=1)
    recording = recording_from_arrays(signal, [2.0, 6.5, 9.0], sfreq=100)
    levels = SignalLevels.measure(recording, recording.ch_names, np.array([True, True, False]))
    # windows begin at 2 s and end before 8.5 s: levels 3 to 8
    np.testing.assert_allclose(levels.usual, np.median(range(3, 9)), rtol=0.03)
    np.testing.assert_allclose(levels.low, 3, rtol=0.03)
    np.testing.assert_allclose(levels.high, 8, rtol=0.03)
    assert SignalLevels.from_dict(levels.to_dict()) == levels
    with pytest.raises(InputError, match=r"levels of \[1, 2, 1\] channels; expected 1"):
        SignalLevels.from_dict(levels.to_dict() | {"usual": [1, 2]})
    with pytest.raises(InputError, match=r"windows of 0 s from 3.*; expected 0.1 to 60 s"):
        SignalLevels.from_dict(levels.to_dict() | {"window_s": 0})


def test_the_digest_of_a_segment_is_that_of_its_samples_alone():
    first, second = simulate(), simulate(seed=5)
    assert segment_digests(first) == segment_digests(RECORDING) != segment_digests(second)


# -- time ------------------------------------------------------------------------------------


def drop(rng, fraction):
    """Lose single samples at random."""
    for samples, times, markers in INPUTS:
        keep = rng.random(len(times)) > fraction * (times[0] > 2)  # until then, jitter is learned
        keep[-1] = True
        yield samples[:, keep], times[keep], markers


def test_single_lost_samples_cost_no_flash():
    events = spell(drop(np.random.default_rng(0), 0.005))
    assert set(kinds(events)) == {"gaps interpolated"} and len(of(Noted, events)) > 20
    scores = [s.score for s in of(Scored, events)]
    assert len(scores) == len(RECORDING.flashes)
    assert np.corrcoef(scores, DETECTOR.score(RECORDING))[0, 1] > 0.999


def test_a_gap_of_a_tenth_of_a_second_is_a_line_between_its_ends():
    from p300.online.streams.gaps import GapFiller

    times = np.arange(50) / 100
    keep = np.r_[0:20, 30:50]  # ten samples are missing
    signal = 3.0 + np.vstack([times, -times])
    filled, stamps, (gap,) = GapFiller(100, 0.1).push(signal[:, keep], times[keep])
    np.testing.assert_allclose(filled, signal, atol=1e-12)
    np.testing.assert_allclose(stamps, times, atol=1e-12)
    assert gap.missing_s == pytest.approx(0.1) and gap.is_filled
    keep = np.r_[0:20, 31:50]
    same, _, (gap,) = GapFiller(100, 0.1).push(signal[:, keep], times[keep])
    assert same.shape == (2, 39) and not gap.is_filled


def without_part(begin, end):
    return [part for part in INPUTS if not begin <= part[1][0] < end]


def test_dropouts_in_the_first_ten_seconds_are_no_wrong_rate():
    lossy = [p for p in INPUTS if not any(a <= p[1][0] < a + 0.8 for a in (1, 3, 5, 7, 9))]
    events = spell(lossy)
    assert "wrong rates" not in kinds(events)
    assert kinds(events).count("gaps") == 5


def test_one_chunk_in_ten_stamped_60_ms_late_is_no_wrong_rate_and_costs_no_flash():
    late = [(s, t + (0.06 if k % 10 == 7 else 0), m) for k, (s, t, m) in enumerate(INPUTS)]
    events = spell(late)
    assert all(note.time < 1 for note in of(Noted, events))  # until the jitter is known
    assert "wrong rates" not in kinds(events)
    assert len(of(Scored, events)) == len(RECORDING.flashes)


def test_a_wrong_rate_is_said_first_and_ends_the_session_when_it_persists():
    watch, told = RateWatch(250.0, 0.02), []
    times = np.arange(0, 40, 1 / 240)
    with pytest.raises(InputError, match=r"has 240\.0 samples per second .* expected 250, its n"):
        for k in range(0, len(times), 8):
            told += [(times[k], text) for text in watch.push(times[k : k + 8])]
    assert [text.rpartition("or ")[2] for _, text in told] == [
        "the session ends in 20 s",
        "the session ends in 10 s",
    ]
    assert told[0][0] == pytest.approx(10, abs=0.6)


@pytest.mark.parametrize("shift_s", [-0.5, 0.4])
def test_a_constant_shift_of_the_markers_is_said(shift_s):
    shifted = [(s, t, [(text, at + shift_s) for text, at in m]) for s, t, m in INPUTS]
    way = "ahead of" if shift_s > 0 else "behind"
    assert f"s {way} the newest sample; expected less than 0.3 s" in texts(spell(shifted))
    corrected = spell(shifted, offset_s=-shift_s)
    assert "shifts of markers" not in kinds(corrected)
    assert [d.symbol for d in of(Decided, corrected)] == list("ABCD")


def test_in_copy_spelling_scores_that_do_not_tell_targets_are_said():
    rng = np.random.default_rng(0)
    noise = spell([(rng.normal(size=s.shape) * 10, t, m) for s, t, m in INPUTS], limits=NO_LIMITS)
    assert "scores at chance" in kinds(noise)
    assert "hardly differ (AUC 0." in texts(noise)
    unknown = [
        (s, t, [(x[:5], a) if "begin" in x else (x, a) for x, a in m]) for s, t, m in INPUTS
    ]
    assert "scores at chance" not in kinds(spell(unknown, limits=NO_LIMITS))


# -- what is typed ---------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [None, DETECTOR.stopping["posterior"]], ids=["end", "rule"])
def test_nothing_is_typed_below_the_smallest_probability(rule):
    rng = np.random.default_rng(1)
    noise = [(rng.normal(size=s.shape) * 10, t, m) for s, t, m in INPUTS]
    strict, lax = (
        of(Decided, spell(noise, rule=rule, limits=Limits(min_probability=p))) for p in (0.9, 0)
    )
    assert [d.symbol for d in strict] == [
        d.symbol if d.probability > 0.9 else None for d in lax[:4]
    ]
    assert None in [d.symbol for d in strict] and None not in [d.symbol for d in lax]


@pytest.mark.parametrize("end", ["stop", "by hand"])
def test_nothing_is_typed_where_the_session_ends_within_a_character(end):
    onsets = RECORDING.flashes["onset"][RECORDING.flashes["character"] == 2].to_numpy()
    until = [part for part in INPUTS if part[1][-1] < onsets[10]]
    if end == "stop":
        until[-1] = (*until[-1][:2], [*until[-1][2], ("stop", float(until[-1][1][-1]))])
    events = spell(until, limits=Limits(min_probability=0))
    assert [d.symbol for d in of(Decided, events)] == ["A"]
    assert "the session ended within character 2: nothing is typed" in texts(events)
    assert len(of(Ended, events)) == 2


def test_a_target_that_is_not_on_the_screen_keeps_the_character():
    wrong = [
        (s, t, [(text.replace("begin B", "begin b"), at) for text, at in m]) for s, t, m in INPUTS
    ]
    events = spell(wrong, rule=DETECTOR.stopping["posterior"])
    decided = of(Decided, events)
    assert [(d.symbol, d.n_flashes) for d in decided] == EXPECTED
    assert [d.target for d in decided] == ["A", None, "C", "D"]
    assert "'b' is not on the screen" in texts(events)


def test_markers_of_another_program_need_one_function():
    from p300.online.markers import Marker

    def translate(text, time, speller):
        kind, _, code = text.partition(":")
        return Marker(kind, time, code=int(code) if code else None)

    def foreign():
        for samples, times, some in INPUTS:
            yield samples, times, [(_renamed(text), at) for text, at in some]

    def _renamed(text):
        kind, _, rest = text.partition(" ")
        return f"flash:{rest}" if kind == "flash" else kind

    events = spell(foreign(), rule=DETECTOR.stopping["posterior"], parse=translate)
    assert [(d.symbol, d.n_flashes) for d in of(Decided, events)] == EXPECTED


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"flat": -1}, "got limits.flat=-1; expected a number from 0"),
        ({"max_gap_s": float("nan")}, "got limits.max_gap_s=nan"),
        ({"min_probability": 1}, "or nothing would be typed"),
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        Limits(**wrong)
