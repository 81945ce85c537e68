"""Which events are flashes: labels as laboratories and recorders write them."""

import numpy as np
import pytest

from p300.errors import InputError
from p300.readers.events.build import Given, no_flash
from p300.readers.events.instants import join_simultaneous
from p300.readers.events.labels import understand
from p300.readers.events.words import parse_label
from p300.speller import WADSWORTH, Speller


@pytest.mark.parametrize(
    ("label", "code", "is_target"),
    [
        (7, 7, None),
        (np.int64(7), 7, None),
        ("7.0", 7, None),
        ("S  7", 7, None),
        ("Stimulus/S 12", 12, None),
        ("stimulus/11", 11, None),
        ("target", None, True),
        ("Non-Target", None, False),
        ("non_target/3", 3, False),
        ("3/TARGET", 3, True),
        ("Standard", None, False),
        ("oddball", None, True),
        ("flash/9", 9, None),
        ("OVTK_StimulationId_Target", None, True),
        ("OVTK_StimulationId_Label_0A", 10, None),
        (-3, -3, None),
    ],
)
def test_classes_codes_and_both_are_read(label, code, is_target):
    meaning = parse_label(label)
    assert (meaning.code, meaning.is_target) == (code, is_target)


@pytest.mark.parametrize(
    "label", ["row/5", "col/5/target_1", "target/nontarget", "5/6", "target7", "left", "", "7.5"]
)
def test_a_label_with_other_parts_or_several_readings_is_not_read(label):
    assert parse_label(label) is None


def taken(labels, **arguments):
    found = understand(labels, **arguments)
    return [None if m is None else (m.code, m.is_target) for m in found.meanings], found


@pytest.mark.parametrize(
    ("labels", "flashes"),
    [
        (["Target", "Frequent", "Comment/blinked", "target"], [True, False, None, True]),
        (["deviant", "standard", "Response/R  1"], [True, False, None]),
    ],
)
def test_marks_of_recorders_are_left_out_and_named(labels, flashes):
    meanings, found = taken(labels)
    assert [None if m is None else m[1] for m in meanings] == flashes
    (left,) = found.left
    assert "1 events are no flashes" in left and labels[flashes.index(None)] in left
    assert str(flashes.count(True)) in found.notes[0]


@pytest.mark.parametrize(
    ("labels", "arguments", "not_understood"),
    [
        (["Target", "Hintergrund", "Target"], {}, "Hintergrund"),
        (["target/1", "nontarget/2", "blink"], {}, "blink"),
        (["S  1", "S 99"], {"speller": WADSWORTH}, "S 99"),
        ([1, 12, 200], {"speller": WADSWORTH}, "200"),
        (["row/5", "7"], {}, "row/5"),
    ],
)
def test_labels_of_which_some_are_not_understood_are_refused_with_a_way_out(
    labels, arguments, not_understood
):
    with pytest.raises(InputError) as refused:
        understand(labels, **arguments)
    text = str(refused.value)
    assert not_understood in text and "not understood" in text
    assert all(str(label) in text for label in labels)
    assert f"ignore=[{labels[[str(k) for k in labels].index(not_understood)]!r}]" in text
    ignored, _ = taken(labels, **arguments, ignore=[not_understood])
    assert ignored.count(None) == [str(k) for k in labels].count(not_understood)
    mapped, _ = taken(labels, codes={not_understood: 3}, **arguments)
    assert [m for m in mapped if m] == [(3, None)]


def test_labels_to_fill_in_are_proposed_in_the_order_of_their_numbers():
    labels = ["S 10", "cue 12", "S  2", "cue 3", "S  9", "cue 12"]
    with pytest.raises(InputError) as refused:
        understand(labels)
    text = str(refused.value)
    assert "codes={'cue 3': ?, 'cue 12': ?, 'S  2': 2, 'S  9': 9, 'S 10': 10}" in text
    assert "ignore=['cue 3', 'cue 12']" in text and "('cue 3' 1, 'cue 12' 2)" in text
    error = no_flash(Given(), "events", ["zwölf", "k10", 20, "k9", 3, "k9"])
    assert "targets={3: ?, 20: ?, 'k9': ?, 'k10': ?, 'zwölf': ?}" in str(error)


@pytest.mark.parametrize("keys", [(33285, 33286), ("33285", "33286"), (33285.0, "33286.0")])
@pytest.mark.parametrize("as_text", [str, int])
def test_keys_are_compared_as_text_or_number(keys, as_text):
    labels = [as_text(k) for k in (33285, 33286, 32773, 33286)]
    meanings, found = taken(labels, targets=dict(zip(keys, (True, False), strict=True)))
    assert [m and m[1] for m in meanings] == [True, False, None, False]
    assert "32773" in found.left[0]


def test_none_as_a_value_is_no_flash_and_keys_without_events_are_said():
    meanings, found = taken(["a", "b", "c"], targets={"a": True, "b": None, "c": False, "d": True})
    assert [m and m[1] for m in meanings] == [True, None, False]
    assert found.absent == {"d": []}


def test_openvibes_numbers_are_known_by_its_target_and_nontarget():
    labels = [32769, 33025, 33285, 33036, 33286, 32779]
    meanings, _ = taken(labels)
    assert meanings == [None, (1, None), (None, True), (12, None), (None, False), None]
    alone, _ = taken([33025, 33026])  # without them, numbers are codes
    assert [m[0] for m in alone] == [33025, 33026]


@pytest.mark.parametrize("key", ["S 11", 11, "Stimulus/S 11", "stimulus/11", "stimulus"])
def test_a_key_may_be_a_part_of_a_label_as_in_mne(key):
    labels = ["Stimulus/S 11", "Response/R 11", "Response/11", "Stimulus/S 11"]
    meanings, _ = taken(labels, targets={key: True})
    assert [m and m[1] for m in meanings] == [True, None, None, True]


def test_a_key_that_is_a_whole_label_means_no_other():
    meanings, _ = taken(["11", "stimulus/11"], targets={11: True})
    assert meanings == [(11, True), None]
    with pytest.raises(InputError, match="several keys with different values mean 'target/3'"):
        taken(["target/3"], targets={"target": True, 3: False})


def test_keys_that_no_label_has_are_said_with_labels_written_alike():
    _, found = taken(["Zielreiz", "Standard"], targets={"Zielreitz": True, "Standard": False})
    assert found.absent == {"zielreitz": ["Zielreiz"]}
    _, found = taken(["Stimulus/S 1", "Response/R  7"], codes={"S 1": 1, "R 7": 2})
    assert found.absent == {"r 7": ["Response/R  7"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"targets": {"a": "ja"}}, "got targets with 'ja' for 'a'; expected true"),
        ({"targets": {"a": 2}}, "got targets with 2 for 'a'"),
        ({"targets": {"a": 0.5}}, "got targets with 0.5 for 'a'"),
        ({"codes": {"a": "eins"}}, "got codes with 'eins' for 'a'; expected a whole number"),
        ({"codes": {"a": 1.5}}, "got codes with 1.5 for 'a'"),
        ({"codes": {"a": True}}, "got codes with True for 'a'"),
    ],
)
def test_values_that_are_no_class_or_code_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        understand(["a", "b"], **arguments)


def test_one_label_to_ignore_needs_no_list():
    meanings, _ = taken(["target", "novel", "standard"], ignore="novel")
    assert [m and m[1] for m in meanings] == [True, None, False]


@pytest.mark.parametrize("mark", ["768", "781", "786", "1023", "32766"])
def test_marks_of_gdf_are_no_flashes_but_numbers_of_a_trigger_are(mark):
    meanings, found = taken(["1", mark, "2"])
    assert meanings == [(1, None), None, (2, None)] and "GDF's mark" in found.left[0]
    assert taken([1, int(mark)])[0] == [(1, None), (int(mark), None)]  # of a stimulus channel


def test_classes_beside_codes_of_the_screen_leave_these_codes():
    labels = ["1", "101", "7", "102", "201"]
    meanings, found = taken(labels, targets={101: True, 102: False}, speller=WADSWORTH)
    assert meanings == [(1, None), (None, True), (7, None), (None, False), None]
    assert "'201' (1, not in codes or targets)" in found.left[0]
    alone, _ = taken(["1", "7", "3"], targets={1: True, 7: False}, speller=WADSWORTH)
    assert alone == [(1, True), (7, False), None]


def joined(seconds, labels, **arguments):
    found = understand(labels, **arguments)
    times, meanings, rows, notes = join_simultaneous(
        np.array(seconds, float), found.meanings, labels, 0.004, "here"
    )
    return times.tolist(), [(m.code, m.is_target) for m in meanings], rows.tolist(), notes


def test_a_code_and_a_class_of_one_instant_are_one_flash_in_any_order():
    seconds = [2.0, 1.0, 1.0, 2.001, 3.0, 3.0, 4.0]
    labels = ["Target", "S  3", "NonTarget", "S 12", "S  1", "nontarget", "target"]
    times, flashes, rows, notes = joined(seconds, labels)
    assert times == [1.0, 2.001, 3.0] and rows == [1, 3, 4]
    assert flashes == [(3, False), (12, True), (1, False)]
    assert "1 events of a class without a code" in notes[1] and "4.000 s" in notes[1]


@pytest.mark.parametrize("is_code_first", [True, False])
def test_codes_and_classes_that_take_turns_within_50_ms_are_pairs(is_code_first):
    labels = ["1", "target", "2", "nontarget", "3", "nontarget"]
    if not is_code_first:
        labels = [labels[k] for k in (1, 0, 3, 2, 5, 4)]
    _, flashes, _, notes = joined([1.0, 1.012, 1.3, 1.303, 1.6, 1.61], labels)
    assert flashes == [(1, True), (2, False), (3, False)]
    assert "up to 12.0 ms apart" in notes[0]


@pytest.mark.parametrize(
    "seconds", [[1.0, 1.06, 2.0, 2.06], [1.0, 1.03, 1.05, 1.08], [1.0, 1.01, 2.0, 2.2]]
)
def test_codes_and_classes_too_far_apart_for_one_flash_are_refused(seconds):
    with pytest.raises(InputError, match="2 have a code alone .* 2 have a class alone"):
        joined(seconds, ["1", "target", "2", "nontarget"])


def test_an_event_that_is_written_twice_is_one_flash():
    times, flashes, _, notes = joined([1.0, 1.0, 2.0, 2.0, 2.0], ["S 1", "1", "2", "target", "2"])
    assert times == [1.0, 2.0] and flashes == [(1, None), (2, True)]
    assert any("2 events repeat" in note for note in notes)


@pytest.mark.parametrize("labels", [["1", "101"], ["target", "nontarget"], ["target/1", "2"]])
def test_two_flashes_of_one_instant_that_differ_are_refused(labels):
    with pytest.raises(InputError, match="1 instants with two flashes .* at 1.000 s; .*set codes"):
        joined([1.0, 1.0, 2.0, 2.0], [*labels, labels[0], labels[0]])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["1", "target", "nontarget"], "1 have a code alone ('1' 1), 2 have a class alone"),
        (["target/1", "nontarget"], "1 have code and class ('target/1' 1), 1 have a class alone"),
    ],
)
def test_flashes_of_which_some_have_a_code_and_others_a_class_are_refused(labels, words):
    with pytest.raises(InputError) as refused:
        joined(range(len(labels)), labels)
    assert words in str(refused.value) and "or ignore=[" in str(refused.value)


def test_trial_numbers_beside_classes_are_proposed_to_be_ignored():
    labels = ["1", "target", "nontarget", "2", "nontarget", "target"]
    with pytest.raises(InputError, match=r"or ignore=\['1', '2'\] if those are none"):
        joined(range(6), labels)
    _, flashes, _, _ = joined(range(6), labels, ignore=["1", "2"])
    assert flashes == [(None, True), (None, False), (None, False), (None, True)]


def test_flashes_that_are_named_so_need_no_class():
    _, flashes, _, _ = joined([1, 2], ["target/1", "flash/2"])
    assert flashes == [(1, True), (2, None)]


def test_codes_of_a_screen_with_high_numbers_are_codes():
    keys = Speller(("A", "B"), {101: ("A",), 102: ("B",)})
    meanings, _ = taken([101, 102], speller=keys)
    assert meanings == [(101, None), (102, None)]


@pytest.mark.parametrize("label", ["1" * 400, "9" * 5000, "²", "-" + "1" * 400])
def test_a_number_that_no_amplifier_sends_is_no_code(label):
    assert parse_label(label) is None
    with pytest.raises(InputError, match="1 events are flashes .* and 1 are not understood"):
        understand(["7", label])
