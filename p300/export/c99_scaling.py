"""The scaling of filtered epochs in C99, as :mod:`p300.preprocessing.scaling` does it."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

import numpy as np

from p300.export.fixed_point import PER_UNIT

if TYPE_CHECKING:
    from p300.preprocessing import Preprocessor

#: Steps per unit of the filtered epochs.
FILTERED = PER_UNIT["uV"]

ROUND = """\
static int16_t rounded(float value)
{
    if (value >= 32767.0f)
        return INT16_MAX;
    if (value <= -32768.0f)
        return INT16_MIN;
    return (int16_t)(value < 0 ? value - 0.5f : value + 0.5f);
}
"""

BY_EPOCH = Template("""\
static int32_t total(const int16_t *x)
{
    int32_t sum = 0;
    for (int t = 0; t < P300_N_TIMES; t++)
        sum += x[t];
    return sum;
}
$variance
static void centred(const int16_t *x, int32_t sum, float factor, int16_t *out)
{
    const float mean = (float)sum / P300_N_TIMES;
    for (int t = 0; t < P300_N_TIMES; t++)
        out[t] = rounded(((float)x[t] - mean) * factor);
}

void p300_scale(const int16_t *filtered, int16_t *epoch)
{
$body}
""")

VARIANCE = """
static float variance(const int16_t *x)
{
    const int64_t sum = total(x);
    int64_t squares = 0;
    for (int t = 0; t < P300_N_TIMES; t++)
        squares += (int32_t)x[t] * x[t];
    squares = P300_N_TIMES * squares - sum * sum; /* exact: 0 for a constant electrode */
    return (float)squares / ((float)P300_N_TIMES * P300_N_TIMES);
}
"""

ONE_FACTOR = """\
    const float factor = power > 0 ? P300_STEPS_PER_UNIT / sqrtf(power) : 0;
    for (int c = 0; c < P300_N_CHANS; c++) {
        const int16_t *x = filtered + c * P300_N_TIMES;
        centred(x, total(x), factor, epoch + c * P300_N_TIMES);
    }
"""

BODIES = {
    "center": """\
    for (int c = 0; c < P300_N_CHANS; c++) {
        const int16_t *x = filtered + c * P300_N_TIMES;
        centred(x, total(x), 1.0f, epoch + c * P300_N_TIMES);
    }
""",
    "zscore_epoch": """\
    for (int c = 0; c < P300_N_CHANS; c++) {
        const int16_t *x = filtered + c * P300_N_TIMES;
        const float power = variance(x);
        const float factor = power > 0 ? P300_STEPS_PER_UNIT / sqrtf(power) : 0;
        centred(x, total(x), factor, epoch + c * P300_N_TIMES);
    }
""",
    "rms_epoch": """\
    float power = 0;
    for (int c = 0; c < P300_N_CHANS; c++)
        power += variance(filtered + c * P300_N_TIMES) / P300_N_CHANS;
"""
    + ONE_FACTOR,
    "median_epoch": """\
    float ordered[P300_N_CHANS]; /* powers of the electrodes that vary, the smallest first */
    int n = 0;
    for (int c = 0; c < P300_N_CHANS; c++) {
        const float own = variance(filtered + c * P300_N_TIMES);
        if (own > 0) {
            int place = n++;
            for (; place > 0 && ordered[place - 1] > own; place--)
                ordered[place] = ordered[place - 1];
            ordered[place] = own;
        }
    }
    const float power = n > 0 ? (ordered[(n - 1) / 2] + ordered[n / 2]) / 2 : 0;
"""
    + ONE_FACTOR,
}

FITTED = """\
void p300_scale(const int16_t *filtered, int16_t *epoch)
{
    for (int c = 0; c < P300_N_CHANS; c++)
        for (int t = 0; t < P300_N_TIMES; t++) {
            const int i = c * P300_N_TIMES + t;
            epoch[i] = rounded((float)filtered[i] * gains[c] + shifts[c]);
        }
}
"""


def scale_function(steps: Preprocessor) -> tuple[str, list[str]]:
    """Write the scaling of a preprocessing as C.

    Parameters
    ----------
    steps : Preprocessor
        Fitted.

    Returns
    -------
    function : str
        ``p300_scale`` and what it calls; empty for the scaling "none".
    before : list of str
        What must stand at the beginning of the file: an include, or tables.
    """
    if steps.scaling == "none":
        return "", []
    if steps.scaling in BODIES:
        variance = "" if steps.scaling == "center" else VARIANCE
        body = BY_EPOCH.substitute(variance=variance, body=BODIES[steps.scaling])
        return f"{ROUND}\n{body}", [] if steps.scaling == "center" else ["#include <math.h>\n"]
    assert steps.center_ is not None and steps.spread_ is not None
    per_unit, spread = PER_UNIT[steps.unit_out], np.asarray(steps.spread_, float)
    gains = per_unit / (spread * FILTERED)
    shifts = -per_unit * np.asarray(steps.center_, float) / spread
    tables = [_floats("gains", gains), _floats("shifts", shifts)]
    return f"{ROUND}\n{FITTED}", tables


def _floats(name: str, numbers: np.ndarray) -> str:
    words = "".join(f"    {float(np.float32(number)).hex()}f,\n" for number in numbers)
    return f"static const float {name}[P300_N_CHANS] = {{\n{words}}};\n"
