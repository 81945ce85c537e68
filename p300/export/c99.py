"""``p300 export RUN format=c99``: a detector for a microcontroller, as ``detector.h`` and ``.c``.

The C has weights of 16 bits in constant arrays, which stay in flash memory, and allocates nothing.
``p300_score`` adds whole numbers only and needs no library (:mod:`p300.export.fixed_point`);
``p300_scale`` is the scaling of the preprocessing in float, for epochs that are filtered.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from p300 import __version__
from p300.errors import InputError
from p300.export.c99_scaling import scale_function
from p300.export.fixed_point import PER_UNIT, LinearForm, OclnnForm, form_of, round_epochs
from p300.export.write import check_exportable, describe_filter, sizes_of
from p300.storage.files import write_text

if TYPE_CHECKING:
    from p300.detector import Detector
    from p300.preprocessing import Preprocessor

HEADER = Template("""\
/* P300 detector: $name. Written by p300 $version.
 *
$about
 */
#ifndef P300_DETECTOR_H
#define P300_DETECTOR_H

#include <stdint.h>

#define P300_N_CHANS $n_chans
#define P300_N_TIMES $n_times

/* Steps per unit ($unit) of an epoch for p300_score. */
#define P300_STEPS_PER_UNIT $per_unit

/* Return the score of one flash; larger = more target-like.
 * epoch: P300_N_CHANS * P300_N_TIMES samples, all of the first electrode, then the next. */
double p300_score(const int16_t *epoch);
$scaling
#endif
""")

SCALING = """
/* Scale a filtered epoch, in steps of 1/32 of its unit, for p300_score. Both have the order above,
 * and may be the same. Samples too large for 16 bits become the largest. Needs sqrtf (libm). */
void p300_scale(const int16_t *filtered, int16_t *epoch);
"""

LINEAR = Template("""\
static const int16_t weights[P300_N_CHANS * P300_N_TIMES] = {
$weights};

double p300_score(const int16_t *epoch)
{
    int64_t sum = 0;
    for (int i = 0; i < P300_N_CHANS * P300_N_TIMES; i++)
        sum += (int32_t)weights[i] * epoch[i];
    return $step * (double)sum + $offset;
}
""")

OCLNN = Template("""\
#define N_FILTERS $n_filters
#define N_PIECES $n_pieces
#define PIECE $piece
#define N_BEFORE $n_before

static const int16_t kernels[N_FILTERS * P300_N_CHANS * PIECE] = {
$kernels};

static const int64_t biases[N_FILTERS] = {
$biases};

static const int16_t last[N_FILTERS * N_PIECES] = {
$last};

double p300_score(const int16_t *epoch)
{
    int64_t score = 0;
    for (int f = 0; f < N_FILTERS; f++) {
        for (int p = 0; p < N_PIECES; p++) {
            const int16_t *kernel = kernels + f * P300_N_CHANS * PIECE;
            const int start = p * PIECE - N_BEFORE;
            const int from = start < 0 ? -start : 0; /* samples outside the epoch are zero */
            const int to = start + PIECE > P300_N_TIMES ? P300_N_TIMES - start : PIECE;
            int64_t sum = biases[f];
            for (int c = 0; c < P300_N_CHANS; c++)
                for (int k = from; k < to; k++)
                    sum += (int32_t)kernel[c * PIECE + k] * epoch[c * P300_N_TIMES + start + k];
            if (sum > 0)
                score += last[f * N_PIECES + p] * sum;
        }
    }
    return $step * (double)score + $offset;
}
""")


def export_c99(run: str | Path, out: str | Path | None = None) -> list[str]:
    """Write ``detector.h`` and ``detector.c`` of a run.

    Parameters
    ----------
    run : path
        Folder of ``p300 train``, or a checkpoint.
    out : path or None
        Folder, created if it does not exist; None for that of the run.

    Returns
    -------
    list of str
        Lines to print: files, sizes, operations, the largest difference and its limit.

    Raises
    ------
    InputError
        If the run is not finished, or its detector is neither linear nor an OCLNN.
    """
    from p300.detector import Detector, find_checkpoint

    folder = find_checkpoint(run).parent
    out = folder if out is None else Path(out)
    detector = Detector.load(run)
    check_exportable(detector)
    if detector.alignment is not None:
        raise InputError(
            "the run aligns its epochs, which has no form in C; expected a run with alignment=none"
        )
    form = form_of(detector)
    header, source = to_c99(detector, form)
    difference, limit = compare(detector, form)
    out.mkdir(parents=True, exist_ok=True)
    files = out / "detector.h", out / "detector.c"
    for file, text in zip(files, (header, source), strict=True):
        write_text(file, text)
    lines = [
        *sizes_of(files),
        *_costs(form),
        f"largest difference to the checkpoint's scores: {difference:.1e}, limit {limit:.1e}",
    ]
    if detector.preprocessor.is_filtering and detector.preprocessor.phase != "causal":
        lines.append(
            "its filter reads samples from the future, which a device does not have; train with "
            "preprocessing.phase=causal"
        )
    return lines


def to_c99(detector: Detector, form: LinearForm | OclnnForm) -> tuple[str, str]:
    """Write a detector as the text of a header and of a source file."""
    steps = detector.preprocessor
    scaling, tables = scale_function(steps)
    names = [m.model.get("_target_", "").rpartition(".")[2] for m in detector.members]
    about = [*_costs(form), "No allocation, no recursion, no global state.", "", *_before(steps)]
    lines = [part for line in about for part in textwrap.wrap(line, 95) or [""]]
    comment = "\n".join(f" * {line}".rstrip() for line in lines).replace("*/", "* /")
    header = HEADER.substitute(
        name=" + ".join(names),
        version=__version__,
        about=comment,
        n_chans=len(steps.ch_names_),
        n_times=steps.n_times,
        unit=steps.unit_out,
        per_unit=PER_UNIT[steps.unit_out],
        scaling=SCALING if scaling else "",
    )
    numbers = {"step": form.step.hex(), "offset": f"({float(form.offset).hex()})"}
    if isinstance(form, LinearForm):
        score = LINEAR.substitute(numbers, weights=listed(form.rounded.whole))
    else:
        score = OCLNN.substitute(
            numbers,
            n_filters=len(form.kernels),
            n_pieces=form.last.shape[1],
            piece=form.kernels.shape[2],
            n_before=form.n_before,
            kernels=listed(form.rounded.whole),
            biases=listed(form.whole_biases),
            last=listed(form.rounded_last.whole),
        )
    return header, "\n".join(['#include "detector.h"\n', *tables, score, scaling]).rstrip() + "\n"


def listed(numbers: np.ndarray) -> str:
    """Write whole numbers as lines of C.

    Examples
    --------
    >>> print(listed(np.arange(3)), end="")
        0, 1, 2,
    """
    words = [f"{number}," for number in numbers.ravel().tolist()]
    lines = [" ".join(words[k : k + 12]) for k in range(0, len(words), 12)]
    return "".join(f"    {line}\n" for line in lines)


def n_bytes(form: LinearForm | OclnnForm) -> int:
    """Count the bytes of the constant arrays of ``p300_score``."""
    if isinstance(form, LinearForm):
        return 2 * form.weights.size
    return 2 * form.kernels.size + 2 * form.last.size + 8 * form.biases.size


def compare(detector: Detector, form: LinearForm | OclnnForm) -> tuple[float, float]:
    """Compare with the checkpoint's scores, for noise of one unit.

    Returns
    -------
    difference, limit : float
        Largest difference, and the largest error that rounding can make for these epochs.

    Raises
    ------
    InputError
        If the difference is above the limit and the rounding of float32.
    """
    steps = detector.preprocessor
    shape = (64, len(steps.ch_names_), steps.n_times)
    epochs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rounded = round_epochs(epochs, steps.unit_out)
    wanted = detector.score_epochs(epochs)
    differences, limits = np.abs(form.score(rounded) - wanted), form.largest_error(rounded)
    if not (differences <= limits + 1e-5 * np.maximum(1, np.abs(wanted))).all():
        raise InputError(
            f"the scores in C would differ from the checkpoint's by {differences.max():.1e}; "
            f"expected at most {limits.max():.1e}, by rounding alone"
        )
    return float(differences.max()), float(limits.max())


def _costs(form: LinearForm | OclnnForm) -> list[str]:
    return [
        f"{n_bytes(form):,} bytes of constants for p300_score (weights of 16 bits)",
        f"{form.n_multiply_adds:,} multiply-adds of whole numbers per flash (16 x 16 bits, "
        f"summed in 64 bits)",
    ]


def _before(steps: Preprocessor) -> list[str]:
    """Say what must run on the device before ``p300_score``, one line each."""
    unit = "AD" if steps.unit_ == "AD" else "uV"
    lines = ["What the device has to compute before, in this order:"]
    lines += [f"- electrodes: {', '.join(steps.ch_names_)}"]
    told: dict[str, object] = {"reference": steps.reference, "bad channels": steps.bad_channels}
    lines += [f"- {name}: {value}" for name, value in told.items() if value is not None]
    if steps.is_filtering:
        lines.append(
            f"- Butterworth filter of order {steps.order} from {steps.l_freq} to {steps.h_freq} "
            f"Hz, {steps.phase} phase"
        )
    if (filtered := describe_filter(steps)) is not None:
        lines.append(
            f"- the filter runs at {filtered['sfreq']:g} Hz, after subtracting the first "
            "sample; its sections (b0, b1, b2, a0, a1, a2) start from a state of 0:"
        )
        lines += [f"  {', '.join(map(repr, section))}" for section in filtered["sos"]]
    lines.append(f"- {steps.sfreq:g} Hz ({steps.resample}), from {steps.sfreq_in_:g} Hz")
    lines.append(f"- an epoch of {steps.n_times} samples from {steps.tmin:g} s after the flash")
    told = {"baseline (s)": steps.baseline, "limit of amplitudes (uV)": steps.clip_uv}
    lines += [f"- {name}: {value}" for name, value in told.items() if value is not None]
    lines.append(f"- int16_t: steps of 1/{PER_UNIT[unit]} {unit}, at most 1024 {unit}")
    if steps.scaling != "none":
        lines.append(f"- p300_scale, which is the scaling {steps.scaling}")
    return lines
