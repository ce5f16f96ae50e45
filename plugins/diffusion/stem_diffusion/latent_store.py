"""The file of latents that ``stem embed`` writes: what is in it, how it is begun, filled and gone on with.

The part that is not finished lies beside its target. Everything but the values is written before the first of them, and
room for all values is taken then: from there on only values change, so that the file can be read after a kill at any
moment. How far it has come is a value, too, written after the latents that it counts.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from stemcore import FieldSpec, UserError

FORMAT = 1
CHUNK_BYTES = 128 << 10
"""Small enough that single items are cheap to read, large enough for disks."""
LATENTS, FIELDS, PROGRESS, SCALE = "latents", "fields", "progress", "scale_factor"
COMPANIONS = ("names", "parts", "groups")
LARGEST = {"float16": 65504.0, "float32": float(np.finfo(np.float32).max)}


@dataclass(frozen=True)
class Contents:
    """What a store is to hold, all of it known before the first latent.

    Attributes:
        items: number of items.
        shape: of an item's latents.
        dtype: ``float32`` or ``float16``.
        identity: what a store that is gone on with must agree in: encoder, data, way of encoding.
        about: what else is worth knowing, such as where the run was.
        fields: what is copied beside the latents.
        companions: of every item its name, part or group, where the data have such.
        scan_shape: of the scan whose positions the items are, if there is one.
    """

    items: int
    shape: tuple[int, ...]
    dtype: str
    identity: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    companions: Mapping[str, np.ndarray | Sequence[str]] = field(default_factory=dict)
    scan_shape: tuple[int, ...] | None = None

    @property
    def signature(self) -> dict[str, Any]:
        """What tells one store from another, in types of JSON."""
        fields = {name: describe(spec) for name, spec in self.fields.items()}
        own = {"items": self.items, "shape": list(self.shape), "dtype": self.dtype, "fields": fields}
        plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **own, **self.identity}))
        return plain


@dataclass
class Moments:
    """Mean and spread of values that come in batches, in float64 (Chan, Golub and LeVeque 1979)."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Counts values of any shape in."""
        if not values.size:
            return
        wide = values.astype(np.float64)
        mean, total = float(wide.mean()), self.count + values.size
        apart = mean - self.mean
        self.squares += float(np.square(wide - mean).sum()) + apart**2 * self.count * values.size / total
        self.mean += apart * values.size / total
        self.count = total

    @property
    def std(self) -> float:
        """Standard deviation of all values, 0 of none."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


class StoreWriter:
    """A store that is being filled, in an order that is always the same. As a context it is closed in the end, whatever
    has come by then.

    Attributes:
        done: how many items have come.

    Args:
        out: the file that is wanted; until it is finished it lies beside under another name.
        contents: what it is to hold.
        restart: whether to begin anew where one was begun.

    Raises:
        UserError: if one was begun with other contents, if another process is at it, if it would not fit on the disk.
    """

    def __init__(self, out: Path, contents: Contents, *, restart: bool = False) -> None:
        self.out, self.part, self.contents = out, part_of(out), contents
        if restart:
            _drop(self.part)
        if not self.part.exists():
            _create(self.part, contents)
        self._file = _reopened(self.part)
        try:
            self._refuse_another()
        except BaseException:
            self._file.close()
            raise
        done, *moments = self._file[PROGRESS][()].tolist()
        self.done, self.moments = int(done), Moments(*moments)

    def _refuse_another(self) -> None:
        found = json.loads(self._file.attrs["signature"])
        pairs = {k: (found.get(k), wanted) for k, wanted in self.contents.signature.items()}
        differs = [f"{k} ({_short(then)} then, {_short(now)} now)" for k, (then, now) in pairs.items() if then != now]
        if differs:
            message = f"a store was begun here that differs in {', '.join(differs)}"
            raise UserError(message, where=str(self.out), hint="--restart begins anew, or give the output another name")

    def put(
        self,
        latents: np.ndarray,
        fields: Mapping[str, np.ndarray],
        counts: np.ndarray,
        items: np.ndarray | None = None,
    ) -> None:
        """Takes the next items.

        Args:
            latents: (n, *shape).
            fields: what is copied, each (n, ...).
            counts: (n,) bool, which of them the scale factor is computed from.
            items: (n,) their numbers; those that follow without it.

        Raises:
            UserError: if a latent is not finite, or beyond what the type can hold.
        """
        items = np.arange(self.done, self.done + len(latents)) if items is None else items
        stored = latents.astype(self.contents.dtype)
        ok = np.isfinite(stored).reshape(len(stored), -1).all(axis=1)
        if not ok.all():
            raise self._not_finite(latents, int(items[np.argmin(ok)]), int(np.argmin(ok)))
        order = np.argsort(items)
        for rows in np.split(order, np.flatnonzero(np.diff(items[order]) != 1) + 1):
            here = slice(int(items[rows[0]]), int(items[rows[-1]]) + 1)
            self._file[LATENTS][here] = stored[rows]
            for name in self.contents.fields:
                self._file[FIELDS][name][here] = fields[name][rows]
        self.moments.add(stored[counts])
        self.done += len(stored)

    def _not_finite(self, latents: np.ndarray, item: int, row: int) -> UserError:
        if np.isfinite(latents[row]).all():
            most = LARGEST[self.contents.dtype]
            message = f"a latent of item {item} is beyond {most:g}, the largest of {self.contents.dtype}"
            return UserError(message, where="--dtype", hint="store float32")
        return UserError(f"the latents of item {item} are not finite", hint="look at that item, and at the run")

    def save(self) -> None:
        """Brings what was put to the disk, then the mark that says so."""
        self._flush()
        self._file[PROGRESS][...] = [self.done, self.moments.count, self.moments.mean, self.moments.squares]
        self._flush()

    def finish(self) -> float:
        """Writes the scale factor and moves the file to its place.

        Returns:
            The scale factor, 1 / standard deviation.

        Raises:
            UserError: if all latents are the same.
        """
        assert self.done == self.contents.items, "items are missing"
        if self.moments.std == 0:
            raise UserError("all latents are the same", where=str(self.out), hint="look at the run: it encodes nothing")
        scale = 1 / self.moments.std
        self.save()
        self._file.attrs[SCALE] = scale
        self._flush()
        self._file.close()
        os.replace(self.part, self.out)
        return scale

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.id.get_vfd_handle())

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self.save()
            self._file.close()


def part_of(out: Path) -> Path:
    """Where a store lies that is not finished."""
    return out.with_name(f".{out.name}.part")


def describe(spec: FieldSpec) -> dict[str, Any]:
    """A field in types of JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return plain


def described(text: str) -> FieldSpec:
    """What :func:`describe` gave, from text."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return FieldSpec(**plain)


def _create(part: Path, contents: Contents) -> None:
    """Everything but values. It has its name once it is complete."""
    _check_space(part.parent, contents)
    fresh = part.with_name(f"{part.name}.{os.getpid()}")
    try:
        with h5py.File(fresh, "w") as file:
            file.attrs.update({"format": FORMAT, SCALE: math.nan, **contents.identity, **contents.about})
            file.attrs["signature"] = json.dumps(contents.signature)
            if contents.scan_shape is not None:
                file.attrs["scan_shape"] = contents.scan_shape
            _room(file, LATENTS, contents.items, contents.shape, np.dtype(contents.dtype))
            for name, spec in contents.fields.items():
                made = _room(file, f"{FIELDS}/{name}", contents.items, _whole(spec), kept_type(spec))
                made.attrs["spec"] = json.dumps(describe(spec))
            for name, values in contents.companions.items():
                text = name != "groups"
                file.create_dataset(name, data=list(values) if text else values, dtype=_TEXT if text else None)
            file.create_dataset(PROGRESS, data=np.zeros(4))
        os.replace(fresh, part)
    finally:
        fresh.unlink(missing_ok=True)


_TEXT = h5py.string_dtype()


def _room(file: h5py.File, name: str, items: int, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """Room for values that are to come, taken at once: nothing but values is written later."""
    per_item = max(1, math.prod(shape) * dtype.itemsize)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    chunk = (max(1, min(items, CHUNK_BYTES // per_item)), *shape)
    return file.create_dataset(name, (items, *shape), dtype, chunks=chunk, dcpl=layout, fill_time="never")


def kept_type(spec: FieldSpec) -> np.dtype:
    """The type of a field in the file: numbers of few classes need no eight bytes a pixel."""
    few = spec.classes and spec.shape and len(spec.classes) <= np.iinfo(np.int16).max
    return np.dtype(np.int16 if few else spec.dtype)


def _whole(spec: FieldSpec) -> tuple[int, ...]:
    return tuple(n for n in spec.shape if n is not None)


def _check_space(folder: Path, contents: Contents) -> None:
    fields = sum(kept_type(s).itemsize * s.size for s in contents.fields.values())
    needed = contents.items * (np.dtype(contents.dtype).itemsize * math.prod(contents.shape) + fields)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"the store takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise UserError(message, where=str(folder), hint="make room, copy fewer --fields, or store float16")


def _drop(part: Path) -> None:
    """Forgets what was begun, unless another process is at it."""
    with suppress(OSError):  # it is not there, or damaged
        _opened(part).close()
    part.unlink(missing_ok=True)


def _opened(part: Path) -> h5py.File:
    """The file, for writing; HDF5 locks it."""
    try:
        return h5py.File(part, "r+")
    except OSError as error:
        if "lock" in str(error):
            raise UserError("another process is writing this store", where=str(part), hint="wait for it") from error
        raise


def _reopened(part: Path) -> h5py.File:
    try:
        file = _opened(part)
    except OSError as error:
        hint = "--restart begins anew"
        raise UserError("what was begun of the store cannot be read", where=str(part), hint=hint) from error
    if "signature" not in file.attrs or PROGRESS not in file:
        file.close()
        raise UserError("it was not begun by 'stem embed'", where=str(part), hint="--restart begins anew")
    return file


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
