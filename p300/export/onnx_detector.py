"""An exported detector, read with numpy and onnxruntime, without PyTorch.

``p300 export`` writes two files that belong together: ``detector.onnx``, one graph from
preprocessed epochs to scores, and ``detector.json``, everything else. They hold no code, only
numbers, names and ONNX's own operators. PyTorch, Lightning and Hydra are imported neither here nor
by what is imported here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.description import DescribedDetector, check_format, read_description, reading
from p300.errors import InputError
from p300.integrity.levels import SignalLevels
from p300.learning.files import FILE, read_source
from p300.learning.source import Source
from p300.preprocessing import EuclideanAlignment, Preprocessor
from p300.speller import Speller
from p300.spelling import ScoreLikelihood, rule_from_dict

if TYPE_CHECKING:
    import onnxruntime


#: Written into both files; a file with another one is refused.
FORMAT = "p300 exported detector 1"

#: Names of the graph's input and output.
INPUT, OUTPUT = "epochs", "score"

#: Name of the output that a detector of networks needs to learn while it spells.
FEATURES = "features"

#: Flashes scored at once, so that memory stays small.
N_AT_ONCE = 2048


@dataclass
class OnnxDetector(DescribedDetector):
    """A detector that scores with onnxruntime, and what is needed to spell with it.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The graph.
    preprocessor : Preprocessor
        Fitted; it knows its channels.
    speller : Speller or None
        The screen.
    alignment : EuclideanAlignment or None
        Applied to the epochs between preprocessing and graph.
    likelihood : ScoreLikelihood or None
        Likelihood of a score, fitted on training flashes that the detector did not learn from.
    stopping : dict of str to rule
        Stopping rules (:mod:`p300.spelling.rules`), chosen on training characters.
    info : dict
        Its origin: version, experiment, members, number of parameters.
    levels : SignalLevels or None
        Of the training part, in the order of ``preprocessor.ch_names_in_``.
    trained_on : sequence of str
        Of the segments that it was trained on: :func:`~p300.integrity.levels.segment_digests`.
    source : Source or None
        What it can learn from while it spells; None for a detector that cannot.

    Examples
    --------
    >>> detector = OnnxDetector.load("runs/light")  # doctest: +SKIP
    >>> detector.score(recording).shape  # doctest: +SKIP
    (5760,)
    """

    session: onnxruntime.InferenceSession
    preprocessor: Preprocessor
    speller: Speller | None = None
    alignment: EuclideanAlignment | None = None
    likelihood: ScoreLikelihood | None = None
    stopping: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    levels: SignalLevels | None = None
    trained_on: Sequence[str] = ()
    source: Source | None = None

    def __post_init__(self):
        self.epoch_shape = (len(self.preprocessor.ch_names_), self.preprocessor.n_times)

    def score_epochs(self, epochs: np.ndarray) -> np.ndarray:
        """Score epochs as of :meth:`epochs`.

        Parameters
        ----------
        epochs : ndarray of float32, shape (n_flashes, n_chans, n_times)
            Preprocessed and, where the detector has an alignment, aligned.

        Returns
        -------
        ndarray of float64, shape (n_flashes,)

        Raises
        ------
        InputError
            If the shape is another one.
        """
        return self._run(epochs, [OUTPUT])[0]

    def score_and_inputs(self, epochs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score epochs, and return what a :class:`~p300.learning.Learner` takes of them.

        Returns
        -------
        scores : ndarray, shape (n_flashes,)
        inputs : ndarray, shape (n_flashes, n_chans, n_times)
            The epochs, or the features of networks.

        Raises
        ------
        InputError
            As :meth:`score_epochs`.
        """
        if self.source is None or self.source.centre is None:
            return self.score_epochs(epochs), epochs
        scores, features = self._run(epochs, [OUTPUT, FEATURES])
        return scores, features.reshape(len(scores), len(self.source.centre), 1)

    def _run(self, epochs: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
        epochs = np.ascontiguousarray(epochs, np.float32)
        if epochs.ndim != 3 or epochs.shape[1:] != self.epoch_shape:
            raise InputError(
                f"epochs of shape {epochs.shape}; expected (n_flashes, "
                f"{', '.join(map(str, self.epoch_shape))}), as the detector was trained"
            )
        # without flashes there is no part: a graph cannot reshape an empty batch
        parts = [epochs[k : k + N_AT_ONCE] for k in range(0, len(epochs), N_AT_ONCE)]
        found = [self.session.run(outputs, {INPUT: part}) for part in parts]
        if not found:
            return [np.empty(0) for _ in outputs]
        return [np.concatenate(some) for some in zip(*found, strict=True)]

    @classmethod
    def load(cls, path: str | Path) -> OnnxDetector:
        """Read a detector that ``p300 export`` wrote.

        Parameters
        ----------
        path : path
            The ``.onnx``, the ``.json`` beside it, or a folder that holds ``detector.onnx`` and
            ``detector.json``.

        Raises
        ------
        InputError
            If one of the two is missing, damaged or of another format, or they do not belong
            together.
        """
        onnx_path, json_path = find_pair(path)
        try:
            content = json.loads(json_path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:  # not JSON, or not text
            kind = type(error).__name__
            raise InputError(f"{json_path}: cannot be read as JSON ({kind})") from error
        check_format(json_path, content, FORMAT)
        model = onnx_path.read_bytes()
        found, expected = hashlib.sha256(model).hexdigest(), content.get("sha256")
        if found != expected:
            raise InputError(
                f"{onnx_path}: its SHA-256 is {found[:12]}…; expected {str(expected)[:12]}…, as "
                f"{json_path.name} says: one of the two is damaged or from another export"
            )
        session = open_graph(model, onnx_path)
        with reading(json_path, "the JSON file that `p300 export` wrote"):
            likelihood, stopping = content["likelihood"], content["stopping"] or {}
            training = content.get("training") or {"signal": None, "segments": []}
            signal = training["signal"]
            detector = cls(
                session,
                **read_description(content),
                likelihood=None if likelihood is None else ScoreLikelihood.from_dict(likelihood),
                stopping={name: rule_from_dict(rule) for name, rule in stopping.items()},
                info=dict(content["info"]),
                levels=None if signal is None else SignalLevels.from_dict(signal),
                trained_on=tuple(map(str, training["segments"])),
                source=_read_source(onnx_path, content.get("learning")),
            )
            if detector.levels is not None:
                detector._check_levels(detector.levels)
        detector._check_graph(onnx_path)
        return detector

    def _check_levels(self, levels: SignalLevels) -> None:
        names, unit = self.preprocessor.ch_names_in_, self.preprocessor.unit_
        if (tuple(levels.ch_names), levels.unit) != (tuple(names), unit):
            raise InputError(
                f"signal levels of {list(levels.ch_names)} in {levels.unit}; expected "
                f"{list(names)} in {unit}, as the preprocessing reads them"
            )

    def _check_graph(self, where: Path) -> None:
        """Raise an error for a graph whose input or output the JSON file does not describe."""
        outputs = self.session.get_outputs()
        if self.source is not None and self.source.centre is not None:
            outputs, features = outputs[:1], outputs[1:]
            n = len(self.source.centre)
            if [(f.name, f.type, f.shape[1:]) for f in features] != [
                (FEATURES, "tensor(double)", [n])
            ]:
                raise InputError(
                    f"{where}: it has no output {FEATURES!r} of {n} float64 numbers; expected "
                    f"that of the networks' last layers, as {FILE} says"
                )
        (n_flashes, *sizes), kind = _only(self.session.get_inputs(), INPUT, where)
        if kind != "tensor(float)" or tuple(sizes) != self.epoch_shape:
            raise InputError(
                f"{where}: its input is {kind} with {sizes} electrodes and samples; expected "
                f"float32 with {list(self.epoch_shape)}, as the preprocessing returns them"
            )
        shape, kind = _only(outputs, OUTPUT, where)
        if kind != "tensor(double)" or shape != [n_flashes] or not isinstance(n_flashes, str):
            raise InputError(
                f"{where}: its output is {kind} of shape {shape} for {n_flashes} flashes; "
                f"expected one float64 score for each of any number of flashes"
            )
        found = self.session.get_modelmeta().custom_metadata_map.get("ch_names")
        expected = json.dumps(list(self.preprocessor.ch_names_))
        if found != expected:
            raise InputError(
                f"{where}: is for the electrodes {found}; expected {expected}, as in the JSON file"
            )


def _read_source(onnx_path: Path, learning: Any) -> Source | None:
    """Read the sums beside a pair, if there are any."""
    if learning is None:
        return None
    path = onnx_path.with_name(FILE)
    source = read_source(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != learning["sha256"]:
        raise InputError(
            f"{path}: its SHA-256 is {found[:12]}…; expected {learning['sha256'][:12]}…: it is "
            "damaged or from another export"
        )
    return source


def find_pair(path: str | Path) -> tuple[Path, Path]:
    """Find the ``.onnx`` and the ``.json`` of an exported detector.

    Raises
    ------
    InputError
        If one is missing.
    """
    path = Path(path)
    stem = path / "detector" if path.is_dir() else path.with_suffix("")
    if not path.is_dir() and path.suffix not in (".onnx", ".json"):
        raise InputError(f"{path}: expected a folder, an .onnx or a .json file of `p300 export`")
    pair = stem.with_name(stem.name + ".onnx"), stem.with_name(stem.name + ".json")
    for file in pair:
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected what `p300 export RUN` writes")
    return pair


def open_graph(model: bytes, where: str | Path = "the graph") -> onnxruntime.InferenceSession:
    """Open a graph on one thread, which sleeps while there is no work.

    Weights in other files are refused, because a graph from elsewhere could read any file of this
    computer. Only operators that are built into onnxruntime can be used.

    Raises
    ------
    InputError
        If onnxruntime is not installed, or cannot read the graph.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "an exported detector needs onnxruntime: pip install 'p300[export]'"
        ) from error
    if b"location" in model:  # the key that every weight in another file has
        raise InputError(f"{where}: names weights in another file; expected them in the graph")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors are raised; its warnings are only about itself
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )  # the fallback would only try the same again, and print
    except Exception as error:  # onnxruntime raises many kinds of its own errors
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{where}: onnxruntime cannot read it: {reason}") from error


def _only(values: Sequence[Any], name: str, where: Path) -> tuple[list, str]:
    """Return shape and type of a graph's only input or output."""
    names = [value.name for value in values]
    if names != [name]:
        raise InputError(f"{where}: its inputs or outputs are {names}; expected {[name]}")
    return values[0].shape, values[0].type
