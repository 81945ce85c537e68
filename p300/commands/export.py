"""``p300 export``: a trained detector as one ONNX file, for any language.

Writes detector.onnx (preprocessed epochs to scores, everything folded into one graph) and
detector.json (preprocessing, electrodes, screen, likelihood, stopping rules), which need numpy
and onnxruntime but no PyTorch. Before it writes, it compares the scores with the checkpoint's.

  p300 export runs/bci2_iib/light/2026-01-31_12-00-00      into that folder
  p300 export RUN out=model                                into another
"""

from __future__ import annotations

from p300.commands import run_on_folder
from p300.export.write import export

USAGE = "expected `p300 export RUN [out=FOLDER]`"


def main() -> None:
    """Export the run on the command line."""
    run_on_folder("exporting", USAGE, lambda run, out: "\n".join(export(run, out)))
