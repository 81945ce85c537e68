"""The user's own folders, as Hydra reads them: a folder without YAML files is no group.

``--config-dir .`` adds a working folder, in which ``runs`` or ``data`` hold no configuration. To
Hydra, each folder is a group, so that it would look for a file ``runs/[2].yaml`` instead of taking
``runs=[2]`` for a value. It is here because Hydra takes sources only from ``hydra_plugins``.
"""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource


class OwnFolderSource(FileConfigSource):
    """Reads files as Hydra's own source of a folder does."""

    @staticmethod
    def scheme() -> str:
        """Return the beginning of such an entry of the search path."""
        return "p300-own"

    def is_group(self, config_path: str) -> bool:
        """Return whether a folder holds a YAML file, or is the own folder itself."""
        folder = Path(self.path) / config_path
        return folder.is_dir() and (config_path == "" or any(folder.glob("*.yaml")))
