"""The data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import Field

from stem_spectra.hyperspy_file import opened, signal_of
from stem_spectra.truth import truth_of
from stemcore import Dataset, FieldSpec, UserError

SAMPLE = Path(__file__).parent / "sample" / "fe_pt.hspy"
KEV = {"ev": 1e-3, "kev": 1.0}


class SpectrumImage(Dataset):
    """Spectra of a scan (EELS, EDX) in a file of HyperSpy, ``.hspy``: one item per probe position.

    Fields: ``input`` (1, channels) in counts, as stored; ``energy`` (channels,), the centres of the channels in keV,
    where the file's units are eV or keV; of a simulation also ``expected`` (1, channels), the counts without noise, and
    ``label`` (), the number of the phase.

    Args:
        path: the file; without one, the sample that comes with this plugin.
        signal: name of the signal, where the file has several.
        energy_range: first and last energy to be read, in the file's units; the whole axis by default.
        rebin: this many neighbouring channels are added up to one; a last, incomplete one is left out.
        truth: group with ``spectra`` (components, channels) and ``abundances`` (*scan, components), whose product are
            the expected counts, and if need be ``phase`` (*scan); left out where the file has no such group.
    """

    def __init__(
        self,
        *,
        path: Path | None = None,
        signal: str | None = None,
        energy_range: Annotated[tuple[float, float] | None, Field(examples=[[0.2, 10.0]])] = None,
        rebin: Annotated[int, Field(ge=1)] = 1,
        truth: str = "truth",
    ) -> None:
        self.path = SAMPLE if path is None else path
        self.rebin = rebin
        self._file: h5py.File | None = None
        with opened(self.path) as file:
            self.signal = signal_of(file, self.path, signal)
            self.truth = truth_of(file, truth, self.signal, self.path)
        self.part = self._part(energy_range)
        self.energies = self._rebinned(self.signal.energies[self.part]) / rebin
        self.dtype = self._rebinned(np.zeros(rebin, self.signal.dtype)).dtype
        self._components = None if self.truth is None else self._rebinned(self.truth.spectra[:, self.part])

    def _part(self, wanted: tuple[float, float] | None) -> slice:
        energies = self.signal.energies
        inside = np.arange(len(energies))
        if wanted is not None:
            inside = np.flatnonzero((energies >= wanted[0]) & (energies <= wanted[1]))
        count = len(inside) // self.rebin
        if count < 2:
            raise UserError(
                f"energy_range {wanted and list(wanted)} and rebin {self.rebin} leave {count} channels",
                where=str(self.path),
                hint=f"the axis goes from {energies[0]:g} to {energies[-1]:g} {self.signal.units}".rstrip(),
            )
        return slice(int(inside[0]), int(inside[0]) + count * self.rebin)

    def _rebinned(self, values: np.ndarray) -> np.ndarray:
        """Neighbours on the last axis added up, in a type that holds the sums."""
        if self.rebin == 1:
            return values
        dtype = values.dtype
        if dtype.kind in "iu":
            dtype = np.dtype(np.int32 if dtype.itemsize < 4 else np.int64)
        return values.reshape(*values.shape[:-1], -1, self.rebin).sum(axis=-1, dtype=dtype)

    def __len__(self) -> int:
        """Number of probe positions."""
        return int(np.prod(self.signal.scan_shape))

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """Counts, energies and, of a simulation, the counts without noise and the phase."""
        shape = (1, len(self.energies))
        fields = [FieldSpec("input", shape, self.dtype.name, "counts", minimum=0.0, implicit_channel=True)]
        if self.signal.units.casefold() in KEV:
            fields.append(FieldSpec("energy", shape[1:], "float32", "keV"))
        if self.truth is not None:
            fields.append(FieldSpec("expected", shape, "float32", "counts", like="input", minimum=0.0))
            if self.truth.phase is not None:
                fields.append(FieldSpec("label", (), "int64"))
        return {field.name: field for field in fields}

    @property
    def scan_shape(self) -> tuple[int, ...]:
        """Shape of the scan."""
        return self.signal.scan_shape

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self.path,)

    def blocks(self) -> Sequence[np.ndarray]:
        """The positions of each chunk of the file; where chunks split the energies, those of each column of chunks."""
        if self.signal.chunks is None:
            return super().blocks()
        positions = np.arange(len(self)).reshape(self.scan_shape)
        blocks = [positions]
        for axis, size in enumerate(self.signal.chunks[:-1]):
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
        rows = {"input": self._rebinned(self._spectra(wanted))[back][:, None]}
        scale = KEV.get(self.signal.units.casefold())
        if scale is not None:
            rows["energy"] = np.tile((self.energies * scale).astype(np.float32), (len(indices), 1))
        if self.truth is not None and self._components is not None:
            rows["expected"] = self.truth.expected(indices, self._components)[:, None]
            if self.truth.phase is not None:
                rows["label"] = self.truth.phase[indices].astype(np.int64)
        return rows

    def _spectra(self, wanted: np.ndarray) -> np.ndarray:
        """Spectra (n, channels) at increasing positions: the box of the scan that holds them is read at once."""
        if not len(wanted):
            return np.empty((0, self.part.stop - self.part.start), self.signal.dtype)
        data = self._opened()[f"Experiments/{self.signal.name}/data"]
        places = np.unravel_index(wanted, self.scan_shape)
        low, high = [int(p.min()) for p in places], [int(p.max()) + 1 for p in places]
        if np.prod([h - a for a, h in zip(low, high, strict=True)]) > 16 * len(wanted):
            return np.stack([self._one(data, [int(p[i]) for p in places]) for i in range(len(wanted))])
        box = self._one(data, [slice(a, h) for a, h in zip(low, high, strict=True)])
        return box[tuple(p - a for p, a in zip(places, low, strict=True))]

    def _one(self, data: h5py.Dataset, place: Sequence[int | slice]) -> np.ndarray:
        try:
            return np.asarray(data[(*place, self.part)], dtype=self.signal.dtype)
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
