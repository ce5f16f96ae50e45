"""Rewriting an HDF5 file in chunks that are fast to read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import click
import h5py
import numpy as np

from stem_datasets.carry_over import carry_over, creates_in_order, identity
from stem_datasets.encoding import Encoding
from stem_datasets.handles import errno_of, opened
from stem_datasets.plan import Plan
from stem_datasets.slabs import Box, extent, pieces, whole
from stemcore import UserError, reporter, write_atomically

WRITE_BYTES = 1 << 24
"""Values handed to HDF5 at a time, between which Ctrl-C is heeded."""


class ConversionFailed(click.ClickException):
    """The file cannot be rewritten, for a reason that lies in no argument (exit code 1)."""


def rewrite(source: Path, out: Path, plans: Sequence[Plan], encoding: Encoding) -> None:
    """Writes ``out``, which holds what ``source`` does, the planned datasets in new chunks; reads them back and
    compares checksums (BLAKE2b) of every slab. ``out`` is there only if all of it went well.

    Raises:
        UserError: naming a chunk of ``source`` that cannot be read.
        ConversionFailed: if what was written is not what was read, or cannot be written.
    """
    before = _state(source)

    def write(part: Path) -> None:
        with _failures_named(out):
            sums = _write(source, part, plans, encoding)
            _forget_cached(part)
            try:
                _verify(part, out, plans, sums)
            except UserError as error:
                raise ConversionFailed(f"{out} cannot be read back: {error}") from error
        if _state(source) != before:
            raise ConversionFailed(f"{source} was changed while it was read; {out} is not written")

    write_atomically(out, write)


def _write(source: Path, part: Path, plans: Sequence[Plan], encoding: Encoding) -> list[list[bytes]]:
    """Writes the file and returns the checksums of each plan's slabs, of the values as they were read."""
    with opened(source) as old:
        block, ordered = old.userblock_size, creates_in_order(old["/"])
        plan_of = {identity(old[plan.name]): plan for plan in plans}

        def create(dataset: h5py.Dataset, into: h5py.Group, name: str) -> h5py.Dataset | None:
            plan = plan_of.get(identity(dataset))
            return None if plan is None else _empty_like(dataset, plan, into, name, encoding)

        # With chunks in its cache that cannot be written, as on a full disk, HDF5 takes the process down with it.
        with h5py.File(
            part, "w", locking="best-effort", rdcc_nbytes=0, userblock_size=block, track_order=ordered
        ) as new:
            places = carry_over(old, new, create)
            with reporter().task("patterns written", sum(plan.items for plan in plans)) as task:
                sums = []
                for identifier, plan in plan_of.items():
                    target = new[places[identifier]]
                    sums.append([])
                    for box, values in _slabs(old[plan.name], plan, source):
                        sums[-1].append(_checksum(values))
                        for n in _fill(target, box, values):
                            task.advance(n)
    with source.open("rb") as original, part.open("rb+") as file:
        file.write(original.read(block))
    return sums


def _verify(part: Path, out: Path, plans: Sequence[Plan], sums: Sequence[Sequence[bytes]]) -> None:
    with opened(part) as file, reporter().task("patterns verified", sum(plan.items for plan in plans)) as task:
        for plan, expected in zip(plans, sums, strict=True):
            for (box, values), right in zip(_slabs(file[plan.name], plan, part), expected, strict=True):
                if _checksum(values) != right:
                    where = tuple(side.start for side in box)
                    raise ConversionFailed(
                        f"{out}: '{plan.name}' from {where} on was read back as other values; nothing is written"
                    )
                task.advance(math.prod(extent(box)))


def _empty_like(dataset: h5py.Dataset, plan: Plan, into: h5py.Group, name: str, encoding: Encoding) -> h5py.Dataset:
    options = {"maxshape": dataset.maxshape, "chunks": plan.chunk, **encoding.filters(plan.dtype.itemsize)}
    # A fill value that is given is written before the values are, which takes as long again.
    fill = {"fillvalue": dataset.fillvalue} if np.any(dataset.fillvalue) else {}
    stored: h5py.Dataset = into.create_dataset(name, plan.shape, plan.dtype, **(options if plan.chunk else {}), **fill)
    return stored


def _slabs(dataset: h5py.Dataset, plan: Plan, path: Path) -> Iterator[tuple[Box, np.ndarray]]:
    buffer = np.empty((*plan.slab, *plan.shape[len(plan.slab) :]), plan.dtype)
    for box in plan.slabs():
        values = buffer.reshape(-1)[: math.prod(extent(box)) * math.prod(buffer.shape[len(box) :])]
        values = values.reshape(*extent(box), *buffer.shape[len(box) :])
        try:
            dataset.read_direct(values, box)
        except (OSError, RuntimeError) as error:
            raise _unreadable(dataset, box, path, error) from error
        yield box, values


def _fill(target: h5py.Dataset, box: Box, values: np.ndarray) -> Iterator[int]:
    """Writes a slab in pieces of whole chunks, and yields the number of patterns of each piece."""
    step = list(target.chunks[: len(box)] if target.chunks else [1] * len(box))
    item_bytes = math.prod(target.shape[len(box) :]) * target.dtype.itemsize
    for axis in reversed(range(len(box))):
        step[axis] *= max(1, WRITE_BYTES // (math.prod(step) * item_bytes))
        step[axis] = min(step[axis], max(target.shape[axis], 1))
    for piece in pieces(box, tuple(step)):
        here = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece, box, strict=True))
        target[piece] = values[here]
        yield math.prod(extent(piece))


def _checksum(values: np.ndarray) -> bytes:
    return blake2b(values.reshape(-1).view(np.uint8), digest_size=32).digest()


def _unreadable(dataset: h5py.Dataset, box: Box, path: Path, error: Exception) -> UserError:
    """Names the first chunk of a box that cannot be read."""
    where, reason = "", error
    region = (*box, *whole(dataset.shape[len(box) :]))
    for chunk in pieces(region, dataset.chunks) if dataset.chunks else ():
        try:
            dataset[chunk]
        except (OSError, RuntimeError) as its:
            # Where a box begins within a chunk, the chunk begins before it.
            start = tuple(side.start // n for side, n in zip(chunk, dataset.chunks, strict=True))
            where, reason = f"chunk {', '.join(map(str, start))} of ", its
            break
    return UserError(
        f"{where}dataset '{dataset.name}' cannot be read: {_first_line(reason)}",
        where=str(path),
        hint="copy the file again",
    )


@contextmanager
def _failures_named(out: Path) -> Iterator[None]:
    """What HDF5 says when it cannot write is a page long."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = errno_of(error)
        reason = os.strerror(number) if number is not None else _first_line(error)
        raise ConversionFailed(f"{out} cannot be written: {reason}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _forget_cached(path: Path) -> None:
    """Has the file read from storage and not from memory, where the system can be asked for that."""
    with path.open("rb+") as file, suppress(AttributeError, OSError):
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
