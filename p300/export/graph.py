"""A whole trained detector as the bytes of one ONNX file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.export.onnx_detector import FEATURES, FORMAT, INPUT, OUTPUT, open_graph

if TYPE_CHECKING:
    import torch

    from p300.detector import Detector

#: Version of ONNX's operators; onnxruntime supports it since 1.14.
OPSET = 18

#: Numbers in the largest constant that is computed from weights when the graph is built, and not
#: by onnxruntime when it opens the file. With all of them computed, the matrices of EEGNet's
#: filters would make the file forty times as large.
LARGEST_CONSTANT = 16

#: Largest difference to the checkpoint's scores; see :func:`largest_difference`.
TOLERANCE = 1e-5


def to_onnx(
    detector: Detector, *, with_features: bool = False, largest_constant: int = LARGEST_CONSTANT
) -> bytes:
    """Build one ONNX graph from preprocessed epochs to calibrated scores.

    Parameters
    ----------
    detector : Detector
        A detector with any members; its alignment is not part of the graph.
    with_features : bool
        Whether there is a second output, the features of networks for learning while spelling.
    largest_constant : int
        Numbers in the largest constant that is computed here, as :data:`LARGEST_CONSTANT`.

    Returns
    -------
    bytes
        The file: float32 ``epochs`` (n_flashes, n_chans, n_times) to float64 ``score``
        (n_flashes,), weights inside, channel names and rate in its metadata. ``features`` are
        float64, (n_flashes, n_features).

    Raises
    ------
    InputError
        If a package is missing or a member has no form in ONNX.
    """
    try:
        import onnx
        import onnxscript.optimizer
    except ImportError as error:
        raise InputError("export needs onnx: pip install 'p300[export]'") from error
    import torch

    from p300.export.modules import ScoreAndFeatures, ScoreGraph

    steps = detector.preprocessor
    module = ScoreAndFeatures(detector) if with_features else ScoreGraph(detector)
    example = torch.zeros(3, len(steps.ch_names_), steps.n_times)
    with silence():
        program = torch.onnx.export(
            traced(module.eval(), example),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT, FEATURES] if with_features else [OUTPUT],
            opset_version=OPSET,
            optimize=False,
        )
        assert program is not None
        limit = max(largest_constant, 8192)  # of what they are computed from, as is usual
        onnxscript.optimizer.optimize(
            program.model, input_size_limit=limit, output_size_limit=largest_constant
        )
    model = program.model_proto
    _tidy(model)
    model.doc_string = (
        f"P300 detector. Input {INPUT}: preprocessed epochs (n_flashes, {len(steps.ch_names_)} "
        f"electrodes, {steps.n_times} samples), float32. Output {OUTPUT}: one score per flash, "
        f"float64, larger = more target-like."
    )
    onnx.helper.set_model_props(
        model,
        {
            "format": FORMAT,
            "ch_names": json.dumps(list(steps.ch_names_)),
            "sfreq": repr(float(steps.sfreq)),
            "tmin": repr(float(steps.tmin)),
            "unit": steps.unit_out,
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def traced(module: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """Trace a module with an example of three flashes, for any number of flashes.

    Strict tracing alone supports ``len(x)`` in a network's forward. Non-strict tracing alone
    supports some Python code of braindecode.

    Raises
    ------
    InputError
        If neither kind of tracing works for the module.
    """
    import torch

    shapes = ({0: torch.export.Dim("n_flashes")},)
    for is_strict in (True, False):
        try:
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=is_strict)
        except Exception as error:  # of many kinds, one per unsupported operation
            reason = error
    first = next(iter(str(reason).splitlines()), "")
    raise InputError(f"PyTorch cannot trace the detector: {first}") from reason


def largest_difference(detector: Detector, model: bytes) -> float:
    """Compare the scores of the graph and of the checkpoint, for several kinds of noise.

    Returns
    -------
    float
        Largest difference. If a kind of epochs has scores above 1, it is a fraction of the
        largest score, because each score is then a sum of float32 numbers of that size.

    Raises
    ------
    InputError
        If the largest difference is above :data:`TOLERANCE`.
    """
    steps = detector.preprocessor
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(16, len(steps.ch_names_), steps.n_times))
    edge = np.where(np.arange(steps.n_times) < steps.n_times // 2, 0.0, 50.0)
    is_alive = np.arange(len(steps.ch_names_)) % 2 == 0
    kinds = [noise, 100 * noise, noise.cumsum(axis=-1), noise + edge, noise * is_alive[:, None]]
    graph = open_graph(model)
    differences = []
    for epochs in kinds:
        epochs = epochs.astype(np.float32)
        wanted = detector.score_epochs(epochs)
        found = graph.run([OUTPUT], {INPUT: epochs})[0]
        differences.append(np.abs(found - wanted).max() / max(1, np.abs(wanted).max()))
    difference = float(np.max(differences))
    if not difference <= TOLERANCE:
        raise InputError(
            f"the graph's scores differ from the checkpoint's by {difference:.1e}; expected at "
            f"most {TOLERANCE:.0e}"
        )
    return difference


def _tidy(model: Any) -> None:
    """Remove what the exporter notes about its own work: code lines, paths, inner shapes."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    graph.name, graph.doc_string = "detector", ""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n_flashes"
    for k, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{k}"
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


@contextmanager
def silence() -> Iterator[None]:
    """Suppress messages and warnings of the exporter, which are of no use to the user."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
