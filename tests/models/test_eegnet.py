import pytest
import torch
from torch import nn

from p300.models.eegnet import EEGNet


class AsInTheFigure(nn.Module):
    """The first three layers one after the other, maps of all electrodes included."""

    def __init__(self, net):
        super().__init__()
        self.temporal, self.norm, self.spatial = net.temporal, net.temporal_norm, net.spatial

    def forward(self, x):
        kernel = self.temporal.weight.shape[-1]
        x = nn.functional.pad(x.unsqueeze(1), ((kernel - 1) // 2, kernel // 2))
        return self.spatial(self.norm(self.temporal(x))).squeeze(2)


@pytest.mark.parametrize(("n_chans", "n_times", "sfreq"), [(8, 78, 120.0), (4, 40, 128.0)])
def test_summing_electrodes_before_filtering_time_changes_nothing(n_chans, n_times, sfreq):
    torch.manual_seed(0)
    fast = EEGNet(n_chans, 2, n_times, sfreq).double()
    slow = EEGNet(n_chans, 2, n_times, sfreq).double()
    slow.load_state_dict(fast.state_dict())
    figure = AsInTheFigure(slow)
    x = torch.randn(20, n_chans, n_times, dtype=torch.float64) + 0.5
    for _ in range(3):  # running statistics are followed too
        ours, theirs = fast.filter_in_time_and_space(x), figure(x)
        torch.testing.assert_close(ours, theirs)
        ours.square().sum().backward()
        theirs.square().sum().backward()
    for name in ("temporal", "temporal_norm", "spatial"):
        theirs = dict(getattr(slow, name).named_parameters())
        for of, parameter in getattr(fast, name).named_parameters():
            torch.testing.assert_close(parameter.grad, theirs[of].grad)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        a, b = getattr(fast.temporal_norm, name), getattr(slow.temporal_norm, name)
        torch.testing.assert_close(a, b)
    fast.eval(), figure.eval()
    torch.testing.assert_close(fast.filter_in_time_and_space(x), figure(x))
