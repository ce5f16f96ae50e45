"""The file of latents that ``stem embed`` writes: what is in it, how it is begun, filled and gone on with.

The part that is not finished lies beside its target. Everything but the values is written before the first of them, and
room for all values is taken then: from there on only values change, so that the file can be read after a kill at any
moment. How far it has come is a value, too, written after the latents that it counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from stem_diffusion.moments import Moments
from stem_diffusion.store_layout import FIELDS, LATENTS, PROGRESS, SCALE, Contents, create
from stemcore import UserError

LARGEST = {"float16": 65504.0, "float32": float(np.finfo(np.float32).max)}


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
            create(self.part, contents)
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
