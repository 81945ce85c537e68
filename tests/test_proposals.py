"""Arguments that messages propose, in Python and on the command line."""

import pytest

from p300.errors import InputError
from p300.proposals import OPEN, Proposal


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
        (Proposal("columns.code", "stim"), "columns={'code': 'stim'}", '"data.columns.code=stim"'),
    ],
)
def test_a_proposal_is_read_by_hydra_as_it_is_meant(proposal, in_python, typed):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert str(proposal) == in_python
    assert typed is None or proposal.typed == typed
    assert proposal.typed[0] == proposal.typed[-1] == '"'  # the shell's
    override = OverridesParser.create().parse_override(proposal.typed[1:-1].replace("?", "1"))
    read = override.value()
    assert override.key_or_group == f"data.{proposal.name}"
    assert list(read) == list(proposal.value)


def test_codes_are_numbers_and_classes_are_words():
    proposal = Proposal("codes", {"Stimulus/S  1": 1, "S  0": 0, "x": None, "y": OPEN, "z": True})
    assert proposal.typed == '"data.codes={Stimulus/S  1: 1, S  0: 0, x: null, y: ?, z: true}"'
    in_file = Proposal("codes", {"a=1": 1, "a=0": False}).typed
    assert in_file.startswith("codes: {'a=1': 1, 'a=0': false} in a file")


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


def test_a_key_that_hydra_does_not_take_is_nested_in_the_file():
    typed = Proposal("columns.label", "a: b").typed
    assert typed.startswith("columns: {'label': 'a: b'} in a file data/NAME.yaml")


def test_an_open_value_is_a_question_mark_in_both_forms():
    proposal = Proposal("columns.label", OPEN)
    assert (str(proposal), proposal.typed) == ("columns={'label': ?}", '"data.columns.label=?"')


@pytest.mark.parametrize("label", ["a: b", "a=b", "a#b", "Töne", "a,b", "true", "it's", "$HOME"])
def test_labels_that_hydra_or_a_shell_changes_go_into_a_file(label):
    typed = Proposal("targets", {label: OPEN}).typed
    assert typed.startswith(f"targets: {{{label!r}: ?}} in a file data/NAME.yaml")


def test_a_message_has_the_form_of_where_it_is_read():
    proposal = Proposal("targets", {"a": OPEN})
    error = InputError(f"got a; set {proposal}", [proposal])
    assert str(error) == "got a; set targets={'a': ?}"
    assert error.typed == 'got a; set "data.targets={a: ?}"'
