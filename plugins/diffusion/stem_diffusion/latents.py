"""Latents that another run has made, to train from."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import Field

from stem_diffusion.store_layout import FIELDS, FORMAT, LATENTS, PROGRESS, SCALE, described
from stemcore import Dataset, FieldSpec, Run, UserError

HINT = "a latent store is written by 'stem embed RUN --out FILE'"
EMBED_AGAIN = "give the run that made it, or call 'stem embed' with the one that is wanted"


class Latents(Dataset):
    """Latents of images, as ``stem embed`` has written them, with the labels and other fields that are in the store.

    The field ``input`` is stored as the encoder gave it, which is what its decoder takes; its physical values are these
    times the store's scale factor, 1 / standard deviation of the training items' latents. Items keep the part (train,
    val, test) that they had for the encoder: ``split: given`` holds out what it has not seen. A model is not to flip
    latents: encode flipped images instead.

    Args:
        path: the store.
        autoencoder: the run that is to have made it; whichever has without it.
        scale_factor: in place of the store's: that of the store on which a model was trained that goes on here.

    Raises:
        UserError: if the file is missing, damaged, unfinished or no store, or was made by another run.
    """

    thread_safe = True

    def __init__(
        self,
        *,
        path: Path,
        autoencoder: Run | None = None,
        scale_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None,
    ) -> None:
        self.path = Path(path)
        self._other_scale = scale_factor
        self._reset()
        with self._lock:
            file = self._opened()
            try:
                self._describe(file)
            except (KeyError, ValueError, TypeError, OSError) as error:
                self.close()
                raise UserError("it is damaged, or no latent store", where=str(self.path), hint=HINT) from error
            except UserError:
                self.close()
                raise
        if autoencoder is not None and autoencoder.sha256 != self.sha256:
            self.close()
            raise UserError(made_by_another(self, autoencoder), where=str(self.path), hint=EMBED_AGAIN)

    def _describe(self, file: h5py.File) -> None:
        if "signature" not in file.attrs or PROGRESS not in file:
            raise UserError("it is no latent store", where=str(self.path), hint=HINT)
        if file.attrs["format"] != FORMAT:
            raise UserError("it is a store of another version", where=str(self.path), hint=HINT)
        latents = file[LATENTS]
        self._items = len(latents)
        if file[PROGRESS][0] != self._items:
            raise UserError("it is not finished", where=str(self.path), hint="call 'stem embed' again: it goes on")
        self.sha256, self.run = str(file.attrs["sha256"]), str(file.attrs["run"])
        self.scale_factor = self._other_scale or float(file.attrs[SCALE])
        spec = FieldSpec("input", latents.shape[1:], latents.dtype.name, scale=self.scale_factor, source=self.sha256)
        self._fields = {"input": spec}
        self._places = {"input": LATENTS}
        self._chunk = {"input": latents.chunks[0]}
        for name, copied in file.get(FIELDS, {}).items():
            self._fields[name] = described(copied.attrs["spec"])
            self._places[name], self._chunk[name] = f"{FIELDS}/{name}", copied.chunks[0]
        self._names = tuple(file["names"].asstr()[()]) if "names" in file else None
        self._parts = file["parts"].asstr()[()].astype(str) if "parts" in file else None
        self._groups = file["groups"][()] if "groups" in file else None
        scan = file.attrs.get("scan_shape")
        self._scan = None if scan is None else tuple(int(n) for n in scan)

    def __len__(self) -> int:
        return self._items

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """``input``, the latents, and what was copied beside them."""
        return self._fields

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Latents as the encoder gave them, and the copied fields."""
        out = {n: np.empty((len(indices), *_whole(f)), f.dtype) for n, f in self._fields.items()}
        self.read_into(indices, out)
        return out

    def read_into(self, indices: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """As ``read``, into arrays that are there."""
        indices = np.asarray(indices)
        if not len(indices):
            return
        with self._lock:
            file = self._opened()
            for name, place in self._places.items():
                _read(file[place], indices, self._chunk[name], out[name])

    def values(self, field: str) -> np.ndarray:
        """A field of all items at once."""
        if field not in self._places:
            return super().values(field)  # which says so
        with self._lock:
            values: np.ndarray = self._opened()[self._places[field]][()].astype(self._fields[field].dtype)
        return values

    def blocks(self) -> Sequence[np.ndarray]:
        """The chunks of the latents."""
        edges = np.arange(self._chunk["input"], self._items, self._chunk["input"])
        return np.split(np.arange(self._items), edges)

    @property
    def scan_shape(self) -> tuple[int, ...] | None:
        """That of the data that were encoded."""
        return self._scan

    @property
    def groups(self) -> np.ndarray | None:
        """Those of the data that were encoded."""
        return self._groups

    @property
    def item_names(self) -> Sequence[str] | None:
        """Those of the data that were encoded."""
        return self._names

    @property
    def parts(self) -> np.ndarray | None:
        """What each item was for when the encoder was trained; of other data, what these say."""
        return self._parts

    @property
    def files(self) -> Sequence[Path]:
        """The store."""
        return (self.path,)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._file: h5py.File | None = None
        self._process = os.getpid()

    def _opened(self) -> h5py.File:
        """The open file; a process that was forked opens it anew."""
        if self._process != os.getpid():
            self._file, self._process = None, os.getpid()
        if self._file is None:
            self._file = _open(self.path)
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_lock", "_file", "_process")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset()


def made_by_another(store: Latents, run: Run) -> str:
    """Says which two runs are not one."""
    return f"the latents were made by {store.run} (SHA-256 {store.sha256[:12]}), not by {run.given} ({run.sha256[:12]})"


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise UserError(what, where=str(path), hint=HINT)
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise UserError("it cannot be read as HDF5", where=str(path), hint=HINT) from error


def _read(stored: h5py.Dataset, indices: np.ndarray, chunk: int, out: np.ndarray) -> None:
    """Items in any order; what lies in one chunk is read at once."""
    if len(indices) == indices[-1] - indices[0] + 1 and (np.diff(indices) == 1).all():
        stored.read_direct(out, np.s_[int(indices[0]) : int(indices[-1]) + 1])
        return
    order = np.argsort(indices, kind="stable")
    chunks = indices[order] // chunk
    for rows in np.split(order, np.flatnonzero(np.diff(chunks)) + 1):
        wanted = indices[rows]
        first = int(wanted.min())
        out[rows] = stored[first : int(wanted.max()) + 1][wanted - first]


def _whole(spec: FieldSpec) -> tuple[int, ...]:
    return tuple(n for n in spec.shape if n is not None)
