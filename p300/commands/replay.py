"""``p300 replay``: play a recording or a session as live streams.

Sends a recording, or a session of `p300 online`, as the two streams that `p300 online` listens
to. With detector=… it spells at once, without streams, and compares a session with its record.

  p300 replay data=bci2_iib runs=[AAS012R03,AAS012R04]   at the pace of the recording
  p300 replay data=bci2_iib speed=10                     ten times as fast
  p300 replay session=runs/online/… detector=model       is it identical?
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from p300.experiments.command_line import run_with_hydra, with_quoted_paths
from p300.experiments.prepare import read_runs
from p300.online.journal import read_about, read_inputs
from p300.online.playback import (
    format_of,
    play,
    recording_inputs,
    spell_at_once,
    tell_trained_on,
)
from p300.online.streams.format import StreamFormat

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger("p300.online.playback")

#: Settings that are paths, which may hold "=" and brackets.
PATHS = ("session", "detector", "language", "hydra.run.dir")


def main() -> None:
    """Run the command with the arguments of the command line."""
    sys.argv[1:] = with_quoted_paths(sys.argv[1:], PATHS)
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
        stream = StreamFormat(**about["stream"])
        inputs = read_inputs(cfg.session)
    else:
        about = None
        recording = read_runs(cfg.data, cfg.runs)
        log.info("%r", recording)
        if cfg.detector is not None:
            tell_trained_on(cfg.detector, recording)
        stream = format_of(recording)
        inputs = recording_inputs(recording)
    if cfg.detector is not None:
        spell_at_once(cfg, about, stream, inputs)
    else:
        names = (cfg.eeg.name, cfg.markers.name)
        play(stream, inputs, speed=cfg.speed, wait_s=cfg.wait_s, names=names)
