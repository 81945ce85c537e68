"""The command line: ``p300 COMMAND [overrides]``; a command is imported only when it runs."""

from __future__ import annotations

import importlib
import sys

from p300 import __version__
from p300.experiments.configuration import conf_dir

#: Command, its one line, and what it does in detail.
COMMANDS = {
    "train": (
        "train a detector, keep its best training epoch, spell the held-out text",
        """\
Reads a recording, splits it, preprocesses it, trains, and prints the text read from the test
part after 1, 2, … repetitions. Without arguments: CNN-1 on a simulated recording.

  p300 train                                        the embedded simulated recording
  p300 train data=bci2_iib experiment=mcnn3         another recording, another row of the table
  p300 train -m experiment=cnn1,lda seed=0,1,2      a sweep: six runs
  p300 train -m … hydra/launcher=joblib             on all cores; submitit_slurm: on a cluster
  p300 train -m … hydra.sweep.dir=FOLDER            go on with a sweep that was interrupted
  p300 train search=cnn                             let Optuna look for the best values
  p300 train model.n_filters=5 protocol=paper       any value of the configuration
  p300 train --cfg job                              show the configuration and stop

The run folder (runs/…) holds config.yaml, checkpoint.pt, scores.csv, integrity.txt, train.log, the
curves of each network (networks/N/metrics.csv), W&B's offline files, and, written last,
results.json.""",
    ),
    "evaluate": (
        "score a recording with a trained detector",
        """\
Loads the checkpoint of a run folder, scores a recording and prints the text read from it, after
each number of repetitions and with stopping rules, which end a character as soon as its symbol is
sure.

  p300 evaluate run=runs/simulation/cnn1/2026-01-31_12-00-00      the run's own test part
  p300 evaluate run=RUN data=bci2_iib                             all of another recording
  p300 evaluate run=RUN part=validation                           another part of its own
  p300 evaluate run=RUN stopping=none                             numbers of repetitions only
  p300 evaluate run=RUN stopping.idle_prior=0.5                   rules may read no symbol""",
    ),
    "reproduce": (
        "compute the paper's tables, measured beside printed",
        """\
Trains the paper's seven classifiers on both subjects of BCI Competition III data set II and
writes its tables beside the printed figures. Where the competition's files are not found,
full-size files are simulated, and every table says so. Finished runs are not run again.

  p300 reproduce root=~/bci_iii
  p300 reproduce overrides=[protocol=paper]""",
    ),
    "compare": (
        "tabulate finished runs: mean and standard deviation over seeds",
        """\
Prints a Markdown table of every finished run below the folders named (default: runs).

  p300 compare runs/sweeps/2026-01-31_12-00-00""",
    ),
    "benchmark": (
        "detectors x tasks x seeds: tables with intervals, and figures",
        """\
Trains every experiment on every task with every seed, pools folds per subject, and writes
cells.csv, summary.csv, summary.md, auc.png and accuracy.png. Finished cells are kept: the same
command continues after an interruption, tries failed cells again, and runs changed ones.

  p300 benchmark                                       LDA and CNN-1 on simulated people
  p300 benchmark tasks=real experiments=[lda,cnn1]     the recordings below P300_DATA_ROOT
  p300 benchmark "overrides=['logger=csv']"            overrides of every run
  p300 benchmark tasks=real only=[iib,muse] seeds=[0]  some of the tasks""",
    ),
    "report": (
        "one HTML page of a run, a sweep or a benchmark",
        """\
Writes one self-contained page: results with intervals, the recording and its checks, figures,
what the detector learned, configuration, versions, and how to repeat it. It opens without a
network, on a phone and in print.

  p300 report runs/bci2_iib/cnn1/2026-01-31_12-00-00      report.html in that folder
  p300 report runs/sweeps/2026-01-31_12-00-00 out=sweep.html
  p300 report runs/benchmark""",
    ),
    "export": (
        "a trained detector as one ONNX file, for any language",
        """\
Writes detector.onnx (preprocessed epochs to scores, everything folded into one graph) and
detector.json (preprocessing, electrodes, screen, likelihood, stopping rules), which need numpy
and onnxruntime but no PyTorch. Before it writes, it compares the scores with the checkpoint's.

  p300 export runs/bci2_iib/light/2026-01-31_12-00-00      into that folder
  p300 export RUN out=model                                into another""",
    ),
    "online": (
        "spell live from Lab Streaming Layer with an exported detector",
        """\
Listens to a stream of EEG and a stream of markers, prints each character when it is decided,
publishes it as a stream, and records everything in a session folder that can be replayed exactly.

  p300 online model                                      a folder of `p300 export`
  p300 online model eeg.name=amplifier offset_s=0.012    which stream; how late the screen is
  p300 online model rule=null                            read a character when it has ended""",
    ),
    "replay": (
        "play a recording or a session as live streams",
        """\
Sends a recording, or a session of `p300 online`, as the two streams that `p300 online` listens
to. With detector=… it spells at once, without streams, and compares a session with its record.

  p300 replay data=bci2_iib runs=[AAS012R03,AAS012R04]   at the pace of the recording
  p300 replay data=bci2_iib speed=10                     ten times as fast
  p300 replay session=runs/online/… detector=model       is it identical?""",
    ),
    "audit": (
        "check that a configured run does not leak",
        """\
Takes the arguments of `p300 train` and prints PASS or FAIL, with numbers, for every way in which
test data could reach training. Its status is 1 if a check fails.

  p300 audit data=bci2_iib experiment=cnn1
  p300 audit split=by_character audit.n_permutations=30""",
    ),
}


def main() -> None:
    """Run the command named on the command line."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return
    if arguments[0] in ("-V", "--version"):
        print(f"p300 {__version__}")
        return
    command, *overrides = arguments
    if command not in COMMANDS:
        sys.exit(f"p300: no command {command!r}; expected one of {', '.join(COMMANDS)}")
    if "-h" in overrides or "--help" in overrides:
        print(_help(command))
        return
    sys.argv = [f"p300 {command}", *overrides]
    importlib.import_module(f"p300.commands.{command}").main()


def _overview() -> str:
    lines = [f"  {name:10} {line}" for name, (line, _) in COMMANDS.items()]
    return "\n".join(
        [
            f"p300 {__version__}: detect the P300 wave in EEG and spell with it",
            "",
            "usage: p300 COMMAND [overrides]",
            "",
            *lines,
            "",
            "p300 COMMAND --help shows more, with the choices of each configuration group.",
        ]
    )


def _help(command: str) -> str:
    line, text = COMMANDS[command]
    if not (conf_dir() / f"{command}.yaml").exists():
        return f"p300 {command}: {line}\n\n{text}"
    groups = []
    for folder in sorted(p for p in conf_dir().iterdir() if p.is_dir()):
        choices = ", ".join(sorted(f.stem for f in folder.glob("*.yaml")))
        groups.append(f"  {folder.name}={choices}")
    return "\n".join(
        [f"p300 {command}: {line}", "", text, "", "Configuration groups and choices:", *groups]
    )
