"""``p300 online``: spell live from Lab Streaming Layer with an exported detector.

Listens to a stream of EEG and a stream of markers, prints each character when it is decided,
publishes it as a stream, and records everything in a session folder that can be replayed exactly.

  p300 online model                                      a folder of `p300 export`
  p300 online model eeg.name=amplifier offset_s=0.012    which stream; how late the screen is
  p300 online model rule=null                            read a character when it has ended
  p300 online model learn=true                           learn from the characters it decides
  p300 online none screen=wadsworth                      read from nothing, without training
"""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

from p300.experiments.command_line import (
    divided,
    names_path,
    run_with_hydra,
    with_quoted_paths,
)
from p300.online.journal import Journal
from p300.online.live import Run
from p300.online.setup import (
    NONE,
    choose_rule,
    describe,
    keep_learned,
    make_speller,
    open_detector,
    prepare,
)
from p300.online.streams.listener import Listener
from p300.online.streams.lsl import DECISIONS, open_texts
from p300.online.telling import Telling
from p300.terminal import show

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.online")

#: Settings that are paths, which may hold "=" and brackets.
PATHS = ("detector", "language", "hydra.run.dir")


def main() -> None:
    """Run the command with the arguments of the command line; a path alone is the detector."""
    options, arguments = divided(sys.argv[1:])
    named = [f"detector={a}" if a == NONE or names_path(a) else a for a in arguments]
    sys.argv[1:] = [*options, *with_quoted_paths(named, PATHS)]
    run_with_hydra("online", online)


def online(cfg: DictConfig) -> None:
    """Spell as configured until the marker "stop", Ctrl-C, or too long without EEG.

    Parameters
    ----------
    cfg : DictConfig
        As composed from ``conf/online.yaml``.

    Raises
    ------
    InputError
        If model, streams and settings do not match, or no EEG comes.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    detector: Any = None
    learning = None
    if cfg.detector != NONE:
        detector, learning = prepare(cfg.detector, settings)
    try:
        log.info("looking for an EEG stream and a marker stream")
        listener = Listener(settings["eeg"], settings["markers"], timeout_s=cfg.wait_s)
    except KeyboardInterrupt:
        log.info("stopped by hand before both streams were found")
        return
    detector = detector or open_detector(cfg.detector, listener.format, settings)
    rule = choose_rule(detector, settings["rule"])
    speller = make_speller(detector, listener.format, settings, rule, learning)
    about = describe(detector, cfg.detector, listener.format, settings, rule)
    decisions = open_texts(DECISIONS)
    telling = Telling(len(speller.speller.codes))
    with Journal(HydraConfig.get().runtime.output_dir, about) as journal:
        log.info("listening to %s, stopping rule: %s", listener.format.name, rule or "none")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill ends it as Ctrl-C does
        run = Run(speller, journal, telling, lambda text: decisions.push_sample([text]))
        try:
            run.listen(listener, give_up_s=cfg.give_up_s)
        except KeyboardInterrupt:
            log.info("stopped by hand")
        finally:
            run.take(speller.finish())
            keep_learned(speller, journal.folder)
            show(telling.summary())
            run.report()
            log.info("session: %s", journal.folder)
            listener.close()
