"""A simulated head: signals of the brain, the eyes and the surroundings at the electrodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator

from p300.errors import InputError


@dataclass(frozen=True)
class Brain:
    """Parameters of the simulated signals; amplitudes in µV, times in seconds.

    Parameters
    ----------
    p300_uv, latency_s, width_s : float
        Peak amplitude at Pz, latency of the peak, and standard deviation of the P300 wave.
    jitter_s : float
        Standard deviation of the latency from flash to flash.
    habituation : float
        Fraction of the P300 lost from the first repetition of a character to the last.
    visual_uv : float
        Amplitude of the P1/N1 that every flash, target or not, evokes over the occipital cortex.
    noise_uv, noise_reach : float
        Standard deviation of the 1/f noise, and the distance on a head of radius 1 over which it
        is correlated between electrodes.
    alpha_uv, alpha_hz : float
        Amplitude and frequency of the occipital rhythm, whose amplitude varies over time.
    blink_uv, blinks_per_minute : float
        Amplitude of a blink at Fpz, and the rate of blinks.
    line_uv, line_hz : float
        Line noise, the same on every electrode.
    """

    p300_uv: float = 10.0
    latency_s: float = 0.30
    width_s: float = 0.06
    jitter_s: float = 0.02
    habituation: float = 0.2
    visual_uv: float = 2.0
    noise_uv: float = 8.0
    noise_reach: float = 0.5
    alpha_uv: float = 4.0
    alpha_hz: float = 10.0
    blink_uv: float = 80.0
    blinks_per_minute: float = 6.0
    line_uv: float = 2.0
    line_hz: float = 50.0


def head_signal(
    flashes: Mapping[str, Any],
    n_samples: int,
    ch_names: Sequence[str],
    sfreq: float,
    brain: Brain,
    rng: Generator,
) -> np.ndarray:
    """Compute the EEG of one run: evoked responses, noise, alpha, blinks and line noise.

    Parameters
    ----------
    flashes : mapping
        ``onset`` (seconds), ``is_target`` and, for habituation, ``repetition``.
    n_samples, sfreq : int, float
        Length of the run and its rate in Hz.
    ch_names : sequence of str
        Electrodes of the 10-05 system.
    brain : Brain
        Parameters of the signals.
    rng : numpy.random.Generator
        Random generator of noise and jitter.

    Returns
    -------
    ndarray of float32, shape (n_chans, n_samples)
        In µV.
    """
    from threadpoolctl import threadpool_limits

    position = head_positions(tuple(ch_names))
    evoked = _evoked(flashes, n_samples, sfreq, brain, rng)  # (2 sources, n_samples)
    maps = np.stack([scalp_map(position, centre) for centre in ("Pz", "Oz")], axis=1)
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    shared = np.exp(-((distance / brain.noise_reach) ** 2) / 2)
    pink = _pink_noise(len(position), n_samples, sfreq, rng)
    with threadpool_limits(1, user_api="blas"):  # several threads sum in another order: other bits
        mixing = np.linalg.cholesky(shared + 0.05 * np.eye(len(position))) / np.sqrt(1.05)
        signal = maps @ evoked
        signal += brain.noise_uv * mixing.astype(np.float32) @ pink

    seconds = np.arange(n_samples) / sfreq
    envelope = np.abs(_pink_noise(1, n_samples, sfreq, rng)[0])
    alpha = envelope * np.sin(2 * np.pi * (brain.alpha_hz * seconds + rng.uniform()))
    signal += np.outer(brain.alpha_uv * scalp_map(position, "Oz", reach=0.7), alpha)

    blink = np.zeros(n_samples)
    shape = np.sin(np.pi * np.linspace(0, 1, int(0.3 * sfreq))) ** 2
    n_blinks = rng.poisson(brain.blinks_per_minute * n_samples / sfreq / 60)
    for start in rng.integers(0, max(1, n_samples - len(shape)), n_blinks):
        blink[start : start + len(shape)] += shape
    signal += np.outer(brain.blink_uv * scalp_map(position, "Fpz", reach=0.5), blink)
    signal += brain.line_uv * np.sin(2 * np.pi * (brain.line_hz * seconds + rng.uniform()))
    return signal.astype(np.float32)


def _evoked(
    flashes: Mapping[str, Any], n_samples: int, sfreq: float, brain: Brain, rng: Generator
) -> np.ndarray:
    """Sum the responses to all flashes: P300 source and visual source, in µV."""
    is_target = np.asarray(flashes["is_target"], bool)
    onset = np.asarray(flashes["onset"], float)
    repetition = np.asarray(flashes.get("repetition", np.zeros(len(onset))), float)
    size = brain.p300_uv * (1 - brain.habituation * repetition / max(1, repetition.max()))
    jitter = brain.jitter_s * rng.standard_normal(len(onset))
    sources = np.zeros((2, n_samples))
    lag = np.arange(int(1.0 * sfreq)) / sfreq
    visual = brain.visual_uv * (
        _wave(lag, 0.10, 0.015) - 1.5 * _wave(lag, 0.17, 0.025) + 0.7 * _wave(lag, 0.24, 0.03)
    )
    for k, start in enumerate(np.round(onset * sfreq).astype(int)):
        stop = min(start + len(lag), n_samples)
        sources[1, start:stop] += visual[: stop - start]
        if is_target[k]:
            wave = size[k] * _wave(lag, brain.latency_s + jitter[k], brain.width_s)
            sources[0, start:stop] += wave[: stop - start]
    return sources


def _wave(lag: np.ndarray, peak_s: float, width_s: float) -> np.ndarray:
    return np.exp(-(((lag - peak_s) / width_s) ** 2) / 2)


def _pink_noise(n_chans: int, n_samples: int, sfreq: float, rng: Generator) -> np.ndarray:
    """Draw noise whose power falls as 1/f above 0.1 Hz, of standard deviation 1."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    n = next_fast_len(n_samples, real=True)
    spectrum = rfft(rng.standard_normal((n_chans, n), dtype=np.float32))
    f = np.maximum(rfftfreq(n, 1 / sfreq), 0.1)
    gain = (1 / np.sqrt(f)).astype(np.float32)
    gain /= np.sqrt(np.mean(gain**2))
    return irfft(spectrum * gain, n)[:, :n_samples]


def scalp_map(position: np.ndarray, centre: str, reach: float = 0.6) -> np.ndarray:
    """Compute a weight per electrode: a Gaussian of its distance from a centre, 1 there.

    Parameters
    ----------
    position : ndarray, shape (n_chans, 3)
        Positions on a head of radius 1.
    centre : str
        Name of an electrode.
    reach : float
        Standard deviation of the Gaussian on that head.
    """
    distance = np.linalg.norm(position - head_positions((centre,)), axis=1)
    return np.exp(-((distance / reach) ** 2) / 2)


@cache
def head_positions(ch_names: tuple[str, ...]) -> np.ndarray:
    """Return positions of 10-05 electrodes on a head of radius 1: shape (n_chans, 3).

    Raises
    ------
    InputError
        If a name is not in the 10-05 system.
    """
    from p300.electrodes import standard_montage

    positions = standard_montage().get_positions()["ch_pos"]
    table = {name.lower(): p for name, p in positions.items()}
    if missing := [c for c in ch_names if c.lower() not in table]:
        raise InputError(
            f"electrodes {missing} are not in the 10-05 system; expected names such as 'Cz'"
        )
    position = np.array([table[c.lower()] for c in ch_names])
    return position / np.linalg.norm(position, axis=1, keepdims=True)
