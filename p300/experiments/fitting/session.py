"""The part ``session`` of a run: its test part, read by a detector that learns while it spells."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p300.errors import InputError
from p300.experiments.build import build, build_split
from p300.experiments.fitting.learning import inputs_of, source_of
from p300.experiments.results import SESSION, results_table, summarize
from p300.flashes import CHARACTER_KEY, FLASH_COLUMNS
from p300.learning.files import FILE, read_source
from p300.learning.session import SessionScores, spell_and_learn
from p300.spelling import accuracy_by_repetition, spell
from p300.storage.files import write_text
from p300.terminal import show, step

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from p300.detector import Detector
    from p300.learning.learner import LearningSettings
    from p300.learning.source import Source
    from p300.learning.unsupervised import FromNothing
    from p300.preprocessing import Epochs

log = logging.getLogger("p300.experiments.fitting.fit")

#: File of what was read after each number of repetitions.
READINGS = "session.csv"


def learning_settings(learning: Any) -> LearningSettings | FromNothing | None:
    """Build the configured way to learn; None for ``learning=none``."""
    return build(learning) if learning else None


def learns_from_training(learning: Any) -> bool:
    """Return whether a configured way to learn begins with what a detector was trained on."""
    settings = learning_settings(learning)
    return settings is not None and settings.needs_source


def report_session(
    folder: Path,
    detector: Detector,
    source: Source | None,
    settings: LearningSettings | FromNothing,
    epochs: Epochs,
    static: np.ndarray,
    before: np.ndarray | None = None,
) -> dict[str, Any]:
    """Read some flashes while learning from them; write and show the results.

    After n repetitions a character is read by what n repetitions of the characters before it have
    taught.

    Parameters
    ----------
    folder : Path
        Gets ``session.csv``, what was read after each number of repetitions. The scores are
        appended to its ``scores.csv``.
    detector : Detector
    source : Source or None
        What it was trained on; None from nothing.
    settings : LearningSettings or FromNothing
    epochs : Epochs
        Of the session.
    static : ndarray, shape (n_flashes,)
        Their scores by the detector as it was trained.
    before : ndarray of bool, shape (n_flashes,), or None
        Those that are read before what is reported; None for none.

    Returns
    -------
    dict
        As of :func:`~p300.experiments.results.summarize`, with ``retrospective``: how many
        characters are right as estimated last, and their text; ``stopped``: why learning was
        stopped, for each subject where it was; and ``doubted``: after which characters the
        session was read from nothing, since the training contradicts it.

    Raises
    ------
    InputError
        If there is no speller, or no flash belongs to a character.
    """
    import pandas as pd

    flashes, speller = epochs.flashes.reset_index(drop=True), epochs.speller
    if speller is None:
        raise InputError(
            "learning while spelling: got an oddball, whose flashes belong to no character; "
            "expected a speller; set learning=none"
        )
    inputs = epochs.data if source is None else inputs_of(detector, source, epochs.data)
    number = flashes["repetition"].fillna(0).to_numpy(int)
    shown = np.ones(len(flashes), bool) if before is None else ~before
    readings, found = [], SessionScores(static)
    with step("learning while spelling", int(number.max()) + 1, "sessions") as done:
        for n in range(1, number.max() + 2):
            some = number < n
            given = static[some], inputs[some], flashes[some]
            found = spell_and_learn(*given, speller, settings, source, epochs.sfreq)
            reported = shown[some]
            spelled = spell(found.scores[reported], flashes[some & shown], speller)
            readings.append(spelled[spelled["n_repetitions"] == n])
            done.advance(1)
    spelled = pd.concat(readings, ignore_index=True)
    write_text(folder / READINGS, spelled.to_csv(index=False))
    scores = pd.read_csv(folder / "scores.csv", dtype=FLASH_COLUMNS)
    reported, session = found.scores[shown], flashes[shown]
    table = session.assign(part=SESSION, score=reported)
    write_text(folder / "scores.csv", pd.concat([scores, table]).to_csv(index=False))
    summary = summarize(reported, session, speller)
    seconds = {name: summary[name] for name in ("repetition_s", "pause_s")}
    summary["spelling"] = accuracy_by_repetition(spelled, speller, **seconds).to_dict("records")
    again = summary["retrospective"] = _retrospective(found, spelled)
    summary["stopped"], summary["doubted"] = found.stopped, found.doubted
    how = "learning while spelling"
    if source is None:
        how = "from nothing; a flash is scored with all flashes of its character"
    show(results_table(summary, f"{epochs.name}, {how}"))
    for subject, text in found.weighing.items():
        log.info("subject %s: %s", subject, text)
    log.info("read again at the end: %s (%d right)", again["text"], again["n_right"])
    for subject, numbers in found.doubted.items():
        log.warning(
            "subject %s: the session contradicts the training; after %d of its characters, first "
            "after character %d, it was read from nothing",
            *(subject, len(numbers), numbers[0]),
        )
    for subject, reason in found.stopped.items():
        log.warning("learning stopped for subject %s: %s", subject, reason)
    return summary


def check_knows(detector: Detector, learning: Any) -> None:
    """Check that a detector knows something, or learns from nothing.

    Raises
    ------
    InputError
        If neither.
    """
    if not detector.n_parameters and not learning:
        raise InputError(
            "got a run that knows nothing as it was trained; expected learning=from_nothing"
        )


def evaluate_session(
    folder: Path,
    cfg: DictConfig,
    detector: Detector,
    epochs: Epochs,
    rows: np.ndarray,
    static: np.ndarray,
    *,
    own: bool,
) -> dict[str, Any]:
    """Read some flashes of an evaluation while learning from them, as :func:`report_session`.

    What the detector was trained on is read from its run folder, or summed again from its own
    recording.

    Parameters
    ----------
    folder : Path
        Of the evaluation.
    cfg : DictConfig
        Of the evaluation: ``run`` and ``learning``.
    detector : Detector
    epochs : Epochs
        Of the whole recording.
    rows : ndarray of bool, shape (n_flashes,)
        The flashes to read.
    static : ndarray, shape (n_rows,)
        Their scores by the detector as it was trained.
    own : bool
        Whether it is the recording that the detector was trained on.

    Raises
    ------
    InputError
        If the sums are not in the run folder, and the recording is another.
    """
    from omegaconf import OmegaConf

    from p300.detector import find_checkpoint

    settings = build(cfg.learning).for_recording(own)
    source, path = None, find_checkpoint(cfg.run).parent / FILE
    if settings.needs_source and (path.exists() or not own):
        source = read_source(path)
    elif settings.needs_source:
        split = build_split(OmegaConf.create(detector.config), epochs.flashes)
        source = source_of(detector, epochs, split.train)
    return report_session(folder, detector, source, settings, epochs[rows], static)


def read_readings(folder: Path) -> pd.DataFrame:
    """Read what a session read after each number of repetitions, as of :func:`spell`."""
    import pandas as pd

    columns = {"symbol": "str", "wanted": "str", "is_right": "boolean"}
    kept = {name: kind for name, kind in FLASH_COLUMNS.items() if name in CHARACTER_KEY}
    return pd.read_csv(
        folder / READINGS, dtype=kept | columns, keep_default_na=False, na_values=""
    )


def _retrospective(found: SessionScores, spelled: pd.DataFrame) -> dict[str, Any]:
    """Count the characters that are right as estimated last; ``spelled`` knows what was wanted."""
    last = spelled.drop_duplicates(CHARACTER_KEY, keep="last")
    symbols = []
    for subject, count in last["subject"].value_counts(sort=False).items():
        symbols += found.symbols[str(subject)][-count:]  # without those that came before
    wanted = last["wanted"]
    known = wanted.notna().to_numpy()
    n_right = sum(a == b for a, b in zip(symbols, wanted, strict=True))
    return {"text": "".join(symbols), "n_right": n_right, "n_characters": int(known.sum())}
