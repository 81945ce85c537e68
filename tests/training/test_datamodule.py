"""Which flashes a network is given, and in which order."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from p300.losses import CrossEntropy
from p300.models import CecottiCNN, EEGNet
from p300.storage.maps import map_array
from p300.training.datamodule import LARGEST_BATCH, EpochsDataModule, time_first
from p300.training.loop import NetworkFit
from p300.training.module import TrainingModule


def make_data(
    size=7, *, n_flashes=50, batch_size=4, seed=0, rank=0, n_processes=1, lay_out=None, **more
):
    """Epochs that hold their own number; a network trains on the first ``size`` flashes."""
    epochs = np.arange(n_flashes, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), "f4")
    numbers = np.arange(n_flashes)
    data = EpochsDataModule(
        epochs if lay_out is None else lay_out(epochs),
        numbers % 3 == 0,
        numbers < size,
        numbers >= n_flashes - 2,
        batch_size=batch_size,
        seed=seed,
        **more,
    )
    data.trainer = SimpleNamespace(
        global_rank=rank, world_size=n_processes, current_epoch=0, training=True
    )
    return epochs, data


def steps_of(data, n_epochs=0):
    """List the flashes of each step of a training epoch."""
    data.trainer.current_epoch = n_epochs
    steps = list(data.train_dataloader())
    assert [number for number, _ in steps] == list(range(len(steps)))
    return [rows.tolist() for _, rows in steps]


def flashes_seen(data, n_epochs=0):
    return [row for step in steps_of(data, n_epochs) for row in step]


def test_each_pass_sees_every_training_flash_once_and_no_other():
    _, data = make_data()
    for n_epochs in range(3):
        assert sorted(flashes_seen(data, n_epochs)) == list(range(7))
    assert [len(step) for step in steps_of(data)] == [4, 3] and len(data.train_dataloader()) == 2


def test_passes_differ_in_order_and_the_same_seed_repeats_them():
    first, again = (make_data(40)[1] for _ in range(2))
    orders = [flashes_seen(first, n) for n in range(3)]
    assert orders == [flashes_seen(again, n) for n in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert flashes_seen(make_data(40, seed=1)[1]) != orders[0]


def test_the_order_of_a_pass_does_not_depend_on_those_before_it():
    _, undisturbed = make_data((40,))
    orders = [flashes_seen(undisturbed, n) for n in range(4)]
    torch.manual_seed(7)  # nor on what else is drawn
    assert flashes_seen(make_data(40)[1], 3) == orders[3]


def test_batches_of_validation_and_test_flashes_keep_their_order():
    _, data = make_data(n_flashes=5000, test=np.arange(5000) >= 100)
    assert [rows.tolist() for rows in data.val_dataloader()] == [[4998, 4999]]
    sizes = [len(rows) for rows in data.test_dataloader()]
    assert sizes == [LARGEST_BATCH, LARGEST_BATCH, 4900 - 2 * LARGEST_BATCH]
    assert torch.cat(list(data.test_dataloader())).tolist() == list(range(100, 5000))


def test_only_training_batches_are_augmented():
    _, data = make_data(augmentations=[lambda epochs, is_target: epochs + 1000])
    batch = data.transfer_batch_to_device((0, torch.tensor([3, 4])), "cpu", 0)
    assert data.on_after_batch_transfer(batch, 0)[0].amin() == 1003
    data.trainer.training = False
    batch = data.transfer_batch_to_device(torch.tensor([3, 4]), "cpu", 0)
    assert data.on_after_batch_transfer(batch, 0)[0].amin() == 3


def test_random_numbers_of_a_step_follow_from_seed_epoch_and_number_of_the_step():
    _, data = make_data(batch_size=2)

    def drawn(step, epoch=0, **trainer):
        vars(data.trainer).update(current_epoch=epoch, global_rank=trainer.get("rank", 0))
        torch.manual_seed(np.random.default_rng().integers(1000))
        data.transfer_batch_to_device((step, torch.tensor([0])), "cpu", 0)
        return torch.rand(()).item()

    assert drawn(1) == drawn(1)
    assert len({drawn(1), drawn(2), drawn(1, epoch=1), drawn(1, rank=1)}) == 4


@pytest.mark.parametrize("lay_out", [None, time_first])
def test_labels_stay_with_their_epochs(lay_out):
    epochs, data = make_data(lay_out=lay_out)
    rows = torch.tensor([31, 3, 17, 3])
    gathered, is_target = data.gather(rows)
    assert np.array_equal(gathered, epochs[[31, 3, 17, 3]])
    assert is_target.tolist() == [False, True, False, True]


def test_the_epochs_are_shared_and_not_copied():
    epochs, data = make_data()
    assert data.epochs.data_ptr() == epochs.ctypes.data


def test_time_first_lays_the_electrodes_of_a_sample_side_by_side_and_keeps_the_shape():
    epochs, data = make_data(lay_out=time_first)
    assert data.epochs.shape == (50, 2, 3) and data.epochs.stride(1) == 1
    gathered, _ = data.gather(torch.arange(5))
    assert gathered.shape == (5, 2, 3) and gathered.stride(1) == 1
    assert data.epochs.data_ptr() != epochs.ctypes.data  # the caller's are left as they are
    assert epochs.strides == (2 * 3 * 4, 3 * 4, 4)


def test_repeated_targets_are_as_frequent_as_nontargets():
    _, data = make_data(repeat_targets=True)
    seen = flashes_seen(data)
    assert sum(row % 3 == 0 for row in seen) == sum(row % 3 != 0 for row in seen) == 4
    assert set(seen) == set(range(7))  # of flashes 0…6, targets are 0, 3, 6


@pytest.mark.parametrize("n_flashes, n_twice", [(48, 0), (47, 1)])
def test_two_processes_part_every_step_between_them(n_flashes, n_twice):
    size = {"size": n_flashes, "batch_size": 8}
    alone = steps_of(make_data(**size)[1], 1)
    ranks = [steps_of(make_data(**size, rank=r, n_processes=2)[1], 1) for r in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == len(alone) == 6
    for whole, *shares in zip(alone, *ranks, strict=True):
        assert len(shares[0]) == len(shares[1])  # or one would wait for the other for ever
        assert set(whole) <= set(shares[0] + shares[1])
    seen = sorted(row for rank in ranks for step in rank for row in step)
    assert len(seen) - len(set(seen)) == n_twice and set(seen) == set(range(n_flashes))


@pytest.mark.parametrize("is_on_disk", [False, True])
@pytest.mark.parametrize("reads_time_first", [False, True])
def test_large_epochs_stay_where_they_are_and_their_batches_are_as_of_copied_ones(
    tmp_path, monkeypatch, is_on_disk, reads_time_first
):
    epochs = np.random.default_rng(0).normal(size=(90, 2, 3)).astype(np.float32)
    rows = np.ones(90, bool)
    again = torch.tensor([7, 3, 7, *range(89, 10, -1)])
    copied = time_first(epochs) if reads_time_first else epochs
    expected, _ = EpochsDataModule(copied, rows, rows).gather(again)
    if is_on_disk:
        (tmp_path / "epochs").write_bytes(epochs.tobytes())
        with open(tmp_path / "epochs", "rb") as file:
            epochs = map_array(file, epochs.shape, np.float32)
    monkeypatch.setattr("p300.training.datamodule.available_memory", lambda: 4 * epochs.nbytes - 1)
    laid_out = time_first(epochs) if reads_time_first else torch.as_tensor(epochs)
    data = EpochsDataModule(laid_out, rows, rows)
    data.reads_time_first = reads_time_first
    assert data.epochs.data_ptr() == epochs.ctypes.data
    gathered, _ = data.gather(again)
    assert torch.equal(gathered, expected) and gathered.stride() == expected.stride()
    np.testing.assert_array_equal(gathered, epochs[again])


@pytest.mark.parametrize("kind, expected", [(CecottiCNN, True), (EEGNet, False)])
def test_batches_are_laid_out_as_the_network_reads_them(kind, expected):
    module = TrainingModule(
        kind(2, 2, 78, 120.0), CrossEntropy(np.arange(9) < 3), torch.optim.Adam
    )
    _, data = make_data()
    assert NetworkFit(module, data).data.reads_time_first == expected
