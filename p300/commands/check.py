"""``p300 check``: show what is in a recording, and whether it can be believed.

Prints format, channels, rate and labels of a file, which labels are taken for flashes, and the
checks of the recording; draws the EEG after targets and nontargets into one page. The arguments
are those with which `p300 train data=file data.path=…` reads it.

  p300 check oddball.vhdr
  p300 check speller.xdf data.speller=wadsworth data.text=HELLO
  p300 check 'day1/*.bdf' "data.targets={11: true, 12: false}"
  p300 check data=bci2_iib
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p300.experiments.command_line import run_with_hydra, with_path
from p300.experiments.configuration import check_subject
from p300.experiments.prepare import examine
from p300.preprocessing import Preprocessor
from p300.proposals import OPEN, Proposal
from p300.readers.file import contents
from p300.report.integrity import write_check
from p300.report.page import Listing, Text
from p300.report.repeat import command, own_folder
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from p300.recording import Recording


def main() -> None:
    """Take the first argument that is no override for the path."""
    sys.argv[1:] = with_path(sys.argv[1:], "data.path")
    run_with_hydra("check", check)


def check(cfg: DictConfig) -> None:
    """Print what is in the recording and what its checks find, and write the page.

    Raises
    ------
    InputError
        If it cannot be read, or its events are not understood.
    SystemExit
        If the recording cannot be used.
    """
    from hydra.core.hydra_config import HydraConfig

    check_subject(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    about = ""
    if "path" in cfg.data:
        about = contents(cfg.data.path)
        show(about)
    steps = Preprocessor(tmin=cfg.tmin, tmax=cfg.tmax)
    with step("reading"):
        recording, report = examine(cfg.data, steps)
    show(f"\n{recording!r}\n{report}")
    page = Path(cfg.out) if cfg.out else folder / "check.html"
    refused = report.at("refuse")
    missing = what_is_missing(recording)
    after = Text(missing) if missing else Listing(training_command(), is_command=True)
    with step("drawing"):
        write_check(page, recording, report, about, (cfg.tmin, cfg.tmax), after)
    show(f"\npage: {page}")
    if refused:
        sys.exit(f"p300 check: {recording.name} cannot be used: {refused[0].text}")
    show(missing or f"to train on it: {after.text}")


def what_is_missing(recording: Recording) -> str:
    """Say what a recording lacks to be trained on; nothing if it lacks nothing."""
    labels = recording.flashes["is_target"].dropna()
    if not len(labels):
        codes = sorted(recording.flashes["code"].dropna().unique().tolist())
        targets = Proposal("targets", dict.fromkeys(codes or ["oddball", "standard"], OPEN)).typed
        return (
            f"No flash has a label. Say which are targets, {targets} with true or false for each "
            "?, or what was spelled, data.speller=wadsworth data.text=HELLO, to train on it."
        )
    if labels.nunique() == 1:
        return (
            f"All labelled flashes are {'targets' if labels.iloc[0] else 'nontargets'}. Name the "
            'labels of both classes, such as "data.targets={oddball: true, standard: false}", to '
            "train on it."
        )
    return ""


def training_command() -> str:
    """Return the command that trains on what was checked."""
    from hydra.core.hydra_config import HydraConfig

    data = HydraConfig.get().runtime.choices["data"]
    typed = HydraConfig.get().overrides.task
    given = [o for o in typed if o.lstrip("+~").startswith("data.")]
    return command("train", [*own_folder({"data": data}), f"data={data}", *given])
