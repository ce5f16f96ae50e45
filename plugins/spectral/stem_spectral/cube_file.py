"""What all files with cubes have in common, whatever their format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MICROMETRES, NANOMETRES, WAVENUMBERS = "micro", "nano", "wavenumber"
LONGEST_IN_MICROMETRES = 100.0
"""Wavelengths without a unit that are all below it are taken for micrometres: light of 100 nm does not pass air."""


@dataclass(frozen=True)
class Told:
    """What a file says of its cube beside the values.

    Attributes:
        axes: their order, such as ``bhw`` (bands, height, width); ``None`` where the format leaves it open.
        wavelengths: (bands,) in nm.
        good: (bands,) bool, false for bands that are marked as bad.
        no_data: the stored value of pixels without data.
        scale, offset: stored values times ``scale`` plus ``offset`` are physical ones.
        unit: their unit.
    """

    axes: str | None = None
    wavelengths: np.ndarray | None = None
    good: np.ndarray | None = None
    no_data: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None


class CubeFile(ABC):
    """An open file with one array or several, which are sliced like NumPy's.

    Args:
        path: the file.

    Attributes:
        beside: other files that belong to it.
    """

    kind: ClassVar[str]
    axes: ClassVar[str] = "bhw"
    """The usual order of axes, for files that do not say theirs."""
    named: ClassVar[bool] = False
    """Whether the arrays have names by which a recipe chooses."""
    exclusive: ClassVar[bool] = False
    """Whether one thread at a time may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside: tuple[Path, ...] = ()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of it that are held in memory."""
        return self._held

    @abstractmethod
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the arrays of numbers, by their names; a format with a single one calls it ''."""

    @abstractmethod
    def array(self, name: str) -> Any:
        """One of them, with ``shape``, ``dtype`` and ``[slices]``."""

    def dtype(self, name: str) -> np.dtype:
        """Its type, as stored."""
        return np.dtype(self.array(name).dtype)

    def told(self, name: str) -> Told:
        """What the file says of the cube ``name``."""
        return Told()

    def classes(self, name: str) -> tuple[str, ...]:
        """What the file calls the values 0, 1, ... of the labels ``name``; empty where it does not say."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file."""


def nanometres(values: np.ndarray, unit: str | None) -> np.ndarray | None:
    """Wavelengths in nm, float32, from those of another unit; ``None`` for what is no wavelength, such as an index.

    Args:
        values: (bands,).
        unit: its name as files have it; without one, values that are all below 100 are micrometres.
    """
    found = np.asarray(values, np.float64)
    text = (unit or "").strip().lower()
    if text in ("index", "ghz", "mhz"):
        return None
    if text.startswith(WAVENUMBERS) or text in ("cm-1", "1/cm"):
        return np.asarray(1e7 / found, np.float32)
    micro = text.startswith(MICROMETRES) or text in ("um", "µm", "μm", "micron", "microns")
    if micro or (text in ("", "unknown") and len(found) and found.max() < LONGEST_IN_MICROMETRES):
        found = found * 1000
    return found.astype(np.float32)


def number(value: Any) -> float | None:
    """A single number out of an attribute or a header, ``None`` for anything else."""
    try:
        flat = np.asarray(value).reshape(-1)
        return float(flat[0]) if flat.size == 1 else None
    except (TypeError, ValueError):
        return None
