"""Time the ridge on smooth time courses at the sizes of the recordings in data/README.md.

    python tests/benchmarks/bench_ridge.py

For each size: seconds of a fit that chooses its penalty, of a fit with a given one, and of adding
one character to the sums and computing the weights anew; megabytes of the sums.
"""

from __future__ import annotations

import timeit
from functools import partial

import numpy as np

from p300.baselines import GaussianProcessRidge
from p300.learning.linear import quiet_weights, usual_basis
from p300.learning.sums import EpochSums

SIZES = {"bci3_ii": (64, 15_300), "bci2_iib": (64, 7_560), "bnci": (8, 900)}

#: Flashes of one character.
CHARACTER = slice(0, 180)


def seconds(work):
    """Return the least of three times: others may use the machine too."""
    return min(timeit.repeat(work, number=1, repeat=3))


def learn(ridge, sums, *character):
    """Add a character and compute new weights."""
    ridge._weights(sums + EpochSums.of(*character), [0.1])


def main():
    rng = np.random.default_rng(0)
    print("recording  electrodes  flashes  fit s  given penalty s  a character s  MB of sums")
    for name, (n_chans, n_flashes) in SIZES.items():
        X = rng.normal(size=(n_flashes, n_chans, 78)).astype(np.float32)
        X -= X.mean(axis=2, keepdims=True)
        y, groups = np.arange(n_flashes) % 6 == 0, np.arange(n_flashes) // 180
        given = GaussianProcessRidge(penalty=0.1)
        basis, weight = usual_basis(n_chans, 78, 120.0), quiet_weights(X)
        sums = EpochSums.of(X, y, weight, basis)
        stored = sum(getattr(sums, part).nbytes for part in ("epochs", "products", "lags")) / 1e6
        character = X[CHARACTER], y[CHARACTER], weight[CHARACTER], basis
        times = (
            seconds(partial(GaussianProcessRidge().fit, X, y, groups=groups)),
            seconds(partial(given.fit, X, y)),
            seconds(partial(learn, given, sums, *character)),
        )
        print(
            f"{name:9s}  {n_chans:10d}  {n_flashes:7d}  {times[0]:5.2f}  {times[1]:15.2f}  "
            f"{times[2]:13.3f}  {stored:10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
