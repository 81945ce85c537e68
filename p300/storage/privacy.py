"""Removal of paths and personal data from everything that may leave this computer.

W&B runs, reports, exported detectors and sessions are shared with others. Of a path they keep the
part below the working directory, or else the last part. Of a value that belongs to a person or an
account they keep nothing. Recordings are named by the codes of their subjects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

#: Names of values that belong to a person or an account.
PRIVATE = re.compile(
    r"(?i)(?:^|[_.])(?:api_?key|token|secret(?:_?key)?|pass(?:word|wd)|credentials?|entity|"
    r"user(?:_?name)?|login|e?mail)$"
)

LEFT_OUT = "(left out)"

#: A path that begins at the root, a home folder or a drive, but not within a word or an address.
ABSOLUTE_PATH = re.compile(
    r"""(?:(?<![\w.:/\\…])|(?<=file://))(?:~[/\\]|(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'"`,;]+[/\\]))"""
    r"""(?:[^\s/\\:'"`,;]+[/\\])*[^\s/\\:'"`,;]*"""
)


def public(value: Any, key: str = "") -> Any:
    """Replace the private values in a configuration.

    Examples
    --------
    >>> public({"lr": 0.1, "wandb": {"entity": "ada", "api_key": "1"}})
    {'lr': 0.1, 'wandb': {'entity': '(left out)', 'api_key': '(left out)'}}
    """
    if PRIVATE.search(key) and value is not None:
        return LEFT_OUT
    if isinstance(value, Mapping):
        return {k: public(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [public(v) for v in value]
    return value


def without_paths(value: Any, mark: str = "…/") -> Any:
    """Shorten absolute paths, in text or in containers of text.

    Parameters
    ----------
    value : object
        Text, containers of text, or any other object, which stays as it is.
    mark : str
        Stands before the rest of a path, for readers; "" if the value is used again.

    Returns
    -------
    object
        Paths below the working directory are relative to it; of others the last part is left. A
        text that begins with the home folder is one path, even with blanks in it.

    Examples
    --------
    >>> without_paths("root: /home/ada/eeg/bci2_iib, 3 and/or 4, not finished: ~/eeg/runs/")
    'root: …/bci2_iib, 3 and/or 4, not finished: …/runs'
    >>> without_paths({"root": "/home/ada b/eeg/iib", "subject": "A"}, mark="")
    {'root': 'iib', 'subject': 'A'}
    """
    if isinstance(value, dict):
        return {k: without_paths(v, mark) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(v, mark) for v in value]
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    plain = value.removeprefix("file://")
    if _is_path(plain):
        return _shortened(plain, mark)
    # this user's own folders are known, so they are found even with blanks in them
    for folder in (str(Path.cwd()), str(Path.home())):
        if _is_path(folder):
            value = value.replace(f"{folder}/", "").replace(folder, "…")
    return ABSOLUTE_PATH.sub(lambda match: _shortened(match.group(0), mark), value)


def _is_path(text: str) -> bool:
    """Check that a text is one path of any system, not a sentence with a path, nor a symbol."""
    if len(text) < 2 or "\n" in text or re.search(r"[:,;]\s", text):
        return False
    is_posix = text.startswith("/") or (text.startswith("~") and "/" in text)
    return is_posix or PureWindowsPath(text).is_absolute()


def _shortened(path: str, mark: str) -> str:
    if Path(path).is_relative_to(Path.cwd()):
        return str(Path(path).relative_to(Path.cwd()))
    kind = PurePosixPath if path.startswith(("/", "~")) else PureWindowsPath
    return f"{mark}{kind(path).name}"
