"""Rewriting HDF5 files in chunks that are read fast."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stem_datasets.handles import Handles, opened
from stem_datasets.lookup import find
from stem_datasets.stored import StoredArray
from stemcore import UserError

CHUNK_BYTES = 1 << 19
SLAB_BYTES = 1 << 29
LEAST_BYTES = 1 << 18
Box = tuple[slice, ...]
Count = Callable[[int], None]


@dataclass(frozen=True)
class Rewritten:
    """One array as it was and as it is.

    Attributes:
        name: in the file.
        before, after: chunks, ``None`` for contiguous storage.
        stored_before, stored_after: bytes in the files.
        nbytes: of its values.
    """

    name: str
    before: tuple[int, ...] | None
    after: tuple[int, ...] | None
    stored_before: int
    stored_after: int
    nbytes: int


def chosen(file: h5py.File, path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """The arrays to rewrite, by name, with their number of patterns: those named, or all of three or four axes that
    hold a quarter of a megabyte of numbers.

    Raises:
        UserError: for a name that is no array of patterns, or if there are none.
    """
    if names:
        found = [find(file, path, name, "dataset") for name in names]
        for dataset in found:
            if dataset.ndim not in (3, 4):
                hint = "right are (patterns, height, width) and (scan rows, scan columns, height, width)"
                raise UserError(f"'{dataset.name.strip('/')}' has shape {dataset.shape}", where=str(path), hint=hint)
    else:
        found = []
        file.visititems(lambda name, item: found.append(item) if _is_large(item) else None)
    if not found:
        raise UserError("there is no array of patterns in it", where=str(path), hint="name one with --dataset")
    return {dataset.name.strip("/"): math.prod(dataset.shape[:-2]) for dataset in found}


def rewrite(
    source: Path, part: Path, names: tuple[str, ...], filters: Mapping[str, Any], items: int | None, count: Count
) -> list[Rewritten]:
    """Copies a file to ``part``, the arrays ``names`` in new chunks, and compares what was written.

    Args:
        source: the file, only read.
        part: what to write.
        names: of the arrays.
        filters: arguments of ``create_dataset``; without any, storage is contiguous.
        items: patterns of a chunk; ``None`` for about half a megabyte.
        count: called with a number of patterns after they were written, and again after they were compared.

    Raises:
        UserError: naming the first pattern that cannot be read.
        ValueError: if a value that was written is not read back.
    """
    sums: dict[str, list[int]] = {}
    done = []
    with opened(source) as old, h5py.File(part, "w") as new:
        _copy_group(old, new, set(names))
        for name in names:
            before = old[name]
            after = _created(before, new, name, filters, items)
            sums[name] = []
            for box in slabs(before.shape, before.chunks, before.dtype.itemsize, after.chunks):
                values = _read(source, before, box)
                after[box] = values
                sums[name].append(zlib.crc32(values))  # type: ignore[arg-type]
                count(math.prod(values.shape[:-2]))
            done.append((name, before.chunks, before.id.get_storage_size(), before.nbytes))
    with opened(part) as new, opened(source) as old:
        for name in names:
            boxes = slabs(old[name].shape, old[name].chunks, old[name].dtype.itemsize, new[name].chunks)
            for box, expected in zip(boxes, sums[name], strict=True):
                values = np.ascontiguousarray(new[name][box])
                if zlib.crc32(values) != expected:  # type: ignore[arg-type]
                    raise ValueError(f"'{name}' reads back other values than were written, in {_words(box)}")
                count(math.prod(values.shape[:-2]))
        return [
            Rewritten(name, before, new[name].chunks, stored, new[name].id.get_storage_size(), nbytes)
            for name, before, stored, nbytes in done
        ]


def chunks_for(shape: tuple[int, ...], itemsize: int, items: int | None = None) -> tuple[int, ...]:
    """Chunks of whole patterns, about half a megabyte of them, none across scan rows unless rows are
    shorter than that."""
    *lead, height, width = shape
    wanted = items or max(1, CHUNK_BYTES // (height * width * itemsize))
    if len(lead) == 1 or wanted < 2 * lead[1]:
        line = lead[-1]
        # Chunks of one length, so that the last of a line is not a short one.
        length = -(-line // -(-line // min(wanted, line)))
        return (*[1] * (len(lead) - 1), length, height, width)
    return (min(lead[0], wanted // lead[1]), lead[1], height, width)


def slabs(
    shape: tuple[int, ...], chunk: tuple[int, ...] | None, itemsize: int, to: tuple[int, ...] | None
) -> Iterator[Box]:
    """Boxes of whole patterns that cover an array in order, of whole source chunks along the leading axes, so that each
    is decoded once, and of whole chunks of the result where both fit into half a gigabyte."""
    lead, pattern = shape[:-2], math.prod(shape[-2:]) * itemsize
    step = [min(c, n) for c, n in zip((chunk or (1,) * len(shape))[:-2], lead, strict=True)]
    for axis in range(len(lead)):
        other = math.lcm(step[axis], to[axis]) if to is not None else step[axis]
        bigger = [*step[:axis], min(other, lead[axis]), *step[axis + 1 :]]
        if math.prod(bigger) * pattern <= SLAB_BYTES:
            step = bigger
    for axis in reversed(range(len(lead))):
        times = max(1, SLAB_BYTES // (math.prod(step) * pattern))
        step[axis] = min(lead[axis], step[axis] * times)
    ranges = [range(0, n, s) for n, s in zip(lead, step, strict=True)]
    for starts in itertools.product(*ranges):
        yield tuple(slice(a, min(a + s, n)) for a, s, n in zip(starts, step, lead, strict=True))


def _is_large(item: Any) -> bool:
    if not isinstance(item, h5py.Dataset) or item.ndim not in (3, 4) or item.dtype.kind not in "iufb":
        return False
    return math.prod(item.shape) * item.dtype.itemsize >= LEAST_BYTES


def _copy_group(old: h5py.Group, new: h5py.Group, left_out: set[str], above: str = "") -> None:
    """Copies everything but the arrays ``left_out``; links stay links."""
    _copy_attributes(old, new)
    for name in old:
        path = f"{above}{name}"
        link = old.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
            new[name] = link
        elif path in left_out:
            continue
        elif any(other.startswith(f"{path}/") for other in left_out):
            _copy_group(old[name], new.create_group(name), left_out, f"{path}/")
        else:
            old.copy(old[name], new, name)


def _copy_attributes(old: Any, new: Any) -> None:
    for name, value in old.attrs.items():
        # References are places in the old file.
        if h5py.check_ref_dtype(np.asarray(value).dtype) is None and name not in ("DIMENSION_LIST", "REFERENCE_LIST"):
            new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)


def _created(
    before: h5py.Dataset, new: h5py.File, name: str, filters: Mapping[str, Any], items: int | None
) -> h5py.Dataset:
    chunks = chunks_for(before.shape, before.dtype.itemsize, items) if filters else None
    after = new.create_dataset(name, before.shape, before.dtype, chunks=chunks, fillvalue=before.fillvalue, **filters)
    _copy_attributes(before, after)
    return after


def _read(path: Path, dataset: h5py.Dataset, box: Box) -> np.ndarray:
    try:
        return np.ascontiguousarray(dataset[box])
    except (OSError, RuntimeError):
        rows = np.arange(math.prod(dataset.shape[:-2])).reshape(dataset.shape[:-2])[box].reshape(-1)
        array = StoredArray(Handles(), path, dataset.name)
        for row in rows:  # finds the one that is damaged, and raises
            array.read(row[None], np.empty((1, *array.image), array.dtype))
        raise


def _words(box: Box) -> str:
    return ", ".join(f"{part.start}-{part.stop - 1}" for part in box)
