"""``p300 replay``: play a recording, or a session, as live streams."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from p300.experiments.configuration import run_with_hydra
from p300.experiments.prepare import read_runs
from p300.online.format import StreamFormat
from p300.online.journal import read_about, read_inputs
from p300.online.playback import format_of, play, recording_inputs, spell_at_once

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.online.playback")


def main() -> None:
    """Run the command with the arguments of the command line."""
    run_with_hydra("replay", replay)


def replay(cfg: DictConfig) -> None:
    """Play the configured recording or session, over Lab Streaming Layer or into a detector.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/replay.yaml``.

    Raises
    ------
    InputError
        If there is nothing to play, nobody listens, or a replayed session differs from its record.
    """
    if cfg.session is not None:
        about = read_about(cfg.session)
        stream = StreamFormat(**{k: _frozen(v) for k, v in about["stream"].items()})
        inputs = read_inputs(cfg.session)
    else:
        about = None
        recording = read_runs(cfg.data, cfg.runs)
        log.info("%r", recording)
        stream = format_of(recording)
        inputs = recording_inputs(recording)
    if cfg.detector is not None:
        spell_at_once(cfg, about, stream, inputs)
    else:
        play(
            stream,
            inputs,
            speed=cfg.speed,
            wait_s=cfg.wait_s,
            names=(cfg.eeg.name, cfg.markers.name),
        )


def _frozen(value: Any):
    return tuple(value) if isinstance(value, list) else value
