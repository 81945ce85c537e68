"""``p300 export``: a trained detector as one ONNX file, for any language, or as C99.

Writes detector.onnx (preprocessed epochs to scores, everything folded into one graph) and
detector.json (preprocessing, electrodes, screen, likelihood, stopping rules), which need numpy
and onnxruntime but no PyTorch. Before it writes, it compares the scores with the checkpoint's.

  p300 export runs/bci2_iib/light/2026-01-31_12-00-00      into that folder
  p300 export RUN out=model                                into another

Networks can be made smaller. The table that is printed, and written to compression.csv, has sizes,
times and AUCs on the run's test part, which is read again. One kind of compression becomes
detector.onnx; of several, each is detector_KIND.onnx beside the float32 detector.onnx.

  p300 export RUN quantise=int8                            layers of 8 bits; training epochs are
                                                           read to fix their steps
  p300 export RUN prune=0.8                                the smallest 80 % of a layer become 0
  p300 export RUN "prune=[0.5,0.8,0.95]"                   several shares, each in its own file
  p300 export RUN prune=0.8 quantise=int8                  both

Linear detectors and OCLNN fit on a microcontroller: detector.h and detector.c, with weights of 16
bits and without allocation. The header says what must run before, sizes and operations.

  p300 export RUN format=c99
"""

from __future__ import annotations

from pathlib import Path

from p300.commands import run_on_folder
from p300.errors import InputError
from p300.export.compression import Compression
from p300.export.write import export

USAGE = (
    "expected `p300 export RUN [out=FOLDER]`, and one of format=c99, or quantise=int8 and prune="
    "SHARE or prune=[SHARE,…]"
)


def main() -> None:
    """Export the run on the command line."""
    run_on_folder("exporting", USAGE, write, keys=("format", "quantise", "prune"))


def write(run: Path, out: Path | None, **options: str) -> str:
    """Export a run as the options say; return the lines to print."""
    compressions = read_compressions(options.get("quantise"), options.get("prune"))
    given = options.get("format", "onnx")
    if given not in ("onnx", "c99") or (given == "c99" and compressions):
        told = " ".join(f"{key}={value}" for key, value in options.items())
        raise InputError(f"got {told}; {USAGE}")
    if given == "c99":
        from p300.export.c99 import export_c99

        return "\n".join(export_c99(run, out))
    if not compressions:
        return "\n".join(export(run, out))
    from p300.detector import find_checkpoint
    from p300.experiments.finished import load_run, read_again
    from p300.export.measured import export_compressed

    finished = load_run(find_checkpoint(run).parent)
    recording, _ = read_again(finished)
    epochs, part = finished.detector.epochs(recording), finished.scores["part"].to_numpy(str)
    folder = finished.folder
    lines = export_compressed(finished.detector, folder, out or folder, compressions, epochs, part)
    return "\n".join(lines)


def read_compressions(quantise: str | None, prune: str | None) -> list[Compression]:
    """Read the values of ``quantise=`` and ``prune=``.

    Examples
    --------
    >>> [one.name for one in read_compressions("int8", "[0.5,0.8]")]
    ['prune50_int8', 'prune80_int8']
    """
    if quantise not in (None, "int8"):
        raise InputError(f"got quantise={quantise}; {USAGE}")
    shares: list[float | None] = [None]
    if prune is not None:
        try:
            shares = [float(part) for part in prune.removeprefix("[").removesuffix("]").split(",")]
        except ValueError as error:
            raise InputError(f"got prune={prune}; {USAGE}") from error
    if len(set(shares)) < len(shares) or not all(s is None or 0 <= s < 1 for s in shares):
        raise InputError(f"got prune={prune}; expected different shares from 0 to below 1")
    found = [Compression(share, quantise is not None) for share in shares]
    return [one for one in found if one != Compression()]
