"""What the paper's tables are made from: recordings, protocols, versions, splits."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300 import __version__
from p300.errors import InputError
from p300.simulation import write_bci3_ii
from p300.storage.files import write_text
from p300.terminal import step

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.benchmark.paper")

SUBJECTS = ("A", "B")

#: Arguments of the simulation that the reader must know too.
READ_ALIKE = ("ch_names", "sfreq")


@dataclass(frozen=True)
class Source:
    """The recordings that the tables are made from.

    Parameters
    ----------
    root : Path
        Absolute folder of the files.
    sentence : str
        One sentence that names them; it stands above every table.
    made_by : str
        What they were made by: arguments of the simulation; empty for the competition's files.
    sha256 : mapping of str to str
        File name to the hash of its content.
    overrides : mapping of str to sequence of str
        Subject to the overrides that its file needs to be read.
    """

    root: Path
    sentence: str
    made_by: str
    sha256: Mapping[str, str]
    overrides: Mapping[str, tuple[str, ...]]


def find_files(root: Path, folder: Path, simulated: Mapping[str, Any]) -> Source:
    """Find the competition's files, or write simulated ones.

    Parameters
    ----------
    root : Path
        Where the competition's files should be.
    folder : Path
        Simulated files go into its subfolder ``simulated``, into a folder named by a hash of
        their arguments: other arguments give other files.
    simulated : mapping
        Arguments of :func:`p300.simulation.write_bci3_ii`.
    """
    names = [f"Subject_{s}_{part}.mat" for s in SUBJECTS for part in ("Train", "Test")]
    read: dict[str, tuple[str, ...]] = {s: (f"data.subject={s}",) for s in SUBJECTS}
    if all((root / name).is_file() for name in names):
        root = root.resolve()
        sentence = f"Recordings: BCI Competition III data set II, from {root.name}."
        return Source(root, sentence, "", _hashes(root, names), read)
    arguments = json.dumps(simulated, sort_keys=True)
    key = hashlib.sha256(f"{__version__} {arguments}".encode()).hexdigest()[:12]
    made = (folder / "simulated" / key).resolve()
    texts = made / "texts.json"
    if not texts.exists():  # written last
        spelled = {}
        for k, subject in enumerate(SUBJECTS):
            log.info("simulating subject %s", subject)
            seed = {"seed": simulated.get("seed", 0) + k}
            try:
                with step(f"simulating subject {subject}"):
                    spelled[subject] = write_bci3_ii(made, subject, **{**simulated, **seed})
            except TypeError as error:
                raise InputError(
                    f"simulated: {error}; expected arguments of p300.simulation.write_bci3_ii"
                ) from error
        write_text(texts, json.dumps(spelled, indent=2) + "\n")
    for subject, text in json.loads(texts.read_text("utf-8")).items():
        alike = [f"+data.read.{k}={_listed(simulated[k])}" for k in READ_ALIKE if k in simulated]
        read[subject] += (f"+data.read.test_text='{text['test']}'", *alike)
    sentence = (
        "Recordings: SIMULATED files in the format of BCI Competition III data set II. The "
        "measured figures say nothing about real EEG; only the printed ones do."
    )
    return Source(made, sentence, arguments, _hashes(made, names), read)


def _listed(value: Any) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def _hashes(root: Path, names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with open(root / name, "rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def facts_of(
    cfg: DictConfig, results: Mapping[tuple[str, str, str], Mapping], folders: Sequence[Path]
) -> dict[str, str]:
    """Return what made the measured numbers, beside the recordings.

    Parameters
    ----------
    cfg : DictConfig
        The configuration of ``p300 reproduce``.
    results : mapping
        (protocol, experiment, subject) to the content of ``results.json``.
    folders : sequence of Path
        The run folders of these results.
    """
    days = [(folder / "results.json").stat().st_mtime for folder in folders]
    trained = [date.fromtimestamp(day).isoformat() for day in sorted(days)]
    splits: dict[str, list[str]] = {}
    for (protocol, _, subject), found in results.items():
        known = splits.setdefault(f"split of subject {subject}, protocol {protocol}", [])
        if found["split"] not in known:
            known.append(found["split"])
    return {
        "protocols": ", ".join(f"{name} (conf/protocol/{name}.yaml)" for name in cfg.protocols),
        "overrides": ", ".join(cfg.overrides) or "none",
        "seed": str(cfg.seed),
        "p300": ", ".join(sorted({found["version"] for found in results.values()})),
        "trained": " to ".join(dict.fromkeys([*trained[:1], *trained[-1:]])),
        "written": date.today().isoformat(),
        **{name: "; ".join(known) for name, known in splits.items()},
    }
