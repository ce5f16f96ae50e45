"""The data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import Field

from stem_spectra.hyperspy_file import opened, signal_of
from stemcore import Dataset, FieldSpec, UserError

SAMPLE = Path(__file__).parent / "sample" / "fe_pt.hspy"


class SpectrumImage(Dataset):
    """Spectra of a scan (EELS, EDX) in a file of HyperSpy, ``.hspy``: one item per probe position.

    Fields: ``input`` (1, channels) in counts, as stored; ``energy`` (channels,), the centres of the channels in the
    file's units; and ``expected`` (1, channels), the counts without noise, where a simulation has them.

    Args:
        path: the file; without one, the sample that comes with this plugin.
        signal: name of the signal, where the file has several.
        energy_range: first and last energy to be read, in the file's units; the whole axis by default.
        truth: group with ``spectra`` (components, channels) and ``abundances`` (*scan, components), whose product are
            the expected counts; left out where the file has none.
    """

    def __init__(
        self,
        *,
        path: Path | None = None,
        signal: str | None = None,
        energy_range: Annotated[tuple[float, float] | None, Field(examples=[[0.2, 10.0]])] = None,
        truth: str = "truth",
    ) -> None:
        self.path = SAMPLE if path is None else path
        self.truth = truth
        self._file: h5py.File | None = None
        with opened(self.path) as file:
            self.signal = signal_of(file, self.path, signal)
            self.part = self._part(energy_range)
            self.has_truth = self._check_truth(file)

    def _part(self, wanted: tuple[float, float] | None) -> slice:
        energies = self.signal.energies
        if wanted is None:
            return slice(0, len(energies))
        inside = np.flatnonzero((energies >= wanted[0]) & (energies <= wanted[1]))
        if len(inside) < 2:
            first, last = energies[0], energies[-1]
            raise UserError(
                f"energy_range {list(wanted)} has {len(inside)} channels",
                where=str(self.path),
                hint=f"the axis goes from {first:g} to {last:g} {self.signal.units}",
            )
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def _check_truth(self, file: h5py.File) -> bool:
        if self.truth not in file:
            return False
        parts = [file[self.truth].get(name) for name in ("spectra", "abundances")]
        shapes = [getattr(part, "shape", None) for part in parts]
        channels, scan = len(self.signal.energies), self.signal.scan_shape
        if None in shapes or shapes[0][1:] != (channels,) or shapes[1] != (*scan, shapes[0][0]):
            raise UserError(
                f"group '{self.truth}' has spectra {shapes[0]} and abundances {shapes[1]}",
                where=str(self.path),
                hint=f"(n, {channels}) and ({', '.join(map(str, scan))}, n) would fit",
            )
        return True

    def __len__(self) -> int:
        """Number of probe positions."""
        return int(np.prod(self.signal.scan_shape))

    @property
    def energies(self) -> np.ndarray:
        """Centres of the channels that are read, in the file's units."""
        return self.signal.energies[self.part]

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """Counts, energies and, of a simulation, the counts without noise."""
        channels = len(self.energies)
        dtype = self.signal.dtype.name
        spectra = FieldSpec("input", (1, channels), dtype, "counts", minimum=0.0, implicit_channel=True)
        fields = {"input": spectra, "energy": FieldSpec("energy", (channels,), "float32", self.signal.units)}
        if self.has_truth:
            fields["expected"] = FieldSpec("expected", (1, channels), "float32", "counts", like="input", minimum=0.0)
        return fields

    @property
    def scan_shape(self) -> tuple[int, ...]:
        """Shape of the scan."""
        return self.signal.scan_shape

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self.path,)

    def blocks(self) -> Sequence[np.ndarray]:
        """The positions of each chunk of the file."""
        if self.signal.chunks is None:
            return super().blocks()
        positions = np.arange(len(self)).reshape(self.scan_shape)
        sizes = self.signal.chunks[:-1]
        blocks = [positions]
        for axis, size in enumerate(sizes):
            cuts = range(size, positions.shape[axis], size)
            blocks = [piece for block in blocks for piece in np.split(block, cuts, axis=axis)]
        return [block.ravel() for block in blocks]

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The spectra at these positions, row by row of the scan.

        Raises:
            UserError: if the file cannot be read there.
        """
        indices = np.asarray(indices, dtype=np.int64)
        wanted, back = np.unique(indices, return_inverse=True)
        rows = {"input": self._spectra(wanted)[back][:, None]}
        rows["energy"] = np.tile(self.energies.astype(np.float32), (len(indices), 1))
        if self.has_truth:
            rows["expected"] = self._expected(indices)[:, None]
        return rows

    def _expected(self, indices: np.ndarray) -> np.ndarray:
        truth = self._opened()[self.truth]
        abundances = truth["abundances"][()].reshape(len(self), -1)[indices]
        total = np.zeros((len(indices), len(self.energies)), np.float32)
        # Added up term by term: the last bits of a matrix product depend on how many items are read together.
        for share, spectrum in zip(abundances.T, truth["spectra"][:, self.part], strict=True):
            total += (share[:, None] * spectrum).astype(np.float32)
        return total

    def _spectra(self, wanted: np.ndarray) -> np.ndarray:
        """Spectra (n, channels) at increasing positions: the box of the scan that holds them is read at once."""
        channels = len(self.energies)
        if not len(wanted):
            return np.empty((0, channels), self.signal.dtype)
        data = self._opened()[f"Experiments/{self.signal.name}/data"]
        places = np.unravel_index(wanted, self.scan_shape)
        low, high = [int(p.min()) for p in places], [int(p.max()) + 1 for p in places]
        if np.prod([h - a for a, h in zip(low, high, strict=True)]) > 16 * len(wanted):
            return np.stack([self._one(data, [int(p[i]) for p in places]) for i in range(len(wanted))])
        box = self._one(data, [slice(a, h) for a, h in zip(low, high, strict=True)])
        return box[tuple(p - a for p, a in zip(places, low, strict=True))]

    def _one(self, data: h5py.Dataset, place: Sequence[int | slice]) -> np.ndarray:
        try:
            return np.asarray(data[(*place, self.part)])
        except OSError as error:
            raise UserError(f"it cannot be read at {place}: {error}", where=str(self.path)) from error

    def _opened(self) -> h5py.File:
        if self._file is None:
            self._file = opened(self.path)
        return self._file

    def close(self) -> None:
        """Lets go of the file; ``read`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file, which another process opens for itself."""
        return {**self.__dict__, "_file": None}
