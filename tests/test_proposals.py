"""Arguments that messages propose, in Python and on the command line."""

import shlex

import pytest

from p300.errors import InputError
from p300.proposals import OPEN, Proposal
from p300.readers.events.words import plain_label


@pytest.mark.parametrize(
    ("proposal", "in_python", "typed"),
    [
        (
            Proposal("targets", {"Zielreiz": True, "S 12": OPEN}),
            "targets={'Zielreiz': True, 'S 12': ?}",
            '"data.targets={Zielreiz: true, S 12: ?}"',
        ),
        (Proposal("codes", {7: 1, "b": None}), "codes={7: 1, 'b': None}", None),
        (Proposal("ignore", ["novel", "x/y"]), "ignore=['novel', 'x/y']", None),
        (Proposal("source", "STI 014"), "source='STI 014'", '"data.source=STI 014"'),
        (Proposal("columns.code", "stim"), "columns={'code': 'stim'}", "data.columns.code=stim"),
    ],
)
def test_a_proposal_is_read_by_hydra_as_it_is_meant(proposal, in_python, typed):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert str(proposal) == in_python
    assert typed is None or proposal.typed == typed
    (word,) = shlex.split(proposal.typed)
    override = OverridesParser.create().parse_override(word.replace("?", "1"))
    read = override.value()
    assert override.key_or_group == f"data.{proposal.name}"
    assert list(read) == list(proposal.value)


def test_codes_are_numbers_and_classes_are_words():
    proposal = Proposal("codes", {"Stimulus/S  1": 1, "S  0": 0, "x": None, "y": OPEN, "z": True})
    assert proposal.typed == '"data.codes={Stimulus/S  1: 1, S  0: 0, x: null, y: ?, z: true}"'
    in_file = Proposal("codes", {"Ton 1": 1, "Töne": False}).typed
    assert in_file.startswith('codes: {"Ton 1": 1, "Töne": false} in a file')


@pytest.mark.parametrize("value", [dict.fromkeys(range(1, 61), False), list(range(1, 61))])
def test_a_proposal_that_is_cut_says_so_and_cannot_be_taken_for_the_whole(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    proposal = Proposal("targets", value)
    for text in (str(proposal), proposal.typed[:-1]):
        assert "48" in text and "49" not in text and text[:-1].endswith(", … and 12 more")
    with pytest.raises(Exception, match="token recognition error"):
        OverridesParser.create().parse_override(proposal.typed[1:-1])
    whole = Proposal("targets", list(value)[:48])
    assert "more" not in str(whole)


def test_one_value_of_an_argument_is_nested_in_python_and_has_its_own_key_when_typed():
    proposal = Proposal("columns.label", "a: b")
    assert str(proposal) == "columns={'label': 'a: b'}"
    assert proposal.typed == "\"data.columns.label='a: b'\""


def test_an_open_value_is_a_question_mark_in_both_forms():
    proposal = Proposal("columns.label", OPEN)
    assert (str(proposal), proposal.typed) == ("columns={'label': ?}", '"data.columns.label=?"')


# fmt: off
LABELS = (
    "a: b", "a=b", "a#b", "Töne", "a,b", "true", "NaN", "it's", "$HOME", "a`b`", "wow!", "日本",
    "say \"x\"", "a\\b", "a\\", "(x)", "[x]", "{x}", "choice(a)", "007", "1_000", "1e5", "-5",
    "5.0", ".5", "-0", "S  7", "?", "*", "-", "a;b", "<x>", "~x", "both ' and \"", "12:30",
    "x\\'", "''",
)
# fmt: on


@pytest.mark.parametrize("label", LABELS)
def test_any_label_is_read_by_a_shell_and_hydra_as_it_is_meant(label):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    def read(value):
        (word,) = shlex.split(Proposal("ignore", value).typed)
        return OverridesParser.create().parse_override(word).value()

    assert plain_label(read(label)) == plain_label(label)
    assert [*map(plain_label, read(["b", label]))] == ["b", plain_label(label)]
    typed = Proposal("codes", {label: 1, "b": True}).typed
    if " in a file data/NAME.yaml" not in typed:
        found = read({label: 1, "b": True})
        assert [*map(plain_label, found)] == [plain_label(label), "b"]
        assert found["b"] is True and str([*found.values()][0]) == "1"


@pytest.mark.parametrize("label", ["a#b", "Töne", "true", "it's", "1_000"])
def test_keys_that_hydra_does_not_take_go_into_a_file(label):
    import yaml

    typed = Proposal("targets", {label: True}).typed
    assert " in a file data/NAME.yaml" in typed
    assert yaml.safe_load(typed.partition(" in a file")[0]) == {"targets": {label: True}}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.ignore=[Beginn der Übung]", "type \"data.ignore=['Beginn der Übung']\""),
        ("data.ignore=[Übung, 7, Ende!]", 'type \'data.ignore=["Übung", 7, "Ende!"]\''),
        ("data.text=SÜSS", "type \"data.text='SÜSS'\""),
        ("data.targets={a: true, c: fälsch}", "type \"data.targets={a: true, c: 'fälsch'}\""),
        ("data.targets={Töne: true}", 'write targets: {"Töne": true} in a file data/NAME.yaml'),
        ("data.targets={'S 1': true, \"x\": 0}", 'type "data.targets={S 1: true, x: 0}"'),
        ("data.ignore=['true', Ü]", "type \"data.ignore=['true', 'Ü']\""),
        ("data.ignore=['a, b', Ü]", "type \"KEY='VALUE'\""),
        ("data.text=Ü,B", "type \"KEY='VALUE'\""),
        ("data.targets={a true}", "type \"KEY='VALUE'\""),
        ("data.ignore=[Ü, [a]]", "type \"KEY='VALUE'\""),
        ("data.ignore=['a, Ü]", "type \"KEY='VALUE'\""),
        ("data", "type \"KEY='VALUE'\""),
        ("ü=1", "type \"KEY='VALUE'\""),
    ],
)
def test_what_hydra_cannot_read_is_refused_with_what_to_type(p300, override, words):
    status, _, errors = p300("check", "a.fif", override)
    assert status == 1 and f"p300 check: got {override}; expected KEY=VALUE" in errors
    assert words in errors and "Lexer" not in errors


def test_a_message_has_the_form_of_where_it_is_read():
    proposal = Proposal("targets", {"a": OPEN})
    error = InputError(f"got a; set {proposal}", [proposal])
    assert str(error) == "got a; set targets={'a': ?}"
    assert error.typed == 'got a; set "data.targets={a: ?}"'
