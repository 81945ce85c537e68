"""A whole trained detector as the bytes of one ONNX file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError
from p300.export.onnx_detector import FORMAT, INPUT, OUTPUT, open_graph

if TYPE_CHECKING:
    from p300.detector import Detector

#: Version of ONNX's operators; onnxruntime knows it since 1.14.
OPSET = 18

#: Largest difference to the checkpoint's scores; see :func:`largest_difference`.
TOLERANCE = 1e-5


def to_onnx(detector: Detector) -> bytes:
    """Make one ONNX graph from preprocessed epochs to calibrated scores.

    Parameters
    ----------
    detector : Detector
        Of any members; an alignment stays outside.

    Returns
    -------
    bytes
        The file: float32 ``epochs`` (n_flashes, n_chans, n_times) to float64 ``score``
        (n_flashes,), weights inside, channel names and rate in its metadata.

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

    from p300.export.modules import ScoreGraph

    steps = detector.preprocessor
    example = torch.zeros(3, len(steps.ch_names_), steps.n_times)
    with _silence():
        program = torch.onnx.export(
            traced(ScoreGraph(detector).eval(), example),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            optimize=False,
        )
        # Only small constants are worked out beforehand: onnxruntime does the rest when it opens
        # the file, which a matrix made of one filter (EEGNet) would make forty times as large.
        onnxscript.optimizer.optimize(program.model, output_size_limit=16)
    model = program.model_proto
    _tidy(model)
    model.doc_string = (
        f"P300 detector. Input {INPUT}: preprocessed epochs (n_flashes, {len(steps.ch_names_)} "
        f"electrodes, {steps.n_times} samples), float32. Output {OUTPUT}: one number a flash, "
        f"float64, the larger the more target-like."
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


def traced(module, example):
    """Follow an example of three flashes through a module, for any number of flashes.

    ``len(x)`` in a network's forward is understood by the strict way of tracing only, some of
    braindecode's Python by the other only.

    Raises
    ------
    InputError
        If the module can be traced in neither way.
    """
    import torch

    shapes = ({0: torch.export.Dim("n_flashes")},)
    for is_strict in (True, False):
        try:
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=is_strict)
        except Exception as error:  # of many kinds, by what the tracer could not follow
            reason = error
    first = next(iter(str(reason).splitlines()), "")
    raise InputError(f"PyTorch cannot trace the detector: {first}") from reason


def largest_difference(detector: Detector, model: bytes) -> float:
    """Compare the graph's scores with the checkpoint's, on noise and on epochs of extreme kinds.

    Returns
    -------
    float
        Largest difference. Where a kind of epochs has scores above 1, it is measured as a share
        of their largest, since float32 numbers of that size are summed to any one of them.

    Raises
    ------
    InputError
        If it is above :data:`TOLERANCE`.
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


def _tidy(model) -> None:
    """Take out what the exporter tells of its own work: code lines, paths, shapes between."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    graph.name, graph.doc_string = "detector", ""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n_flashes"
    for k, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{k}", ""
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's talk about itself from the user: none of it can be acted upon."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
