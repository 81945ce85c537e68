"""Simulated things that several tests share: flashes of a text, and epochs with a P300.

A live session with its detector is in simulated_session.py.
"""

import numpy as np
import pandas as pd

from p300.recording import flash_table
from p300.speller import WADSWORTH


def spelled_flashes(
    text,
    speller=WADSWORTH,
    n_repetitions=3,
    *,
    d=None,
    seed=0,
    soa_s=0.175,
    character_s=30.0,
):
    """The flash table of a text, each repetition in an order of its own.

    With ``d`` it has a column ``score``: Gaussians of deviation 1 whose means differ by ``d``.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for c, symbol in enumerate(text):
        order = np.concatenate([rng.permutation(speller.codes) for _ in range(n_repetitions)])
        is_target = np.isin(order, speller.codes_of(symbol))
        flashes = flash_table(
            onset=character_s * c + soa_s * np.arange(len(order)),
            character=c + 1,
            repetition=np.repeat(np.arange(n_repetitions), len(speller.codes)),
            code=order,
            is_target=is_target,
        )
        if d is not None:
            flashes["score"] = rng.normal(size=len(order)) + d * is_target
        tables.append(flashes)
    return pd.concat(tables, ignore_index=True)


def p300_epochs(rng, n_flashes, n_chans=8, n_times=78, *, height=1.0, drift=0.0):
    """Noise of deviation 1 with a bump at 0.3 s in every sixth flash; and which these are.

    The height of the bump differs between electrodes by half of ``height`` up and down; ``drift``
    is the deviation of a level that is another in each flash and electrode.
    """
    time = np.arange(n_times) / 120
    bump = np.exp(-0.5 * ((time - 0.3) / 0.05) ** 2)
    is_target = np.arange(n_flashes) % 6 == 0
    epochs = rng.normal(size=(n_flashes, n_chans, n_times))
    epochs += drift * rng.normal(size=(n_flashes, n_chans, 1))
    scalp = height * np.linspace(0.5, 1.5, n_chans)
    epochs += is_target[:, None, None] * np.outer(scalp, bump)
    return epochs.astype(np.float32), is_target
