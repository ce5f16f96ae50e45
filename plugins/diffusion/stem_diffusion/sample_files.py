"""The folder that ``stem sample`` leaves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stem_diffusion.given_conditions import repeated
from stem_diffusion.pictures import ACROSS, MOST, as_pixels, drawing, grid, pixel_range, stacked, told_rows, write_png
from stemcore import FieldSpec, UserError


def refuse_occupied(folder: Path) -> None:
    """Raises ``UserError`` where there is something already, or for a folder that cannot be made anew."""
    if not folder.name:
        raise UserError("it cannot be replaced by a new folder", where=str(folder), hint="name another one by --out")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("there is something already", where=str(folder), hint="name another folder by --out")


@contextmanager
def sample_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to that becomes ``folder`` when all is there, and is gone if not.

    Raises:
        UserError: if ``folder`` holds something, or cannot be made.
    """
    refuse_occupied(folder)
    part = folder.with_name(f".{os.getpid()}.{folder.name}")
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"it cannot be made: {error.strerror}", where=str(folder)) from error
    try:
        yield part
        if folder.is_dir():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


class SampleFiles:
    """Samples as they are drawn, batch by batch: arrays, pictures, and what they were drawn with.

    Args:
        folder: to write to.
        field: what the samples are, as stored: its unit and type say what is black and white.
        total: how many samples there will be.
    """

    def __init__(self, folder: Path, field: FieldSpec, total: int) -> None:
        self.folder, self.field, self.total = folder, field, total
        self._arrays: dict[str, np.ndarray] = {}
        self._range: tuple[float, float] | None = None

    def add(self, first: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes in items ``first`` and on.

        Args:
            first: number of the first item.
            arrays: ``samples`` (n, *shape) in physical units, and whatever else is known of them, each (n, ...).
        """
        for name, values in arrays.items():
            if name not in self._arrays:
                path, shape = self.folder / f"{name}.npy", (self.total, *values.shape[1:])
                self._arrays[name] = np.lib.format.open_memmap(path, "w+", values.dtype, shape)
            self._arrays[name][first : first + len(values)] = values
        if arrays["samples"].ndim == 4:
            self._pictures(first, arrays["samples"])

    def told(self, conditions: Mapping[str, np.ndarray]) -> None:
        """Writes ``conditions.png``, where some of the conditions are images: in columns what each of the first items
        was told, the item, and the classes that the decoder sees in it.

        Args:
            conditions: by name, as stored, each (k, *shape); items take them in turn.
        """
        some = min(self.total, ACROSS)
        rows = told_rows(repeated(conditions, 0, some))
        if self._range is None or not rows:
            return
        rows.append(as_pixels(np.asarray(self._arrays["samples"][:some]), *self._range))
        if "segmentation" in self._arrays:
            rows += told_rows({"label_map": np.asarray(self._arrays["segmentation"][:some, None])})
        write_png(self.folder / "conditions.png", stacked(rows))

    def finish(self, about: Mapping[str, Any]) -> None:
        """Writes the grid and ``samples.json``."""
        samples = self._arrays["samples"]
        if self._range is not None:
            write_png(self.folder / "grid.png", grid(as_pixels(np.asarray(samples[:MOST]), *self._range)))
        elif samples.ndim == 2:
            drawing(np.asarray(samples), self.field).savefig(self.folder / "grid.png", dpi=150)
        for values in self._arrays.values():
            values.flush()  # type: ignore[attr-defined]
        files = {name: list(values.shape) for name, values in self._arrays.items()}
        pixels = {"pixel_range": list(self._range)} if self._range is not None else {}
        text = json.dumps({**about, "unit": self.field.unit, "arrays": files, **pixels}, indent=2)
        (self.folder / "samples.json").write_text(text + "\n", encoding="utf-8")

    def _pictures(self, first: int, images: np.ndarray) -> None:
        (self.folder / "png").mkdir(exist_ok=True)
        self._range = self._range or pixel_range(self.field, images)
        for k, picture in enumerate(as_pixels(images, *self._range), start=first):
            write_png(self.folder / "png" / f"{k:06d}.png", picture)
