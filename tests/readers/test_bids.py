"""BIDS data sets as other laboratories write them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.readers import bids
from p300.readers.write import write_bids
from p300.simulation import simulate_recording
from p300.speller import WADSWORTH

SAME = ("code", "is_target", "character", "repetition")


@pytest.fixture(scope="module")
def spelled():
    return simulate_recording("AB", n_repetitions=2, n_runs=1, ch_names=["Pz"])


@pytest.fixture(scope="module")
def written(spelled, tmp_path_factory):
    root = tmp_path_factory.mktemp("ds")
    write_bids(spelled, root)
    return root


@pytest.fixture
def lab(spelled, written, tmp_path):
    """Give a function that writes a data set whose events have columns of one's own."""
    code = spelled.flashes["code"].to_numpy(int)
    is_target = spelled.flashes["is_target"].to_numpy(bool)

    def write(description=None, **columns):
        root = shutil.copytree(written, tmp_path / "lab", dirs_exist_ok=True)
        (path,) = root.rglob("*_events.tsv")
        table = pd.read_csv(path, sep="\t")[["onset", "duration"]]
        for name, make in columns.items():
            table[name] = make(code, is_target)
        table.to_csv(path, sep="\t", index=False, na_rep="n/a")
        path.with_suffix(".json").write_text("{}")
        if description is not None:
            (root / "dataset_description.json").write_text(json.dumps(description))
        return root

    return write


def group(code, is_target):
    return [f"col {c}" if c < 7 else f"row {c - 6}" for c in code]


GROUPS = {f"col {k}": k for k in range(1, 7)} | {f"row {k}": k + 6 for k in range(1, 7)}


def assert_read(found, expected, columns=SAME):
    for name in columns:
        assert found.flashes[name].tolist() == expected.flashes[name].tolist(), name


def test_a_speller_without_letters_is_told_its_screen_and_its_text(lab, spelled):
    root = lab(value=lambda code, is_target: code)
    assert_read(bids.read(root, speller="wadsworth", text="AB"), spelled)
    found = bids.read(root, speller="wadsworth", n_repetitions=2)
    assert_read(found, spelled, ("code", "character", "repetition"))
    assert found.flashes["is_target"].isna().all()


def test_characters_are_told_apart_by_marks_of_their_start(lab, spelled):
    root = lab(value=lambda code, is_target: code)
    (path,) = root.rglob("*_events.tsv")
    events = pd.read_csv(path, sep="\t", dtype={"value": str})
    first = [events["onset"].iloc[0] - 0.5, events["onset"].iloc[24] - 0.5]
    marks = pd.DataFrame({"onset": first, "duration": 0.0, "value": "new letter"})
    pd.concat([events, marks]).sort_values("onset").to_csv(path, sep="\t", index=False)
    found = bids.read(root, speller="wadsworth", text="AB", starts=["new letter"])
    assert_read(found, spelled)


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (("correct", "incorrect"), {"correct": True, "incorrect": False}),
        (("attended", "not/attended"), {"attended": True, "not/attended": False}),
        ((2, 1), {2: True, 1: False}),
        (("no", "yes"), {"no": True, "yes": False}),
    ],
)
def test_targets_say_what_the_words_of_a_column_mean(lab, spelled, words, targets):
    root = lab(stim=lambda code, _: code, answer=lambda _, is_target: np.where(is_target, *words))
    columns = {"is_target": "answer", "code": "stim"}
    found = bids.read(root, columns=columns, targets=targets, speller="wadsworth")
    assert_read(found, spelled)
    assert "classes are those of the column 'answer'" in found.notes[0].lower()


def test_words_with_several_readings_are_refused_with_the_targets_to_fill_in(lab):
    root = lab(stim=lambda code, _: code, hit=lambda _, t: np.where(t, "HIT", "miss"))
    with pytest.raises(InputError, match=r"say which are targets: targets=\{'HIT': \?") as error:
        bids.read(root, columns={"is_target": "hit", "code": "stim"})
    assert '"data.targets={HIT: ?, miss: ?}"' in error.value.typed


def test_what_targets_do_not_name_is_no_flash(lab):
    def answer(_, is_target):
        words = np.where(is_target, "rare", "usual").astype(object)
        words[:2] = ["practice", "break"]
        return words

    root = lab(stim=lambda code, _: code, answer=answer)
    columns = {"is_target": "answer", "code": "stim"}
    targets = {"rare": True, "usual": False, "break": None, "never": False}
    with pytest.warns(UserWarning, match="2 events are no flashes|no event has: 'never'"):
        found = bids.read(root, columns=columns, targets=targets)
    assert len(found.flashes) == 46 and found.flashes["is_target"].notna().all()
    assert any("2 events are no flashes" in note for note in found.notes)
    assert any("no event has: 'never'" in note for note in found.notes)


def test_codes_say_what_the_words_of_a_column_lit(lab, spelled):
    root = lab(stim=group, hit=lambda _, t: np.where(t, "y", "n"))
    columns = {"is_target": "hit", "code": "stim"}
    assert_read(bids.read(root, columns=columns, codes=GROUPS, speller="wadsworth"), spelled)
    with pytest.raises(
        InputError, match="got the codes col 1, col 2,.*; expected whole numbers"
    ) as error:
        bids.read(root, columns=columns)
    assert '"data.codes={' in error.value.typed


def test_lit_symbols_tell_characters_apart_without_codes(lab, spelled):
    def cells(code, _):
        return [" ".join(WADSWORTH.groups[c]) for c in code]

    root = lab(cells=cells, trial_type=lambda _, t: np.where(t, "target", "nontarget"))
    found = bids.read(root, columns={"lit": "cells"}, speller="wadsworth")
    assert_read(found, spelled, ("is_target", "character", "repetition"))
    bare = lab(cells=cells, trial_type=lambda _, t: "flash")
    assert_read(bids.read(bare, columns={"lit": "cells"}, speller="wadsworth", text="AB"), found)


def test_a_class_beside_a_code_is_never_lost(lab, spelled):
    root = lab(trial_type=lambda _, t: np.where(t, "seen", "unseen"), stim=lambda code, _: code)
    columns = {"code": "stim"}
    with pytest.raises(InputError, match=r"set targets=\{'seen': \?, 'unseen': \?\}") as error:
        bids.read(root, columns=columns)
    assert "data.columns.label=stim if" in error.value.typed
    targets = {"seen": True, "unseen": False}
    assert_read(bids.read(root, columns=columns, targets=targets, speller="wadsworth"), spelled)
    found = bids.read(root, columns={"code": "stim", "label": "stim"}, speller="wadsworth")
    assert_read(found, spelled, ("code", "character"))


def test_events_without_labels_are_refused_with_the_columns_there_are(lab):
    root = lab(tone=lambda _, t: np.where(t, "high", "low"), sample=lambda code, _: code)
    with pytest.raises(InputError, match="got no column trial_type or value") as error:
        bids.read(root)
    assert "choose it by \"data.columns.label=?\" from tone ('high' 8, 'low' 40)" in (
        error.value.typed
    )
    assert "sample" not in str(error.value) and "event'" not in str(error.value)


def test_labels_that_are_not_understood_come_with_the_other_columns(lab):
    root = lab(
        value=lambda code, _: np.where(code > 6, "row", "column"),
        tone=lambda _, t: np.where(t, "high", "low"),
    )
    with pytest.raises(InputError, match="got no flash among") as error:
        bids.read(root)
    assert "Labels are those of the column 'value' of events.tsv. Others are tone ('high'" in (
        error.value.typed
    )
    assert error.value.typed.endswith('choose one by "data.columns.label=?".')


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"speller": ["ABC", "DEF"]}, "got the screen 'matrix'.*not those of 'Wadsworth 6x6'"),
        ({"text": "AC"}, "got the text 'AC', by which 4 of 48 flashes have another label"),
        ({"characters": 3}, "the events state 2 characters, and characters"),
        ({"pause_s": 0.01}, "the events state 2 characters"),
        ({"text": ["AB", "C"]}, "got 2 texts for 1 files; expected one .* order sub-"),
        ({"subject": ["7", "8"]}, "got no EEG of subject 7 or 8; expected some of subjects: 1;"),
        ({"columns": {"character": "letter"}}, r"got columns \['letter'\], which it does not"),
    ],
)
def test_what_contradicts_the_data_set_is_refused(written, given, words):
    with pytest.raises(InputError, match=words):
        bids.read(written, **given)


def test_what_agrees_with_the_data_set_is_taken(written, spelled):
    found = bids.read(written, speller="wadsworth", text="AB", characters=2, n_repetitions=2)
    assert_read(found, spelled)
    assert found.speller == spelled.speller


@pytest.mark.parametrize(
    ("description", "cite"),
    [
        ({"HowToAcknowledge": "Please cite A. (2026).", "Name": "Tones"}, "cite A. (2026); Tones"),
        ({"Name": "[Unspecified]", "DatasetDOI": "doi:10.1/x"}, "doi:10.1/x"),
        ({"Name": "n/a", "HowToAcknowledge": ["A"]}, None),
        (["no mapping"], None),
    ],
)
def test_the_description_says_what_to_cite(lab, description, cite):
    found = bids._citation(lab(description, value=lambda code, _: code))
    assert (found.get("cite") or "").endswith(cite or "") and bool(found) == bool(cite)


def test_events_that_are_asked_for_and_not_there_are_missed(lab):
    root = lab(value=lambda code, _: code)
    (path,) = root.rglob("*_events.tsv")
    path.unlink()
    with pytest.raises(InputError, match="_events.tsv cannot be read"):
        bids.read(root, columns={"label": "value"})
