"""Which flashes a network is given, and in which order."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from p300.training.datamodule import N_STEPS, EpochsDataModule


def make_data(
    sizes=(7,), *, n_flashes=50, batch_size=4, seeds=None, rank=0, n_processes=1, **more
):
    """Epochs that hold their own number; network k trains on the first ``sizes[k]`` flashes."""
    epochs = np.arange(n_flashes, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), "f4")
    is_target = np.arange(n_flashes) % 3 == 0
    train = [np.arange(n_flashes) < size for size in sizes]
    validation = [np.arange(n_flashes) >= n_flashes - 2] * len(sizes)
    data = EpochsDataModule(
        epochs,
        is_target,
        train,
        validation,
        batch_size=batch_size,
        seeds=seeds or range(len(sizes)),
        **more,
    )
    data.trainer = SimpleNamespace(global_rank=rank, world_size=n_processes, current_epoch=0)
    return epochs, data


def steps_of(data, n_epochs=0):
    """List the steps of a pass: for each network still in training its flashes."""
    data.trainer.current_epoch = n_epochs
    steps = [step for some in data.train_dataloader() for step in some]
    assert [number for number, _ in steps] == list(range(len(steps)))
    return [{k: rows.tolist() for k, rows in networks.items()} for _, networks in steps]


def flashes_seen(data, n_epochs=0, k=0):
    return [row for step in steps_of(data, n_epochs) for row in step.get(k, [])]


def test_each_pass_sees_every_training_flash_once_and_no_other():
    _, data = make_data()
    for n_epochs in range(3):
        assert sorted(flashes_seen(data, n_epochs)) == list(range(7))
    assert [len(step[0]) for step in steps_of(data)] == [4, 3]


def test_passes_differ_in_order_and_the_same_seed_repeats_them():
    first, again = (make_data((40,))[1] for _ in range(2))
    orders = [flashes_seen(first, n) for n in range(3)]
    assert orders == [flashes_seen(again, n) for n in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert flashes_seen(make_data((40,), seeds=[1])[1]) != orders[0]


def test_the_order_of_a_pass_does_not_depend_on_those_before_it():
    _, undisturbed = make_data((40,))
    orders = [flashes_seen(undisturbed, n) for n in range(4)]
    torch.manual_seed(7)  # nor on what else is drawn
    assert flashes_seen(make_data((40,))[1], 3) == orders[3]


def test_networks_side_by_side_see_what_each_would_see_alone():
    _, both = make_data((40, 21), seeds=[5, 9])
    _, first = make_data((40,), seeds=[5])
    _, second = make_data((21,), seeds=[9])
    assert flashes_seen(both, 2, k=0) == flashes_seen(first, 2)
    assert flashes_seen(both, 2, k=1) == flashes_seen(second, 2)


def test_a_network_with_fewer_flashes_has_done_its_pass_sooner():
    steps = steps_of(make_data((40, 9), batch_size=4)[1])
    assert [len(step[0]) for step in steps] == 10 * [4]
    assert [len(step[1]) for step in steps if 1 in step] == [4, 4, 1]


def test_a_network_that_has_stopped_gets_no_flashes():
    _, data = make_data((40, 9))
    data.in_training = [1]
    assert {k for step in steps_of(data) for k in step} == {1}
    assert sorted(flashes_seen(data, k=1)) == list(range(9))


def test_lightning_is_handed_several_steps_at_once():
    _, data = make_data((41,), batch_size=2)
    lengths = [len(some) for some in data.train_dataloader()]
    assert lengths == [N_STEPS, N_STEPS, 21 - 2 * N_STEPS]
    assert len(data.train_dataloader()) == 3


@pytest.mark.parametrize("time_first", [False, True])
def test_labels_stay_with_their_epochs(time_first):
    epochs, data = make_data(time_first=time_first)
    rows = torch.tensor([31, 3, 17, 3])
    gathered, is_target = data.gather(rows)
    assert np.array_equal(gathered, epochs[[31, 3, 17, 3]])
    assert is_target.tolist() == [False, True, False, True]


def test_the_epochs_are_shared_and_not_copied():
    epochs, data = make_data()
    assert data.epochs.data_ptr() == epochs.ctypes.data


def test_time_first_lays_the_electrodes_of_a_sample_side_by_side_and_keeps_the_shape():
    epochs, data = make_data(time_first=True)
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
    size = {"sizes": (n_flashes,), "batch_size": 8}
    alone = steps_of(make_data(**size)[1], 1)
    ranks = [steps_of(make_data(**size, rank=r, n_processes=2)[1], 1) for r in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == len(alone) == 6
    for whole, *shares in zip(alone, *ranks, strict=True):
        assert len(shares[0][0]) == len(shares[1][0])  # or one would wait for the other for ever
        assert set(whole[0]) <= set(shares[0][0] + shares[1][0])
    seen = sorted(row for rank in ranks for step in rank for row in step[0])
    assert len(seen) - len(set(seen)) == n_twice and set(seen) == set(range(n_flashes))


def test_epochs_larger_than_half_the_memory_stay_where_they_are(monkeypatch, tmp_path):
    path = tmp_path / "epochs.npy"
    np.save(path, np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float32))
    epochs = np.load(path, mmap_mode="c")  # as a cache gives them
    parts = [np.ones(50, bool)], [np.ones(50, bool)]
    monkeypatch.setattr("p300.training.datamodule.MOST_BYTES", epochs.nbytes)
    data = EpochsDataModule(epochs, np.arange(50) % 3 == 0, *parts, time_first=True)
    assert data.epochs.data_ptr() == epochs.ctypes.data
    gathered, _ = data.gather(torch.tensor([7, 3]))
    np.testing.assert_array_equal(gathered, epochs[[7, 3]])
