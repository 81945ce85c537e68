"""The finished runs below a folder: which of them a job takes, and which it leaves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from p300.errors import InputError
from p300.experiments.folder import finished_runs, read_results, run_key
from p300.experiments.identity import code_digest

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("p300.experiments.jobs")


class Finished:
    """The finished runs below a folder, and whether what they were made from is still the same.

    Parameters
    ----------
    folder : Path
        Of the sweep or benchmark.
    reuse : {"same_code", "any_code"}
        Whether results that other code made are taken.
    """

    def __init__(self, folder: Path, reuse: str) -> None:
        if reuse not in ("same_code", "any_code"):
            raise InputError(f"got reuse={reuse}; expected same_code or any_code")
        self.is_any_code = reuse == "any_code"
        self.runs: dict[str, list[Path]] = {}
        for run in finished_runs(folder):
            self.runs.setdefault(run_key(run), []).append(run)
        self.folders = {run for runs in self.runs.values() for run in runs}
        self._digests: dict[str, str | None] = {}
        self._left: dict[str, int] = {}

    def of(self, key: str, cfg: DictConfig, config: dict[str, Any]) -> Path | None:
        """Find a finished run of a configuration, by the same code, of the same recording."""
        for run in self.runs.get(key, ()):
            results = read_results(run)
            code, content = results.get("code_sha256"), results.get("recording_sha256")
            if code != code_digest(config):
                which = (
                    "kept and taken (reuse=any_code)" if self.is_any_code else "kept, not taken"
                )
                self._count(f"made by other code of p300 or your own, {which}")
                if not self.is_any_code:
                    continue
            now = self._digest(cfg, config)
            if now is None:
                self._count("taken without a look at the recording, which cannot be read now")
            elif content != now:
                self._count("made from a recording with other content, kept, not taken")
                continue
            return run
        return None

    def reasons(self) -> list[str]:
        """Return, once, what there is to say about results that were, or were not, taken."""
        left, self._left = self._left, {}
        return [f"{n} finished run{'s' * (n > 1)}: {text}" for text, n in left.items()]

    def _count(self, text: str) -> None:
        self._left[text] = self._left.get(text, 0) + 1

    def _digest(self, cfg: DictConfig, config: dict[str, Any]) -> str | None:
        """Return the digest of a recording as it is now; None if it cannot be read."""
        from p300.experiments.build import build

        name = repr(config["data"])
        if name not in self._digests:
            try:
                self._digests[name] = build(cfg.data.read).checksum
            except Exception:  # of any kind, by any reader
                self._digests[name] = None
        return self._digests[name]
