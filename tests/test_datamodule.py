import numpy as np
import torch

from p300.datamodule import Batches, EpochsDataModule


def make_data(n_flashes=10, batch_size=4, seed=0):
    epochs = np.arange(n_flashes, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), "f4")
    train, validation = np.arange(n_flashes) < 7, np.arange(n_flashes) >= 8
    is_target = np.arange(n_flashes) % 3 == 0
    return epochs, EpochsDataModule(
        epochs, is_target, train, validation, batch_size=batch_size, seed=seed
    )


def flashes_seen(batches):
    return [int(e[0, 0]) for epochs, _ in batches for e in epochs]


def test_each_pass_sees_every_training_flash_once_and_no_other():
    _, data = make_data()
    batches = data.train_dataloader()
    assert len(batches) == len(list(batches)) == 2
    assert sorted(flashes_seen(batches)) == list(range(7))


def test_passes_differ_in_order_and_the_same_seed_repeats_them():
    first, again = (make_data()[1].train_dataloader() for _ in range(2))
    orders = [flashes_seen(first) for _ in range(3)]
    assert orders == [flashes_seen(again) for _ in range(3)]
    assert orders[0] != orders[1]


def test_validation_flashes_come_in_the_order_of_the_recording():
    assert flashes_seen(make_data()[1].val_dataloader()) == [8, 9]


def test_labels_stay_with_their_epochs():
    for epochs, is_target in make_data()[1].train_dataloader():
        assert torch.equal(is_target, epochs[:, 0, 0].int() % 3 == 0)


def test_the_epochs_are_shared_and_not_copied():
    epochs, data = make_data()
    assert data.epochs.data_ptr() == epochs.ctypes.data


def test_rows_without_a_generator_keep_their_order():
    batches = Batches((torch.arange(5),), torch.tensor([3, 1, 4]), batch_size=2)
    assert [b[0].tolist() for b in batches] == [[3, 1], [4]]


def test_repeated_targets_are_as_frequent_as_nontargets():
    epochs, data = make_data()
    data.repeat_targets = True
    labels = torch.cat([is_target for _, is_target in data.train_dataloader()])
    assert labels.sum() == (~labels).sum() == 4  # of flashes 0…6, targets are 0, 3, 6
    assert set(flashes_seen(data.train_dataloader())) == set(range(7))
