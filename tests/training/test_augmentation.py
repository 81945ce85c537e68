import pytest
import torch

from p300.training.augmentation import (
    AmplitudeScale,
    AverageFlashes,
    ChannelDropout,
    GaussianNoise,
    Mixup,
    TimeShift,
)

EVERY = [
    TimeShift(),
    AmplitudeScale(),
    GaussianNoise(),
    ChannelDropout(),
    Mixup(),
    AverageFlashes(),
]
IS_TARGET = torch.arange(60) % 6 == 0


def two_classes():
    """Targets are 10 everywhere, nontargets 0: (60, 4, 78)."""
    return 10.0 * IS_TARGET[:, None, None] * torch.ones(60, 4, 78)


@pytest.mark.parametrize("augment", EVERY, ids=lambda a: type(a).__name__)
def test_epochs_keep_their_shape_and_type_and_the_batch_is_not_changed(augment):
    torch.manual_seed(0)
    epochs = torch.randn(60, 4, 78)
    before = epochs.clone()
    after = augment(epochs, IS_TARGET)
    assert after.shape == epochs.shape and after.dtype == epochs.dtype
    assert torch.equal(epochs, before) and not torch.equal(after, before)


@pytest.mark.parametrize("augment", EVERY, ids=lambda a: type(a).__name__)
def test_the_same_seed_repeats_an_augmentation(augment):
    epochs = torch.randn(60, 4, 78)
    torch.manual_seed(1)
    first = augment(epochs, IS_TARGET)
    torch.manual_seed(1)
    assert torch.equal(augment(epochs, IS_TARGET), first)


def test_a_shifted_wave_peaks_within_the_largest_shift():
    torch.manual_seed(0)
    epochs = torch.zeros(200, 1, 78)
    epochs[:, 0, 36] = 1.0  # 0.3 s at 120 Hz
    peaks = TimeShift(max_s=0.025)(epochs, IS_TARGET)[:, 0].argmax(1)
    assert sorted(set(peaks.tolist())) == [33, 34, 35, 36, 37, 38, 39]


@pytest.mark.parametrize("time_first", [False, True])
def test_all_electrodes_of_an_epoch_shift_alike_and_its_ends_fill_the_gap(time_first):
    torch.manual_seed(0)
    rising = torch.arange(78.0) + 100 * torch.arange(3)[:, None]  # each electrode has its level
    epochs = (rising + 1000 * torch.arange(60)[:, None, None]).contiguous()
    epochs = epochs.mT.contiguous().mT if time_first else epochs
    shifted = TimeShift(max_s=0.025)(epochs, IS_TARGET)
    for before, after in zip(epochs, shifted, strict=True):
        shift = int(before[0, 40] - after[0, 40])
        known = [
            before[:, (k - shift) if 0 <= k - shift < 78 else 77 * (shift < 0)] for k in range(78)
        ]
        assert torch.equal(after, torch.stack(known, 1))


def test_mixing_and_averaging_stay_within_a_class():
    torch.manual_seed(0)
    for augment in (Mixup(), AverageFlashes(n_flashes=4, probability=1.0)):
        assert torch.allclose(augment(two_classes(), IS_TARGET), two_classes())


def test_averaging_four_flashes_halves_the_noise():
    torch.manual_seed(0)
    epochs = torch.randn(600, 8, 78)
    is_target = torch.zeros(600, dtype=torch.bool)
    averaged = AverageFlashes(n_flashes=4, probability=1.0)(epochs, is_target)
    assert averaged.std().item() == pytest.approx(0.5, abs=0.03)


def test_dropped_channels_are_silent_and_sums_keep_their_size():
    torch.manual_seed(0)
    dropped = ChannelDropout(probability=0.25)(torch.ones(500, 8, 78), IS_TARGET)
    silent = (dropped == 0).all(2)
    assert silent.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_one_factor_scales_a_whole_epoch():
    torch.manual_seed(0)
    scaled = AmplitudeScale(spread=0.2)(torch.ones(400, 3, 78), IS_TARGET)
    assert torch.allclose(scaled, scaled[:, :1, :1].expand_as(scaled))
    assert scaled[:, 0, 0].log().std().item() == pytest.approx(0.2, abs=0.03)
