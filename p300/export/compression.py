"""Smaller networks: weights of zero, and weights of 8 bits, after the training.

Pruning sets the smallest weights of a network to zero (S. Han, J. Pool, J. Tran, W. Dally,
"Learning both weights and connections for efficient neural networks", NeurIPS 2015; S. Han, H.
Mao, W. J. Dally, "Deep compression", ICLR 2016, arXiv 1510.00149). They train again afterwards,
which is not done here. Quantisation stores weights and computes layers in 8 bits (B. Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
CVPR 2018, arXiv 1712.05877). Classical members of a stack and the calibration stay as they are.
"""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.export.graph import silence, to_onnx
from p300.export.onnx_detector import INPUT

if TYPE_CHECKING:
    from torch import nn

    from p300.detector import Detector

#: Operators whose weights are quantised.
QUANTISED = ("Conv", "Gemm", "MatMul")

#: Training epochs, spread evenly, that show how large the inputs of quantised layers become.
N_CALIBRATION = 1000

#: Numbers in the largest constant of a graph to be quantised: all are computed from the weights
#: beforehand, since only a weight that is in the file can be stored in 8 bits.
ANY_SIZE = 2**31


@dataclass(frozen=True)
class Compression:
    """What is done to the networks of a detector before they are exported.

    Parameters
    ----------
    prune : float or None
        Share of each layer's weights that becomes zero, from 0 to below 1.
    int8 : bool
        Whether weights and inputs of its layers are quantised to 8 bits.

    Examples
    --------
    >>> Compression(0.8).name, Compression(0.95, int8=True).name, Compression().name
    ('prune80', 'prune95_int8', 'float32')
    """

    prune: float | None = None
    int8: bool = False

    @property
    def name(self) -> str:
        """A short name, for files and tables."""
        pruned = [] if self.prune is None else [f"prune{100 * self.prune:g}"]
        return "_".join([*pruned, *(["int8"] if self.int8 else [])]) or "float32"


@dataclass(frozen=True, eq=False)
class Compressed:
    """A compressed detector and its graph.

    Parameters
    ----------
    compression : Compression
        What was done.
    detector : Detector
        With pruned networks; its weights are never those of 8 bits.
    model : bytes
        The ONNX file.
    operators : str
        Which operators were quantised, and which layers were not; empty without ``int8``.
    """

    compression: Compression
    detector: Detector
    model: bytes
    operators: str = ""


def compress(
    detector: Detector, compression: Compression, epochs: np.ndarray | None = None
) -> Compressed:
    """Prune and quantise the networks of a detector, and build its ONNX graph.

    Parameters
    ----------
    detector : Detector
        Not changed.
    compression : Compression
        What to do.
    epochs : ndarray of float32, shape (n_flashes, n_chans, n_times), or None
        Preprocessed training epochs, for ``int8`` alone.

    Raises
    ------
    InputError
        If no member is a network, or no operator can be quantised.
    """
    if not any(member.is_network for member in detector.members):
        raise InputError(
            "the detector has no network, and a linear one is a single matrix already; expected "
            "a network for prune= or quantise=; format=c99 stores linear detectors in 16 bits"
        )
    if compression.prune is not None:
        detector = pruned(detector, compression.prune)
    if not compression.int8:
        return Compressed(compression, detector, to_onnx(detector))
    assert epochs is not None
    whole = to_onnx(_as_in_papers(detector), largest_constant=ANY_SIZE)
    return Compressed(compression, detector, *quantised(whole, epochs))


def pruned(detector: Detector, share: float) -> Detector:
    """Set the smallest weights of each network to zero.

    Parameters
    ----------
    detector : Detector
        Not changed.
    share : float
        Of the ``n`` weights of each layer, ``round(share * n)`` become zero, but never all.
        Weights of different layers are not compared: a normalisation after a layer cancels their
        size, so whole layers would vanish. Biases and normalisations are kept.

    Raises
    ------
    InputError
        If the share is not from 0 to below 1.

    Examples
    --------
    >>> from torch import nn
    >>> from p300.detector import Detector, Member
    >>> from p300.preprocessing import Preprocessor
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    >>> half = pruned(Detector([Member(network, {}, "CrossEntropy")], Preprocessor()), 0.5)
    >>> int((half.members[0].detector[1].weight != 0).sum())
    10
    """
    from torch.nn.utils import prune

    if not 0 <= share < 1:
        raise InputError(f"got prune={share:g}; expected a share from 0 to below 1")
    members = []
    for member in detector.members:
        if member.is_network:
            smaller = copy.deepcopy(member.detector)
            for place in list(weights_of(smaller)):
                n = getattr(*place).numel()
                prune.l1_unstructured(*place, amount=min(round(share * n), n - 1))
                prune.remove(*place)  # the zeros stay
            network = copy.deepcopy(member.detector)  # whose weights keep their order
            network.load_state_dict(smaller.state_dict())
            member = replace(member, detector=network)
        members.append(member)
    return replace(detector, members=members)


def weights_of(network: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield the weights that connect layers, as module and name: no biases, no normalisations."""
    for module in network.modules():
        for name, value in module.named_parameters(recurse=False):
            if "weight" in name and value.ndim > 1:
                yield module, name


def count_weights(detector: Detector) -> tuple[int, int]:
    """Count the weights of all networks, and those that are not zero."""
    networks = [member.detector for member in detector.members if member.is_network]
    values = [getattr(*place) for network in networks for place in weights_of(network)]
    return sum(v.numel() for v in values), sum(int(v.count_nonzero()) for v in values)


def quantised(model: bytes, epochs: np.ndarray) -> tuple[bytes, str]:
    """Quantise the layers of an ONNX graph to 8 bits.

    A weight ``w`` is stored as ``round(w / step)``, with one step for each filter. The step of a
    layer's input is fixed by the largest and the smallest value that it has for the epochs. So
    the score of a flash does not depend on the flashes that are scored together with it.

    Parameters
    ----------
    model : bytes
        With float32 weights; float64 operators are those of classical members.
    epochs : ndarray of float32, shape (n_flashes, n_chans, n_times)
        Preprocessed training epochs; :data:`N_CALIBRATION` of them are used.

    Returns
    -------
    model : bytes
        With ONNX's own operators QuantizeLinear and DequantizeLinear, from which onnxruntime
        builds operators of 8 bits when it opens the file.
    operators : str
        Which were quantised, and which layers were not.

    Raises
    ------
    InputError
        If no operator can be quantised.
    """
    import onnx
    from onnx import TensorProto
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Once(CalibrationDataReader):
        """All epochs at once, then nothing."""

        def __init__(self) -> None:
            places = np.linspace(0, len(epochs) - 1, min(N_CALIBRATION, len(epochs))).round()
            self.left = [np.ascontiguousarray(epochs[places.astype(int)], np.float32)]

        def get_next(self) -> Any:
            return {INPUT: self.left.pop()} if self.left else None

    graph = onnx.load_from_string(model)
    weights = {t.name for t in graph.graph.initializer if t.data_type == TensorProto.FLOAT}
    has_weights = [node for node in graph.graph.node if weights & {*node.input}]
    chosen = [node for node in has_weights if node.op_type in QUANTISED]
    if not chosen:
        raise InputError(
            f"the graph has no operator with float32 weights among {', '.join(QUANTISED)}; "
            f"expected a network with such layers"
        )
    with tempfile.TemporaryDirectory() as folder, silence():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            path,
            Once(),
            per_channel=True,
            nodes_to_quantize=[node.name for node in chosen],
            op_types_to_quantize=list(QUANTISED),
        )
        found = onnx.load(path)
    found.graph.ClearField("value_info")
    found.ClearField("opset_import")
    found.opset_import.extend(graph.opset_import)  # no operator is of another kind
    onnx.checker.check_model(found, full_check=True)
    others = [n.op_type for n in has_weights if n.op_type in ("LSTM", "GRU")]
    text = f"quantised to 8 bits: {_counted([node.op_type for node in chosen])}"
    text += f"; left in float32: {_counted(others)}" if others else ""
    return found.SerializeToString(deterministic=True), text


def _as_in_papers(detector: Detector) -> Detector:
    """Return a detector whose networks compute layer by layer, so that each layer has weights."""
    members = []
    for member in detector.members:
        if member.is_network and hasattr(member.detector, "engine"):
            member = replace(member, detector=copy.deepcopy(member.detector))
            member.detector.engine = "textbook"
        members.append(member)
    return replace(detector, members=members)


def _counted(kinds: list[str]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in Counter(kinds).items())
