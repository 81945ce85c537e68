"""``p300 convert``: write a recording as a BIDS data set or as MNE's FIF.

Reads a recording as `p300 check` and `p300 train` do, with the same arguments, and writes its
EEG and its flashes: labels, codes, characters, repetitions, the wanted symbols and the screen.
What is written reads back equal, by data=bids or data=file.

  p300 convert speller.xdf data.speller=wadsworth data.text=HELLO out=bids
  p300 convert oddball.vhdr "data.targets={S 11: true, S 12: false}" out=oddball-raw.fif
  p300 convert data=bci2_iib out=bids volts_per_unit=1e-6
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from p300.errors import InputError
from p300.experiments.build import build
from p300.experiments.command_line import run_with_hydra, with_path
from p300.experiments.configuration import check_subject
from p300.report.repeat import command
from p300.terminal import show, step

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """Take the first argument that is no override for the path."""
    sys.argv[1:] = with_path(sys.argv[1:], "data.path")
    run_with_hydra("convert", convert)


def convert(cfg: DictConfig) -> None:
    """Read the configured recording and write it.

    Raises
    ------
    InputError
        If it cannot be read, ``out`` is no name of a FIF file or folder, or a file exists.
    """
    from p300.readers.write import write_bids, write_fif

    check_subject(cfg)
    out = Path(str(cfg.out)).expanduser()
    is_fif = out.suffix == ".fif"
    if out.suffix and not is_fif:
        raise InputError(f"got out={out}; expected a file ….fif, or a folder for BIDS")
    with step("reading"):
        recording = build(cfg.data.read)
    show(f"{recording!r}")
    with step("writing"):
        how = {"volts_per_unit": cfg.volts_per_unit}
        if is_fif:
            files = write_fif(recording, out, **how)
        else:
            files = write_bids(recording, out, task=cfg.task, line_freq=cfg.line_freq, **how)
    for file in files:
        show(str(file))
    again = ["data=bids", f"data.root={out}"]
    if is_fif:
        again = ["data=file", f"data.path={files[0]}"]
    if is_fif and len(files) > 1:
        names = out.name.removesuffix("-raw.fif").removesuffix(".fif")
        pattern = f"{names}_{{subject}}_{{session}}_{{run}}-raw"
        again = ["data=file", f"data.path={out.with_name(names)}_*-raw.fif"]
        again.append(f"data.pattern='{pattern}'")
    show(f"to read it: {command('train', again)}")
