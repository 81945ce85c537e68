"""Exports of compressed detectors, each measured beside the float32 one on held-out flashes."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from p300.detector import Detector
from p300.errors import InputError
from p300.export.compression import Compressed, Compression, compress, count_weights
from p300.export.graph import largest_difference, to_onnx
from p300.export.onnx_detector import INPUT, N_AT_ONCE, OUTPUT, open_graph
from p300.export.write import check_exportable, content_of, sizes_of, write_pair
from p300.learning.files import FILE
from p300.metrics import (
    Interval,
    auc_counts,
    confidence_interval,
    mean_auc,
    resampling_units,
    unit_name,
)
from p300.storage.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from p300.preprocessing import Epochs

#: Name of the file with the table.
TABLE = "compression.csv"

#: Flashes that are timed.
N_TIMED = 300


def export_compressed(
    detector: Detector,
    folder: Path,
    out: Path,
    compressions: Sequence[Compression],
    epochs: Epochs,
    part: np.ndarray,
) -> list[str]:
    """Write compressed graphs of a detector, and the table that compares them with float32.

    A single compression becomes ``detector.onnx``. Of several, each becomes
    ``detector_NAME.onnx`` beside the float32 ``detector.onnx``. Each has a JSON file.

    Parameters
    ----------
    detector : Detector
        That of the run.
    folder, out : Path
        The run's folder, and that of the export.
    compressions : sequence of Compression
        At least one.
    epochs : Epochs
        All epochs of the run's recording, preprocessed.
    part : ndarray of str, shape (n_flashes,)
        Part of the split that each flash is in. Training flashes show how large the inputs of
        quantised layers are; labelled test flashes are scored.

    Returns
    -------
    list of str
        Lines to print.

    Raises
    ------
    InputError
        If the detector cannot be exported or compressed, learns while it spells, or the run has
        no labelled test flashes.
    """
    check_exportable(detector)
    if (folder / FILE).is_file():
        raise InputError(
            "the run learns while it spells, from what its float32 networks compute; expected "
            "one without for prune= or quantise=; train with learning=none"
        )
    is_tested = (part == "test") & epochs.flashes["is_target"].notna().to_numpy()
    if not is_tested.any():
        raise InputError(
            "the run has no labelled test flashes, on which the compressed detector could be "
            "measured; expected a split with a test part"
        )
    training = epochs.data[part == "train"]
    whole = Compressed(Compression(), detector, to_onnx(detector))
    found = [compress(detector, one, training) for one in compressions]
    for one in (whole, *found):
        if not one.compression.int8:
            largest_difference(one.detector, one.model)
    table = measure([whole, *found], epochs.data[is_tested], epochs.flashes[is_tested])
    content, notes = content_of(folder, detector)
    out.mkdir(parents=True, exist_ok=True)
    written = found if len(found) == 1 else [whole, *found]
    files: list[Path] = []
    for one in written:
        is_main = one is written[0]
        name = "detector" if is_main else f"detector_{one.compression.name}"
        about = content if one is whole else with_compression(content, one)
        files += write_pair(out, one.model, about, name)
    write_text(out / TABLE, table.to_csv(index=False))
    operators = {one.operators for one in found if one.operators}
    return [
        *sizes_of([*files, out / TABLE]),
        f"detector.onnx is {written[0].compression.name}",
        *sorted(operators),
        *lines_of(table),
        "the networks were not trained again; likelihood and stopping rules are those of float32",
        *notes,
    ]


def with_compression(content: dict, one: Compressed) -> dict:
    """Return the content of the JSON file, with what was done to the networks in ``info``."""
    told = {"prune": one.compression.prune, "quantise": "int8" if one.compression.int8 else None}
    return content | {"info": content["info"] | {"compression": told}}


def measure(
    compressed: Sequence[Compressed], epochs: np.ndarray, flashes: pd.DataFrame
) -> pd.DataFrame:
    """Measure sizes, times and AUCs of some graphs, the first of which is the float32 one.

    Parameters
    ----------
    compressed : sequence of Compressed
        Scored with onnxruntime on one thread.
    epochs : ndarray of float32, shape (n_flashes, n_chans, n_times)
        Preprocessed, of flashes that nothing was fitted to.
    flashes : DataFrame
        Their flash table, all labelled.

    Returns
    -------
    DataFrame
        One row per graph: ``kind``; ``kb`` and ``gzip_kb``, its size in kB and that after gzip;
        ``n_weights`` and ``n_nonzero``; ``us_per_flash``, the median time of one flash in µs;
        ``auc``; ``difference``, its AUC minus that of float32; ``low``, ``high``, the 95 %
        interval of the difference, over ``n_units`` ``unit`` (such as characters).
    """
    import pandas as pd

    graphs = [open_graph(one.model) for one in compressed]
    n = len(epochs)
    parts = [epochs[k : k + N_AT_ONCE] for k in range(0, n, N_AT_ONCE)]
    scores = [np.concatenate([g.run([OUTPUT], {INPUT: p})[0] for p in parts]) for g in graphs]
    seconds = np.empty((min(n, N_TIMED), len(graphs)))
    for k in range(len(seconds)):  # in turns, so that a busy computer slows all of them
        for g, graph in enumerate(graphs):
            graph.run([OUTPUT], {INPUT: epochs[k : k + 1]})  # what another left in the cache goes
            started = time.perf_counter()
            graph.run([OUTPUT], {INPUT: epochs[k : k + 1]})
            seconds[k, g] = time.perf_counter() - started
    rows = []
    for one, own, taken in zip(compressed, scores, np.median(seconds, axis=0), strict=True):
        n_weights, n_nonzero = count_weights(one.detector)
        auc, difference, interval = auc_difference(flashes, own, scores[0])
        rows.append(
            {
                "kind": one.compression.name,
                "kb": len(one.model) / 1e3,
                "gzip_kb": len(gzip.compress(one.model, mtime=0)) / 1e3,
                "n_weights": n_weights,
                "n_nonzero": n_nonzero,
                "us_per_flash": 1e6 * taken,
                "auc": auc,
                "difference": difference,
                "low": interval.low,
                "high": interval.high,
                "n_units": interval.n,
                "unit": interval.unit,
            }
        )
    return pd.DataFrame(rows)


def auc_difference(
    flashes: pd.DataFrame, scores: np.ndarray, others: np.ndarray
) -> tuple[float, float, Interval]:
    """Compute an AUC, how much it differs from another of the same flashes, and the interval.

    Parameters
    ----------
    flashes : DataFrame
        The flash table, all flashes labelled.
    scores, others : ndarray, shape (n_flashes,)
        Scores of two detectors.

    Returns
    -------
    auc, difference : float
        Mean over subjects of the AUC of ``scores``, and that minus the AUC of ``others``.
    interval : Interval
        Of the difference, 95 %. The same characters (or blocks of time) are left out of both.
    """
    counts: tuple[list, list] = ([], [])
    for rows in flashes.groupby("subject", sort=False).indices.values():
        own = flashes.iloc[rows]
        units = resampling_units(own)
        for some, kept in zip((scores, others), counts, strict=True):
            kept.append(auc_counts(own["is_target"].to_numpy(bool), some[rows], units))
    sizes = [len(wins) for wins, _, _ in counts[0]]

    def difference(weights: np.ndarray) -> np.ndarray:
        return mean_auc(counts[0], weights) - mean_auc(counts[1], weights)

    everything = np.ones((1, sum(sizes)))
    auc = float(mean_auc(counts[0], everything)[0])
    return (
        auc,
        float(difference(everything)[0]),
        confidence_interval(difference, sizes, unit=unit_name(flashes)),
    )


def lines_of(table: pd.DataFrame) -> list[str]:
    """Format the table of :func:`measure` as Markdown."""
    lines = [
        "| | kB | gzip (kB) | weights | not zero | µs / flash | AUC | minus float32 |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in table.itertuples():
        cells = [row.kind, f"{row.kb:.1f}", f"{row.gzip_kb:.1f}", f"{row.n_weights:,}"]
        cells += [f"{row.n_nonzero:,}", f"{row.us_per_flash:.0f}", f"{row.auc:.3f}"]
        interval = Interval(row.low, row.high, row.n_units, row.unit).text("+.4f")
        same = math.isclose(row.difference, 0, abs_tol=1e-12)
        cells.append("0" if same else f"{row.difference:+.4f}: {interval}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines
