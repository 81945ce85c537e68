"""How long a flash and a character take while a detector learns from them, and its state.

    python tests/benchmarks/bench_learning.py [N_CHARACTERS]

A character has 15 repetitions of 12 flashes. The time of a character is that of the last one,
when all before it are estimated again. One thread.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from p300 import WADSWORTH
from p300.learning import FromNothing, LearningSettings, Source
from p300.learning.linear import usual_basis


def measure(settings, n_chans: int, n_characters: int) -> None:
    rng = np.random.default_rng(0)
    training = rng.normal(size=(900, n_chans, 78)).astype(np.float32)
    is_target = np.arange(900) % 6 == 0
    source = Source.of_epochs(
        training,
        is_target,
        np.full(900, "1"),
        basis=usual_basis(n_chans, 78, 120.0),
        penalty=n_chans / 160,
    )
    learner = settings.start(source, WADSWORTH.symbols, None, 120.0)
    lit = np.tile(WADSWORTH.membership.T.astype(bool), (15, 1))
    flash_ms, character_s = [], 0.0
    for _ in range(n_characters):
        epochs = rng.normal(size=(len(lit), n_chans, 78)).astype(np.float32)
        for epoch in epochs[:30]:
            started = time.perf_counter()
            learner.change(epoch[np.newaxis])
            flash_ms.append(1e3 * (time.perf_counter() - started))
        started = time.perf_counter()
        learner.read(epochs, lit, np.zeros(len(lit)))
        character_s = time.perf_counter() - started
    name = type(settings).__name__
    print(
        f"{name:17} {n_chans:3} electrodes: a flash {np.median(flash_ms):.3f} ms (must 5), "
        f"character {n_characters} {character_s:.3f} s (must 1)",
        flush=True,
    )


def main() -> None:
    n_characters = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with threadpool_limits(1):
        for settings in (LearningSettings(guard=False), FromNothing()):
            for n_chans in (8, 16, 64):
                measure(settings, n_chans, n_characters)


if __name__ == "__main__":
    main()
