"""Signatures by which this user's own files are told from files from elsewhere.

A key of 32 random bytes lies in the user's own data folder, where only the user can read it. A
signed file ends with the HMAC-SHA256 of all its other bytes. Whoever has not the key can neither
make a signature nor change a byte of a signed file. So what verifies was written by a process of
this user, and may name this user's own classes. Everything else is read as a file from elsewhere
(:mod:`p300.storage.untrusted`).

Files are PyTorch's, which are zip archives; the signature is the comment of the archive. So other
programs read a signed file as before.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import struct
import sys
from pathlib import Path

log = logging.getLogger("p300.storage.signature")

#: What stands before the signature in the comment of an archive.
MARK = b"p300 signature 1 "

#: Bytes of a key, and of a signature.
N_BYTES = 32

#: The record that ends an archive without a comment: its first and last bytes, and its length.
END, NO_COMMENT, N_END = b"PK\x05\x06", b"\0\0", 22


def key_path() -> Path:
    """Return the file of this user's key: ``~/.local/share/p300/key`` or its like."""
    if os.name == "nt":
        data = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "p300" / "key"


def read_key() -> bytes | None:
    """Read this user's key; return None if there is none, or others could have read it."""
    try:
        path = key_path()
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            key = file.read(N_BYTES + 1)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        return None
    is_shared = sys.platform != "win32" and (
        status.st_mode & 0o077 != 0 or status.st_uid != os.geteuid()
    )
    if is_shared or len(key) != N_BYTES:
        log.warning("%s is no private key of %d bytes; delete the file to get a new one", path, 32)
        return None
    return key


def make_key() -> bytes | None:
    """Read this user's key, after making it if there is none; None if it cannot be made."""
    with contextlib.suppress(OSError, RuntimeError):
        path = key_path()
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = path.with_name(f"key.{os.getpid()}-{secrets.token_hex(4)}")
            try:
                opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(opened, "wb") as file:
                    file.write(secrets.token_bytes(N_BYTES))
                _give_name(partial, path)
            finally:
                partial.unlink(missing_ok=True)
    return read_key()


def _give_name(partial: Path, path: Path) -> None:
    """Name a complete file, unless another process was faster."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        os.replace(partial, path)


def signed(archive: bytes) -> bytes:
    """Return an archive with this user's signature as its comment; unchanged without a key.

    Parameters
    ----------
    archive : bytes
        A zip archive without a comment.
    """
    key = make_key()
    if key is None or archive[-N_END:][:4] != END or archive[-2:] != NO_COMMENT:
        return archive
    body = archive[:-2] + struct.pack("<H", len(MARK) + N_BYTES)
    return body + MARK + _signature(key, body)


def is_own(content: bytes) -> bool:
    """Return whether the content of a file has this user's signature."""
    body, comment = content[: -len(MARK) - N_BYTES], content[-len(MARK) - N_BYTES :]
    if not comment.startswith(MARK):
        return False
    key = read_key()
    if key is None:
        return False
    return hmac.compare_digest(_signature(key, body), comment[len(MARK) :])


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, MARK + body, hashlib.sha256).digest()
