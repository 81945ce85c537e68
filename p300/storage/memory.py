"""Memory that this process may still use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from p300.errors import InputError


def available_memory() -> float:
    """Return the bytes that this process may still use; infinity where that is not known.

    It is the least of what is free on the computer, of what the process's control groups (SLURM,
    containers) leave, and of what its limits (``ulimit -d`` and ``-v``) leave.
    """
    return min([_free_on_computer(), *_left_in_groups(), *_left_by_limits()])


def check_memory(n_bytes: float, what: str, fix: str) -> None:
    """Check that something fits into the memory, before it is made.

    Parameters
    ----------
    n_bytes : float
        Its size.
    what : str
        What it is, for the message.
    fix : str
        What the user can do.

    Raises
    ------
    InputError
        If less memory is available.
    """
    left = available_memory()
    if n_bytes > left:
        raise InputError(
            f"got {left / 1e9:.2f} GB of free memory; expected at least {n_bytes / 1e9:.2f} GB "
            f"for {what}; {fix}"
        )


def _free_on_computer() -> float:
    found = _numbers(Path("/proc/meminfo"))
    if "MemAvailable" not in found:
        return float("inf")
    return 1024 * (found["MemAvailable"] + found.get("SwapFree", 0))


def _left_in_groups() -> Iterator[float]:
    """Yield what each control group of this process leaves, of version 2 or 1."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            top, limit, usage = Path("/sys/fs/cgroup"), "memory.max", "memory.current"
            cached = ("inactive_file", "active_file")
        elif "memory" in kinds.split(","):
            top = Path("/sys/fs/cgroup/memory")
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = ("total_inactive_file", "total_active_file")
        else:
            continue
        own = top / path.strip("/")
        for group in (own, *own.parents):
            if group == top.parent:
                break
            most, used = (_lines(group / name)[:1] for name in (limit, usage))
            if most and used and most[0].isdigit() and used[0].isdigit():
                files = _numbers(group / "memory.stat")
                yield int(most[0]) - int(used[0]) + sum(files.get(name, 0) for name in cached)


def _left_by_limits() -> Iterator[float]:
    """Yield what the limits of data and of address space leave."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = _numbers(Path("/proc/self/status"))
    for limit, name in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY and name in used:
            yield max(0, most - 1024 * used[name])


def _numbers(path: Path) -> dict[str, int]:
    """Read lines of a name and a number, as the files of Linux's kernel have them."""
    words = (line.replace(":", " ").split() for line in _lines(path))
    return {w[0]: int(w[1]) for w in words if len(w) > 1 and w[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
