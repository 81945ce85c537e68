"""Epochs are indexed, concatenated, saved and read again."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.preprocessing import Epochs, Preprocessor, concatenate_epochs
from p300.simulation import simulate_recording


@pytest.fixture(scope="module")
def epochs():
    recording = simulate_recording("P3", n_repetitions=2, seed=1)
    return Preprocessor(reject_uv=40.0, tmin=-0.1).fit(recording).epochs(recording)


@pytest.mark.parametrize(
    "rows", [slice(3, 20, 2), [5, 1, 1], np.arange(48) % 3 == 0, 7, "is_target"], ids=str
)
def test_some_epochs_keep_their_rows_of_every_table(epochs, rows):
    rows = epochs.flashes[rows] if isinstance(rows, str) else rows
    some = epochs[rows]
    places = np.atleast_1d(
        np.arange(48)[np.asarray(rows) if not isinstance(rows, slice) else rows]
    )
    assert np.array_equal(some.data, epochs.data[places]) and len(some) == len(places)
    assert some.flashes["onset"].tolist() == epochs.flashes["onset"].iloc[places].tolist()
    assert np.array_equal(some.is_rejected, epochs.is_rejected[places])


def test_a_mask_of_other_flashes_is_refused(epochs):
    flashes = epochs.flashes
    shuffled = flashes["is_target"].sample(frac=1, random_state=0)
    with pytest.raises(InputError, match="Series whose index .* is not that of the flash table"):
        epochs[shuffled]
    assert len(epochs[shuffled.sort_index()]) == len(epochs[flashes["is_target"]]) == 8
    with pytest.raises(InputError, match="got a mask of 24 values for 48 epochs"):
        epochs[np.ones(24, bool)]


def test_a_folder_that_does_not_exist_is_named(epochs, tmp_path):
    with pytest.raises(InputError, match="whose folder does not exist; expected one that does"):
        epochs.save(tmp_path / "none" / "epochs.npz")


def test_halves_are_the_whole_again(epochs):
    whole = concatenate_epochs([epochs[:10], epochs[10:]])
    assert np.array_equal(whole.data, epochs.data)
    pd.testing.assert_frame_equal(whole.flashes, epochs.flashes)
    assert np.array_equal(whole.is_rejected, epochs.is_rejected)
    for change, words in (
        ({"sfreq": 100.0}, "has sfreq 100.0"),
        ({"unit": "uV"}, "has unit uV"),
        ({"data": epochs.data[:, :, 1:]}, "expected the same channels and samples"),
    ):
        with pytest.raises(InputError, match=words):
            concatenate_epochs([epochs, dataclasses.replace(epochs, **change)])
    with pytest.raises(InputError, match="got no epochs"):
        concatenate_epochs([])


@pytest.mark.parametrize("is_labelled", [True, False])
def test_a_file_holds_everything(tmp_path, epochs, is_labelled):
    if not is_labelled:
        flashes = epochs.flashes.assign(is_target=pd.NA, character=pd.NA)
        flashes = flashes.astype(epochs.flashes.dtypes)
        epochs = dataclasses.replace(epochs, flashes=flashes, speller=None, is_rejected=None)
    epochs.save(tmp_path / "a.npz")
    found = Epochs.load(tmp_path / "a.npz")
    pd.testing.assert_frame_equal(found.flashes, epochs.flashes)
    assert np.array_equal(found.data, epochs.data)
    assert (found.is_rejected is None) == (epochs.is_rejected is None)
    for name in ("ch_names", "sfreq", "tmin", "unit", "speller", "name"):
        assert getattr(found, name) == getattr(epochs, name), name


def test_other_and_damaged_files_are_refused(tmp_path, epochs):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    epochs[:3].save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("no epochs")
    np.savez(tmp_path / "pickled.npz", about=np.array([{}], object))
    for name in ("other", "half", "text", "pickled", "missing"):
        with pytest.raises(InputError, match="holds no epochs of p300"):
            Epochs.load(tmp_path / f"{name}.npz")


def test_events_of_mne_are_the_true_samples_of_one_segment(epochs):
    volts = epochs.to_mne(volts_per_unit=1e-6)
    assert volts.events[:, 0].tolist() == (epochs.flashes["onset"] * 120).round().tolist()
    twice = concatenate_epochs([epochs, epochs]).to_mne(volts_per_unit=1e-6)
    assert twice.events[:, 0].tolist() == list(range(96))
