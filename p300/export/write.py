"""``p300 export``: a trained detector as one ONNX file and one JSON file, for any language.

The graph holds the whole detector (:mod:`p300.export.graph`), the JSON file everything else;
:mod:`p300.export.onnx_detector` reads both without PyTorch. Before anything is written, the scores
of onnxruntime are compared with those of the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300 import __version__
from p300.description import reading
from p300.errors import InputError
from p300.export.graph import largest_difference, to_onnx
from p300.export.onnx_detector import FORMAT
from p300.learning.files import FILE, read_source, write_source
from p300.preprocessing import Preprocessor
from p300.spelling.thresholds import choose_rules, fit_likelihood, read_held_out
from p300.storage.files import atomic_write

if TYPE_CHECKING:
    from p300.detector import Detector
    from p300.speller import Speller


def export(run: str | Path, out: str | Path | None = None) -> list[str]:
    """Write ``detector.onnx`` and ``detector.json`` of a run.

    Parameters
    ----------
    run : path
        Folder of ``p300 train``, or a checkpoint.
    out : path or None
        Folder, created if it does not exist; None for that of the run.

    Returns
    -------
    list of str
        Lines to print: files and sizes, the largest difference, what is missing.

    Raises
    ------
    InputError
        If the run is not finished, its preprocessing is a class of the user's own, a member has
        no form in ONNX, the packages of the extra ``export`` are not installed, or the graph's
        scores are not the checkpoint's.
    """
    from p300.detector import Detector, find_checkpoint

    folder = find_checkpoint(run).parent
    out = folder if out is None else Path(out)
    detector = Detector.load(run)
    check_exportable(detector)
    learns = folder / FILE
    source = read_source(learns) if learns.is_file() else None
    model = to_onnx(detector, with_features=source is not None and source.centre is not None)
    difference = largest_difference(detector, model)
    content, notes = content_of(folder, detector)
    out.mkdir(parents=True, exist_ok=True)
    if source is None and detector.config.get("learning"):
        notes = [f"{FILE} is not in the run: the export cannot learn while it spells", *notes]
    learning = []
    if source is not None:
        sums = write_source(out / FILE, source)
        content["learning"] = {"sha256": hashlib.sha256(sums).hexdigest()}
        learning = [out / FILE]
    files = *write_pair(out, model, content), *learning
    return [
        *sizes_of(files),
        f"largest difference to the checkpoint's scores: {difference:.1e}",
        *notes,
    ]


def check_exportable(detector: Detector) -> None:
    """Check that a detector's preprocessing is p300's, which an export describes by numbers.

    Raises
    ------
    InputError
        If it is a class of the user's own, or the detector is not trained at all.
    """
    from p300.baselines import Untrained  # scikit-learn takes a second to import

    if all(isinstance(member.detector, Untrained) for member in detector.members):
        raise InputError(
            "the run's detector knows nothing, and every score is 0; expected a trained one; "
            "`p300 online none screen=…` reads from nothing"
        )
    kind = type(detector.preprocessor)
    if kind is not Preprocessor:
        raise InputError(
            f"the run's preprocessing is {kind.__module__}.{kind.__qualname__}, whose code is not "
            f"in an export; expected p300.preprocessing.Preprocessor; train with "
            f"preprocessing=paper to export"
        )


def sizes_of(files: Iterable[Path]) -> list[str]:
    """Return a line for each file, with its size."""
    return [f"{file}: {file.stat().st_size / 1e3:.1f} kB" for file in files]


def content_of(folder: Path, detector: Detector) -> tuple[dict[str, Any], list[str]]:
    """Return the content of the JSON file without its checksum, and what is missing."""
    evidence, notes = held_out_evidence(folder, detector.speller)
    training = read_training(folder)
    unknown = "training.json is not in the run: the level of its signal is not exported"
    content = describe(detector) | evidence | {"training": training, "learning": None}
    return content, [*([unknown] if training is None else []), *notes]


def describe(detector: Detector) -> dict[str, Any]:
    """Return the content of the JSON file, without evidence and checksum."""
    return {
        "format": FORMAT,
        "info": {
            "p300_version": __version__,
            "choices": dict(detector.config.get("choices", {})),
            "n_parameters": detector.n_parameters,
            "members": [
                {"name": m.model.get("_target_", "").rpartition(".")[2], "weight": float(m.weight)}
                for m in detector.members
            ],
            "calibration": [float(number) for number in detector.calibration],
        },
        **detector.describe(),
        "causal_filter": describe_filter(detector.preprocessor),
    }


def describe_filter(preprocessor: Preprocessor) -> dict[str, Any] | None:
    """Describe the causal filter by numbers, for programs that have to compute the same.

    Returns
    -------
    dict or None
        ``sfreq`` at which it runs; ``sos``, its second-order sections (b0, b1, b2, a0, a1, a2);
        ``subtract``, what is subtracted from every sample of a segment before it; ``state``, that
        of each section at the segment's first sample (two delays of the transposed direct form
        II). None for a zero-phase filter, or without a filter.
    """
    if preprocessor.phase != "causal" or not preprocessor.is_filtering:
        return None
    chain = preprocessor.resolve(preprocessor.ch_names_in_)
    return {
        "sfreq": chain.rate,
        "sos": chain.sos.tolist(),
        "subtract": "first sample",
        "state": [[0.0, 0.0] for _ in chain.sos],
    }


def read_training(folder: Path) -> dict[str, Any] | None:
    """Read what `p300 train` wrote about the training part: its signal and its segments."""
    path = folder / "training.json"
    if not path.is_file():
        return None
    with reading(path, "what `p300 train` wrote"):
        content = json.loads(path.read_text("utf-8"))
        return {"signal": content["signal"], "segments": content["segments"]}


def held_out_evidence(folder: Path, speller: Speller | None) -> tuple[dict[str, Any], list[str]]:
    """Fit likelihood and stopping rules to the run's held-out training flashes.

    Returns
    -------
    evidence : dict
        ``likelihood`` and ``stopping`` for the JSON file; None where they cannot be fitted.
    notes : list of str
        Why something could not be fitted.
    """
    evidence: dict[str, Any] = {"likelihood": None, "stopping": None}
    try:
        held_out = read_held_out(folder)
        likelihood = fit_likelihood(held_out, speller)
        evidence["likelihood"] = likelihood.to_dict()
        if speller is None:
            raise InputError("without a screen no character is spelled")
        rules = choose_rules(held_out, speller, likelihood)
    except InputError as error:
        missing = " and ".join(name for name, value in evidence.items() if value is None)
        return evidence, [f"without {missing}: {error}"]
    return evidence | {"stopping": {k: rule.to_dict() for k, rule in rules.items()}}, []


def write_pair(
    out: Path, model: bytes, content: dict[str, Any], name: str = "detector"
) -> tuple[Path, Path]:
    """Write ``NAME.onnx`` and ``NAME.json``, each atomically.

    An interrupted export leaves the old pair, or a pair whose checksum is wrong and which
    :class:`~p300.export.onnx_detector.OnnxDetector` refuses.
    """
    content = content | {"sha256": hashlib.sha256(model).hexdigest()}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    files = out / f"{name}.onnx", out / f"{name}.json"
    with atomic_write(files[1]) as description, atomic_write(files[0], "wb") as graph:
        graph.write(model)
        description.write(text)
    return files
