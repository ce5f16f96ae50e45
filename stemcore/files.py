"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls ``write`` with a temporary name beside ``path`` and then moves the result to ``path``: whoever reads
    ``path`` sees the old file or the new one, never half of one."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(part)
        with part.open("rb+") as f:
            os.fsync(f.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
