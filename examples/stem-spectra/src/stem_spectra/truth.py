"""What a simulation knows of its own scan: the counts without noise, and the phases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from stem_spectra.hyperspy_file import Signal
from stemcore import UserError


@dataclass(frozen=True)
class Truth:
    """Expected spectra as a mixture, far smaller than the spectra themselves.

    Attributes:
        spectra: of the components (components, channels), on the signal's axis.
        abundances: counts of each component at each position (items, components).
        phase: number of the phase at each position (items,), where there is one.
    """

    spectra: np.ndarray
    abundances: np.ndarray
    phase: np.ndarray | None

    def expected(self, items: np.ndarray, spectra: np.ndarray) -> np.ndarray:
        """Counts without noise (n, channels), float32, from the components' spectra on the channels that are wanted."""
        total = np.zeros((len(items), spectra.shape[1]), np.float32)
        # Added up term by term: the last bits of a matrix product depend on how many items are read together.
        for share, spectrum in zip(self.abundances[items].T, spectra, strict=True):
            total += (share[:, None] * spectrum).astype(np.float32)
        return total


def truth_of(file: h5py.File, name: str, signal: Signal, path: Path) -> Truth | None:
    """What the group ``name`` holds; ``None`` where the file has no such group.

    Raises:
        UserError: if its shapes do not fit the signal.
    """
    group = file.get(name)
    if group is None:
        return None
    parts = {part: _numbers(group, part) for part in ("spectra", "abundances", "phase")}
    shapes = {part: None if values is None else values.shape for part, values in parts.items()}
    spectra, abundances, phase = parts.values()
    channels, scan = len(signal.energies), signal.scan_shape
    mixture = spectra is not None and abundances is not None and spectra.ndim == 2
    fits = mixture and spectra.shape[1] == channels and abundances.shape == (*scan, len(spectra))
    if not fits or (phase is not None and (phase.shape != scan or phase.dtype.kind not in "iu")):
        said = ", ".join(f"{part} {shape}" for part, shape in shapes.items() if shape is not None)
        positions = ", ".join(map(str, scan))
        raise UserError(
            f"group '{name}' has {said or 'nothing of a truth'}",
            where=str(path),
            hint=f"spectra (n, {channels}), abundances ({positions}, n) and integer phase ({positions}) would fit",
        )
    items = int(np.prod(scan))
    return Truth(spectra, abundances.reshape(items, -1), None if phase is None else phase.reshape(items))


def _numbers(group: h5py.Group | h5py.Dataset, name: str) -> np.ndarray | None:
    found = group.get(name) if isinstance(group, h5py.Group) else None
    return np.asarray(found[()]) if isinstance(found, h5py.Dataset) and found.dtype.kind in "uif" else None
