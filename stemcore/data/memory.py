"""What this process may use of the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


def free_memory(groups: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that can be taken up without swapping: what the machine has, or less where a control group (a container, a
    batch job) limits this process. Cached files are given back when needed, and count as free."""
    free = psutil.virtual_memory().available
    for folder in _folders(groups, process):
        for most, used, held in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _number(folder / most)
            if limit is not None:
                taken = (_number(folder / used) or 0) - _statistic(folder / "memory.stat", held)
                free = min(free, max(0, limit - max(0, taken)))
    return int(free)


def cores(groups: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> int:
    """Processor cores that this process may use, rounded up."""
    count: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _folders(groups, process):
        quota = _text(folder / "cpu.max").split() or [
            _text(folder / "cpu.cfs_quota_us"),
            _text(folder / "cpu.cfs_period_us"),
        ]
        if all(part.isdigit() for part in quota) and int(quota[1]):
            count = min(count, int(quota[0]) / int(quota[1]))
    return max(1, math.ceil(count))


def _folders(groups: Path, process: Path) -> Iterator[Path]:
    """The control groups of this process, each with those that it is in."""
    for line in _text(process).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        roots = [groups] if not controllers else [groups / c for c in (controllers, *controllers.split(","))]
        for root in dict.fromkeys(roots):
            inside = Path(name.lstrip("/"))
            for path in (inside, *inside.parents):
                if (root / path).is_dir():
                    yield root / path


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _statistic(path: Path, name: str) -> int:
    entries = (line.split() for line in _text(path).splitlines())
    return next((int(e[1]) for e in entries if len(e) == 2 and e[0] == name and e[1].isdigit()), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
