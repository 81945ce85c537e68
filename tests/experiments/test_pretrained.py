"""A training that goes on from a network for other electrodes."""

import torch

from p300.detector import Detector

SIXTEEN = "[Fz,FC1,FC2,C3,Cz,C4,CP1,CP2,P3,Pz,P4,PO7,PO8,O1,Oz,O2]"
EIGHT = "[Fz,Cz,Pz,P3,P4,PO7,PO8,Oz]"


def test_a_graph_network_of_16_electrodes_is_fine_tuned_on_8(p300, small, tmp_path):
    def train(folder, ch_names, *overrides):
        names = f"data.read.ch_names={ch_names}"
        run = ["experiment=graph", f"hydra.run.dir={folder}"]
        return p300("train", *small, names, *run, *overrides)

    status, _, errors = train("first", SIXTEEN)
    assert status == 0, errors
    still = ["pretrained=first", "protocol.optimizer.lr=0"]
    status, _, errors = train("second", EIGHT, *still)
    assert status == 0, errors
    first, second = (Detector.load(run).members[0].detector for run in ("first", "second"))
    assert first.pooling.shape == (19, 16) and second.pooling.shape == (19, 8)
    # the same seed: without the weights of the first, they were those before its training
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_a_network_without_positions_still_needs_the_same_electrodes(p300, small):
    run = ["experiment=eegnet", "hydra.run.dir=first"]
    p300("train", *small, f"data.read.ch_names={SIXTEEN}", *run)
    status, _, errors = p300("train", *small, "experiment=eegnet", "pretrained=first")
    assert status == 1 and "on 16 channels" in errors and "the 8 channels of this" in errors
