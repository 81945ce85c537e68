"""One network per file, each complete in itself.

Every network takes braindecode's arguments ``(n_chans, n_outputs, n_times, sfreq, *, ...)``,
reads ``(batch, n_chans, n_times)`` and returns logits ``(batch, n_outputs)``; its last layer is
``final_layer``. Optional methods of a network are listed in :mod:`p300.models.protocols`.

Each file shows the layers as the paper draws them. Where the same can be computed faster, the
network does so (:mod:`p300.models._fast`) unless its ``engine`` is "textbook". A test checks that
both are equal.
"""

from p300.models.autoencoder import StackedAutoencoder
from p300.models.bn3 import BN3
from p300.models.cecotti import CecottiCNN
from p300.models.conformer import Conformer
from p300.models.dbn import DeepBeliefNet
from p300.models.deep_convnet import DeepConvNet
from p300.models.eeg_inception import EEGInception
from p300.models.eegnet import EEGNet
from p300.models.graph import GraphEEGNet
from p300.models.lenet import LeNet
from p300.models.lstm import RecurrentNet
from p300.models.masked_transformer import MaskedTransformer
from p300.models.mlp import MLP
from p300.models.oclnn import OCLNN
from p300.models.resnet import ResNet
from p300.models.shallow_convnet import ShallowConvNet
from p300.models.tcn import TCN
from p300.models.transformer import TransformerEncoder
from p300.models.vgg import VGG

__all__ = [
    "CecottiCNN",
    "EEGNet",
    "ShallowConvNet",
    "DeepConvNet",
    "BN3",
    "OCLNN",
    "EEGInception",
    "TCN",
    "RecurrentNet",
    "TransformerEncoder",
    "Conformer",
    "MLP",
    "LeNet",
    "VGG",
    "ResNet",
    "GraphEEGNet",
    "StackedAutoencoder",
    "DeepBeliefNet",
    "MaskedTransformer",
]
