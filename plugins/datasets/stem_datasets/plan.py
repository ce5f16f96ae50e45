"""What of an HDF5 file is rewritten, and in which chunks."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from stem_datasets.carry_over import Identity, identity
from stem_datasets.encoding import Encoding
from stem_datasets.lookup import find
from stem_datasets.pathology import fault_of
from stem_datasets.slabs import CHUNK_BYTES, MOST_SLAB_BYTES, Box, chunk_of, lead_of, pieces, slab_of, whole
from stemcore import UserError, reporter

MOST_CHUNK_BYTES = (1 << 32) - 1


@dataclass(frozen=True)
class Plan:
    """How a dataset is rewritten.

    Attributes:
        name: its path in the file.
        before: shape of the chunks as stored, else what stands for them.
        before_bytes: bytes that it takes as stored; 0 where they are in other files.
        chunk: shape of a new chunk; ``None`` for contiguous storage.
        slab: items along each leading axis that are read together.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    before: str
    before_bytes: int
    chunk: tuple[int, ...] | None
    slab: tuple[int, ...]

    @property
    def items(self) -> int:
        """Number of patterns."""
        return math.prod(self.shape[: len(self.slab)])

    def slabs(self) -> Iterator[Box]:
        """The slabs in the order in which they are read."""
        return pieces(whole(self.shape[: len(self.slab)]), self.slab)


def planned(
    file: h5py.File,
    names: Sequence[str],
    encoding: Encoding,
    chunk_items: int | None = None,
    most: int = MOST_SLAB_BYTES,
) -> list[Plan]:
    """The datasets to rewrite: those named, else every array of patterns that is large or badly chunked. What is stored
    in other files (virtual datasets, external storage) is taken from there.

    Raises:
        UserError: for a name of no array of numbers in this file, or if there is nothing to rewrite.
    """
    path = Path(file.filename)
    wanted: dict[Identity, h5py.Dataset] = {}
    for name in names:
        dataset = find(file, path, name, "dataset")
        if (other := dataset.file.filename) != file.filename:
            raise UserError(f"dataset '{name}' is in another file", where=str(path), hint=f"convert {other}")
        wanted[identity(dataset)] = dataset

    def consider(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and (_elsewhere(node) or (not names and _worthwhile(node))):
            wanted.setdefault(identity(node), find(file, path, name, "dataset"))

    file.visititems(consider)
    if not wanted:
        raise UserError(
            "has no dataset of 1 MB or more in three or four axes", where=str(path), hint="name one with --dataset"
        )
    return [_plan(dataset, encoding, chunk_items, most) for dataset in wanted.values()]


def check_space(source: Path, folder: Path, plans: Sequence[Plan], encoding: Encoding) -> None:
    """Raises ``UserError`` where the free space is known not to suffice: without compression. With it, the need is not
    known, and the user is told where there is less space than the file takes now."""
    free, size = shutil.disk_usage(folder).free, source.stat().st_size
    if not encoding.compresses:
        decoded = sum(math.prod(plan.shape) * plan.dtype.itemsize for plan in plans)
        need = decoded + max(0, size - sum(plan.before_bytes for plan in plans))
        if need > free:
            raise UserError(
                f"{need / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free", where=str(folder), hint="make room"
            )
    elif size > free:
        reporter().say(f"{folder}: {free / 1e9:.3g} GB are free, less than the {size / 1e9:.3g} GB of {source.name}")


def _elsewhere(dataset: h5py.Dataset) -> bool:
    return dataset.dtype.kind in "iufb" and bool(dataset.shape) and (dataset.is_virtual or bool(dataset.external))


def _worthwhile(dataset: h5py.Dataset) -> bool:
    if dataset.shape is None or dataset.ndim not in (3, 4) or dataset.dtype.kind not in "iufb" or not dataset.size:
        return False
    large = dataset.size * dataset.dtype.itemsize >= CHUNK_BYTES
    return large or fault_of(dataset.shape, dataset.chunks, dataset.dtype.itemsize) is not None


def _plan(dataset: h5py.Dataset, encoding: Encoding, chunk_items: int | None, most: int) -> Plan:
    shape, stored = dataset.shape, dataset.chunks
    lead = lead_of(shape)
    item = shape[len(lead) :]
    item_bytes = math.prod(item) * dataset.dtype.itemsize
    lead_chunk = chunk_of(lead, item_bytes, chunk_items if len(shape) > 2 else None)
    if math.prod(lead_chunk) * item_bytes > MOST_CHUNK_BYTES:
        raise UserError(
            f"a chunk of {math.prod(lead_chunk)} patterns of '{dataset.name}' has more than the 4 GB that HDF5 allows",
            where="--chunk-items",
            hint=f"{MOST_CHUNK_BYTES // item_bytes or 'none'} at most",
        )
    contiguous = not encoding.compresses and chunk_items is None and dataset.maxshape == shape
    return Plan(
        dataset.name,
        shape,
        dataset.dtype,
        "virtual" if dataset.is_virtual else "contiguous" if stored is None else str(stored),
        dataset.id.get_storage_size(),
        None if contiguous else (*lead_chunk, *item),
        slab_of(lead, stored[: len(lead)] if stored else lead_chunk, lead_chunk, item_bytes, most),
    )


def files_behind(file: h5py.File) -> list[Path]:
    """The file and those that its links, virtual datasets and external storage lead to."""
    path = Path(file.filename)
    names: list[str] = []

    def note_link(name: str, link: object) -> None:
        if isinstance(link, h5py.ExternalLink):
            names.append(link.filename)

    def note_storage(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            names.extend(source.file_name for source in (node.virtual_sources() if node.is_virtual else ()))
            names.extend(name for name, *_ in node.external or ())

    file.visititems_links(note_link)
    file.visititems(note_storage)
    return [path, *(path.parent / name for name in names if name != ".")]
