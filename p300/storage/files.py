"""Atomic writes of files, and locks of folders.

Nobody must ever read half a file of a run. The process that wrote it may have been killed, the
disk may have been full, or the power may have failed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from p300.errors import InputError

log = logging.getLogger("p300.storage.files")

#: Ending of the name of a file until it is complete.
PARTIAL = ".partial"

#: The file in a folder by which one process locks it.
LOCK = ".lock"


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    r"""Open a file that gets its name when the block ends without an error.

    Until then it has another name, which no other process uses, and an existing file under its
    own name stays. It is forced to disk before it gets its name. After a power failure, too, a
    file that exists is therefore complete, and so is every file that was written before it.

    Parameters
    ----------
    path : path
        In an existing folder; an existing file is replaced.
    mode : {"w", "wb"}
        Text is UTF-8 with ``\n`` at the end of a line on every system.

    Yields
    ------
    file
        To be written to.

    Raises
    ------
    InputError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "text.txt"
    >>> with atomic_write(path) as file:
    ...     _ = file.write("WADSWORTH")
    ...     path.exists()
    False
    >>> path.read_text()
    'WADSWORTH'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(
            f"got {path}, whose folder does not exist; expected one that does; make {path.parent}"
        )
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(partial, mode.replace("w", "x"), **text) as file:
            yield file
        replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as file:
        file.write(text)


def replace(partial: Path, path: Path) -> None:
    """Force a written file to disk, then give it its name in one step."""
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    with contextlib.suppress(OSError):  # not every system can force a folder to disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def folder_lock(
    folder: str | Path, on_wait: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Lock a folder against other processes while the block lasts.

    The lock is the operating system's own (``flock``), on ``FOLDER/.lock``. It ends with the
    process that holds it, even if that is killed, so no lock is left behind. It works across
    computers where the file system's locks do (NFS, Lustre with ``-o flock``). Where there are no
    locks, a warning says so and other processes are not kept out.

    Parameters
    ----------
    folder : path
        It is made if it is missing.
    on_wait : callable or None
        Called with a sentence that names the process that holds the lock, before waiting for its
        end. None does not wait.

    Raises
    ------
    InputError
        If another process holds the lock and ``on_wait`` is None.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder, on_wait)
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink()
            os.close(lock)


def _locked(folder: Path, on_wait: Callable[[str], object] | None) -> int | None:
    """Open and lock a folder's lock file; return None where the system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    path = folder / LOCK
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 200).decode("utf-8", "replace") or "another process"
            in_use = f"{folder} is in use by {holder}"
            if on_wait is None:
                os.close(lock)
                raise InputError(
                    f"{in_use}; expected a folder that no other process uses; choose another, or "
                    "wait until that process ends"
                ) from None
            on_wait(f"{in_use}; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            os.close(lock)
            log.warning("%s: got no lock (%s); start no second process there", folder, error)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                with contextlib.suppress(OSError):  # a full disk: it holds without a name
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                return lock
        os.close(lock)  # the last holder removed the file, so this lock keeps nobody out
