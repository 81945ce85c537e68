"""Whether the signal looks like that of the training: flat, loud, or of another scale."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from p300.integrity.levels import SignalLevels, level_of

#: Windows in a row that must agree, so that a blink or a movement is no finding.
N_WINDOWS = 3

#: Quotient of live and training level of most channels beyond which the unit is in doubt.
SCALE = 50.0

#: Largest quotient of two factors, level to level of training, that count as one factor. A wrong
#: unit is one factor for all channels and all seconds; an amplifier that settles is not.
SPREAD = 4.0


class SignalWatch:
    """Compares each second of signal with the levels of the training part.

    A channel is *flat* if its level is below ``flat`` times the quietest second of training (the
    1 % quantile), *loud* if it is above ``loud`` times the loudest (the 99 % quantile). If the
    levels of half of the channels or more are :data:`SCALE` times off their medians, by about the
    same factor, they are *of another scale*.

    Parameters
    ----------
    levels : SignalLevels
        Of the training, in the detector's unit.
    sfreq : float
        Rate of the signal in Hz.
    flat, loud : float
        Factors; 0 for no comparison.
    """

    def __init__(self, levels: SignalLevels, sfreq: float, *, flat: float, loud: float):
        self.levels = levels
        self.n_windows = 0
        self._flat = flat * np.asarray(levels.low)
        self._loud = loud * np.asarray(levels.high) if loud else np.inf
        self._usual = np.maximum(levels.usual, np.finfo(float).tiny)
        self._n = round(levels.window_s * sfreq)
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._recent = np.zeros((0, len(levels.ch_names)))
        self._said: dict[str, set[str]] = {}

    def push(self, signal: np.ndarray) -> Iterator[tuple[str, str]]:
        """Take signal of shape (n_chans, n_samples) and yield kind and sentence of findings."""
        self._held.append(signal)
        self._n_held += signal.shape[1]
        if self._n_held < self._n:
            return
        held = np.concatenate(self._held, axis=1)
        n_whole = len(held[0]) // self._n
        self._held, self._n_held = [held[:, n_whole * self._n :]], len(held[0]) % self._n
        for k in range(n_whole):
            window = held[:, k * self._n : (k + 1) * self._n]
            level = level_of(window)
            self.n_windows += 1
            self._recent = np.concatenate([self._recent, level[None]])[-N_WINDOWS:]
            if len(self._recent) == N_WINDOWS:
                yield from self._judge()

    def restart(self) -> None:
        """Begin a new window: the signal was interrupted."""
        self._held, self._n_held = [], 0

    def _judge(self) -> Iterator[tuple[str, str]]:
        names, unit = np.array(self.levels.ch_names), self.levels.unit
        recent, level = self._recent, np.median(self._recent, axis=0)
        quotient = level / self._usual
        is_far = (quotient > SCALE) | (quotient < 1 / SCALE)
        is_so = {"flat": recent <= self._flat, "loud": recent > self._loud}
        found = {what: set(names[so.all(axis=0)].tolist()) for what, so in is_so.items()}
        if is_far.mean() >= 0.5 and level.any() and self._is_one_factor(quotient):
            found = {"of another scale": set(names.tolist())}
        for what, some in found.items():
            said = self._said.get(what, set())
            new = [name for name in names.tolist() if name in some - said]
            if not new:
                continue
            k = names.tolist().index(new[0])
            was = f"{self.levels.low[k]:.3g} to {self.levels.high[k]:.3g} {unit}"
            listed = ", ".join(new[:4]) + (f" and {len(new) - 4} more" if len(new) > 4 else "")
            advice = "check the electrode"
            if what == "of another scale":
                off = float(np.median(quotient[is_far]))
                advice = f"{off:.1e} times; check the unit of the stream, or set eeg.unit"
            yield (
                f"channels {what}: {listed}",
                f"the signal is {what} at {listed}: {level[k]:.3g} {unit} within a second, "
                f"expected {was}, as in training; {advice}",
            )
        for what, some in self._said.items():
            if some and not found.get(what):
                yield f"times no longer {what}", f"no channel is {what} any longer"
        self._said = found

    def _is_one_factor(self, quotient: np.ndarray) -> bool:
        low, high = np.maximum(np.quantile(quotient, [0.25, 0.75]), np.finfo(float).tiny)
        first, last = np.maximum(np.median(self._recent[[0, -1]], axis=1), np.finfo(float).tiny)
        return bool(max(high / low, first / last, last / first) <= SPREAD)
