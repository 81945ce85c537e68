"""Files of plain containers and tensors: written atomically, read without running code."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from p300.errors import InputError
from p300.storage.files import atomic_write
from p300.storage.signature import is_own, signed

#: Most values in a file; more are taken for an attempt to fill the memory.
MAX_VALUES = 1_000_000


def write_tensors(path: Path, content: Mapping[str, Any], *, sign: bool = False) -> None:
    """Write plain containers and tensors atomically, if asked with this user's signature.

    Raises
    ------
    OSError
        If they cannot be written; ``torch.save`` to a full disk raises an error of its own.
    """
    memory = io.BytesIO()
    torch.save(content, memory)
    with atomic_write(path, "wb") as file:
        file.write(signed(memory.getvalue()) if sign else memory.getbuffer())


def read_tensors(path: Path) -> Any:
    """Read the content that :func:`read_signed` reads."""
    return read_signed(path)[0]


def read_signed(path: Path) -> tuple[Any, bool]:
    """Read a file of plain containers and tensors without running code from it.

    Parameters
    ----------
    path : Path
        As ``torch.save`` writes it: an archive, whose parts are not compressed.

    Returns
    -------
    content : containers and tensors
    is_own : bool
        Whether the very bytes that were read have this user's signature.

    Raises
    ------
    InputError
        If it is damaged or of another kind, or claims more data than it holds.
    """
    try:
        data = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
        n_bytes = len(data)
        if any(part.compress_type for part in parts):
            raise ValueError("its parts are compressed")
        if sum(part.file_size for part in parts) > n_bytes:
            raise ValueError(f"its parts claim more than its {n_bytes} bytes")
        content = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        # a tensor that claims more bytes than its part of the file reads memory beyond them
        held = Counter(part.file_size for part in parts if "/data/" in part.filename)
        tensors = (value for value in walk(content) if isinstance(value, torch.Tensor))
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
        beyond = Counter(s.nbytes() for s in storages.values() if s.nbytes()) - held
        if beyond:
            raise ValueError(f"a tensor claims {max(beyond)} bytes that are not there")
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        reason = f": {error}" if type(error) is ValueError else ""
        raise InputError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}{reason}); expected a "
            f"file of plain containers and tensors, as `p300 train` writes it"
        ) from error
    return content, is_own(data)


def walk(content: Any) -> Iterator[Any]:
    """Yield every value in nested containers.

    Raises
    ------
    ValueError
        If there are more than :data:`MAX_VALUES`, as in containers that hold themselves.
    """
    waiting, n_values = [content], 0
    while waiting:
        value = waiting.pop()
        n_values += 1
        if n_values > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        else:
            yield value


def n_weights(values: Iterable[Any]) -> int:
    """Count the numbers in those values that are tensors."""
    return sum(value.numel() for value in values if isinstance(value, torch.Tensor))
