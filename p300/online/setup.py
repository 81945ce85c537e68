"""A live session from its settings: detector, stopping rule, speller, and what is kept of it."""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from p300 import __version__
from p300.errors import InputError
from p300.export.onnx_detector import OnnxDetector
from p300.learning import FromNothing, Learner, LearningSettings
from p300.learning.files import FILE, read_source, write_source
from p300.learning.source import Source
from p300.learning.unsupervised import AT_FIRST
from p300.online.from_nothing import NothingTrained
from p300.online.journal import read_about
from p300.online.learning import LiveLearning
from p300.online.session import OnlineSpeller
from p300.online.streams.format import StreamFormat
from p300.online.supervisor import NO_LIMITS, Limits
from p300.readers.file import as_speller
from p300.spelling import CharacterModel
from p300.storage.privacy import without_paths

log = logging.getLogger("p300.online")

#: Instead of an exported detector: nothing is trained.
NONE = "none"

#: Settings of how a session learns, kept with those of the session if it does.
LEARNING = ("learn", "learning", "learn_targets", "learned", "screen", "channels")


def choose_rule(detector, name: str | None):
    """Find a stopping rule of the detector by its name.

    Parameters
    ----------
    detector : OnnxDetector
        Holds the rules that were fitted for it.
    name : str or None
        None reads every character when it has ended.

    Raises
    ------
    InputError
        If it has no such rule.
    """
    if name is None:
        return None
    if name not in detector.stopping:
        raise InputError(
            f"got rule={name}; expected one of the detector's rules "
            f"({', '.join(detector.stopping) or 'it has none'}), or null to read a character at "
            "its end"
        )
    return detector.stopping[name]


def prepare(name: str, settings: Mapping[str, Any]) -> tuple[OnnxDetector, LiveLearning | None]:
    """Read an exported detector, and what learns with it, before streams are searched.

    Raises
    ------
    InputError
        If it cannot be read, has no such rule, or cannot learn as it is asked to.
    """
    check_learns(settings)
    detector = OnnxDetector.load(name)
    choose_rule(detector, settings["rule"])
    if detector.levels is None:
        log.warning("the detector holds no levels of its training: the signal is not compared")
    return detector, make_learning(detector, settings) if settings["learn"] else None


def open_detector(
    name: str, stream: StreamFormat, settings: dict[str, Any]
) -> OnnxDetector | NothingTrained:
    """Read an exported detector, or build what takes its place for ``detector=none``.

    Parameters
    ----------
    name : str
        Folder or file of an exported detector, or "none".
    stream : StreamFormat
        Of the EEG.
    settings : dict
        Of the session. Without a detector it learns from nothing, and ``learn`` and ``learning``
        are changed to say so.

    Raises
    ------
    InputError
        If it cannot be read, or nothing is known of the screen.
    """
    if name != NONE:
        check_learns(settings)
        return OnnxDetector.load(name)
    speller = as_speller(settings["screen"])
    if speller is None:
        raise InputError(
            "got detector=none without a screen; expected one; set screen=wadsworth, or its rows: "
            "screen=[ABCDEF,GHIJKL]"
        )
    if settings["idle_prior"] or settings["learned"]:
        raise InputError(
            "got idle_prior or learned with detector=none; expected neither: from nothing, a "
            "symbol is always read, and no earlier session is known"
        )
    log.info(
        "from nothing: show at least %d repetitions of the first characters, of later ones fewer",
        AT_FIRST,
    )
    settings["learn"] = True
    if not settings["learning"].get("_target_", "").endswith(FromNothing.__name__):
        settings["learning"] = {"_target_": f"p300.learning.{FromNothing.__name__}"}
    return NothingTrained(stream, speller, settings["channels"])


def check_learns(settings: Mapping[str, Any]) -> None:
    """Check that nothing is asked for that only a session which learns can do.

    Raises
    ------
    InputError
        If something is.
    """
    asked = [name for name in ("learned", "learn_targets") if settings.get(name)]
    if asked and not settings["learn"]:
        raise InputError(f"got {' and '.join(asked)} without learn=true; expected learn=true")


def make_speller(
    detector: Any,
    stream: StreamFormat,
    settings: Mapping[str, Any],
    rule: Any,
    learning: LiveLearning | None = None,
) -> OnlineSpeller:
    """Build the session for a stream, as ``p300 online`` and ``p300 replay`` do.

    ``learning`` is that of :func:`prepare`; None builds it if the settings ask for it.
    """
    if learning is None and settings.get("learn"):
        learning = make_learning(detector, settings)
    language, limits = None, settings.get("limits")
    if settings["language"] is not None:
        language = CharacterModel.read(settings["language"], detector.speller.symbols)
    return OnlineSpeller(
        detector,
        stream.ch_names,
        rule=rule,
        gain=stream.gain_to(detector.preprocessor),
        offset_s=settings["offset_s"],
        language=language,
        idle_prior=settings["idle_prior"],
        limits=NO_LIMITS if limits is None else Limits(**limits),  # none in old sessions
        learning=learning,
    )


def make_learning(detector: Any, settings: Mapping[str, Any]) -> LiveLearning:
    """Build what learns while a session goes on."""
    learning = settings["learning"]
    if not learning:
        raise InputError("got learn=true and learning=none; expected learning=while_spelling")
    given = {k: v for k, v in learning.items() if k != "_target_"}
    is_nothing = learning["_target_"].endswith(FromNothing.__name__)
    if is_nothing and not isinstance(detector, NothingTrained):
        raise InputError(
            "got a detector and learning=from_nothing, which does not use it; expected "
            "detector=none, or learning=while_spelling"
        )
    if settings["learned"] is not None:
        detector.source = read_learned(settings["learned"], detector)
    kind = FromNothing if is_nothing else LearningSettings
    learning = LiveLearning(detector, kind(**given), uses_targets=settings["learn_targets"])
    log.info("learning: %s", learning.learner.weighing())
    return learning


def read_learned(folder: str, detector: Any) -> Source:
    """Read what an earlier session has learned.

    Raises
    ------
    InputError
        If the folder is not that of a session which learned with this detector.
    """
    read_about(folder)  # refuses what is no session
    source = read_source(Path(folder) / FILE)
    known = detector.source
    if known is None or source.earlier is None or not source.is_alike(known):
        raise InputError(
            f"{folder}: what it learned belongs to another detector; expected a session of this "
            "one"
        )
    return source


def keep_learned(speller: OnlineSpeller, folder: Path) -> None:
    """Write what a session has learned into its folder, for the next session."""
    learner = None if speller.learning is None else speller.learning.learner
    if isinstance(learner, Learner) and learner.characters and learner.stopped is None:
        write_source(folder / FILE, learner.to_source())
        log.info("the next session goes on from it: learned=%s", folder)


def describe(
    detector: Any, model: str | Path, stream: StreamFormat, settings: Mapping[str, Any], rule
) -> dict[str, Any]:
    """Build the content of a session's ``session.json``."""
    kept = ["rule", "offset_s", "language", "idle_prior", "limits"]
    kept += LEARNING if settings.get("learn") else []
    language = settings["language"]
    return {
        "p300_version": __version__,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": NONE if model == NONE else without_paths(str(Path(model).resolve()), mark=""),
        "model_sha256": fingerprint(model, detector),
        "stream": asdict(stream),
        "settings": {k: settings[k] for k in kept if k in settings},
        "language_sha256": None if language is None else sha256_of(language),
        "rule": None if rule is None else rule.to_dict(),
    }


def fingerprint(model: str | Path, detector: Any) -> str:
    """Compute the SHA-256 of a model's JSON file, which holds that of its network."""
    if model == NONE:
        return detector.fingerprint
    path = Path(model)
    return sha256_of(path / "detector.json" if path.is_dir() else path.with_suffix(".json"))


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
