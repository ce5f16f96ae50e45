"""Patterns in PyTorch and NumPy files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from torch import Tensor

from stem_datasets.paths import check_file
from stem_datasets.tensor_file import open_array
from stem_datasets.tiles import blocks_of, tile_of
from stemcore import Dataset, FieldSpec, UserError


class TensorFile(Dataset):
    """Patterns in a tensor file: .pt (of ``torch.save``), .npy, or .npz.

    The array is (n, channels, h, w) or (n, h, w); with a ``scan_shape`` also (scan rows, scan columns, h, w). An
    item's ``input`` is (channels, h, w) in the stored type (bfloat16 becomes float32). All but .npz is
    mapped into memory and read as needed. Nothing in a file is ever run: one that holds more than arrays is refused.

    Args:
        path: the file.
        key: name of the array, where the file holds several.
        scan_shape: shape of the scan, whose positions the patterns are, row by row.

    Raises:
        UserError: for a file that is missing, damaged, refused, or of a wrong shape or type.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        path: Path,
        key: str | None = None,
        scan_shape: list[Annotated[int, Field(ge=1)]] | None = None,
    ) -> None:
        self._path, self._key = path.expanduser(), key
        self._scan_shape = tuple(scan_shape) if scan_shape else None
        self._array: np.ndarray | Tensor | None = None
        self._item, self._count, channels = self._layout(tuple(self._opened().shape))
        dtype = self._dtype()
        self._item_bytes = math.prod(self._item) * dtype.itemsize
        self._fields = {"input": FieldSpec("input", self._item, dtype.name, minimum=0.0, implicit_channel=not channels)}

    def __len__(self) -> int:
        return self._count

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input``."""
        return self._fields

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """Shape of the scan, where it was given."""
        return self._scan_shape

    @property
    def files(self) -> Sequence[Path]:
        """The file."""
        return (self._path,)

    def blocks(self) -> Sequence[np.ndarray]:
        """Runs of neighbouring items."""
        whole = (len(self),)
        return blocks_of(whole, tile_of(whole, None, self._item_bytes))

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Items ``indices``.

        Raises:
            IndexError: if an index is not in the data set.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"there are {len(self)} items, from 0; asked for {wanted.min()} to {wanted.max()}")
        array = self._opened()
        if self._scan_shape and tuple(array.shape[: len(self._scan_shape)]) == self._scan_shape:
            values = array[np.unravel_index(wanted, self._scan_shape)]
        else:
            values = array[wanted]
        if isinstance(values, Tensor):
            values = values.float().numpy()
        native = np.array(values, dtype=self._fields["input"].dtype, order="C")
        return {"input": native.reshape(len(wanted), *self._item)}

    def close(self) -> None:
        """Lets go of the file; ``read`` opens it again."""
        self._array = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}

    def _opened(self) -> np.ndarray | Tensor:
        if self._array is None:
            check_file(self._path)
            self._array = open_array(self._path, self._key)
        return self._array

    def _dtype(self) -> np.dtype:
        array = self._opened()
        if isinstance(array, Tensor):
            return np.dtype("float32")
        return np.dtype("uint8") if array.dtype.kind == "b" else array.dtype.newbyteorder("=")

    def _layout(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int, bool]:
        """Shape of an item, number of items, and whether the file has a channel axis."""
        if len(shape) not in (3, 4) or 0 in shape:
            hint = "right are (patterns, height, width) and (patterns, channels, height, width)"
            raise UserError(f"its array has shape {shape}", where=str(self._path), hint=hint)
        scan = self._scan_shape
        if scan and shape[:2] == scan and len(shape) == 4:
            return (1, *shape[2:]), math.prod(scan), False
        if scan and math.prod(scan) != shape[0]:
            raise UserError(
                f"'scan_shape' {list(scan)} has {math.prod(scan)} positions, there are {shape[0]} patterns",
                where=str(self._path),
                hint="rows times columns must be the number of patterns",
            )
        return (1, *shape[-2:]) if len(shape) == 3 else shape[1:], shape[0], len(shape) == 4
