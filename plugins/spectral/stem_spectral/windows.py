"""Reading parts of cubes, and what accompanies them, to where they belong."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from stem_spectral.cube import Cube
from stem_spectral.cube_formats import check_file, unreadable
from stem_spectral.open_files import OpenFiles
from stemcore import UserError

Window = tuple[slice, slice]
SPARSE = 3
"""Bands that are further apart than this on average are read one by one, not with all that lies between."""
IMAGES = 4
"""Pictures that are kept: the tiles of one are read after each other."""


class Windows:
    """Reads windows of cubes.

    Args:
        files: opens them.
        bands: the numbers of the bands that are taken (n,).
    """

    def __init__(self, files: OpenFiles, bands: np.ndarray) -> None:
        self._files, self._bands = files, bands

    def cube(self, cube: Cube, window: Window, out: np.ndarray) -> None:
        """Stored values of the bands, to ``out`` (n, height, width) of any type."""
        self._array(cube, cube.name, cube.axes, window, out)

    def mask(self, cube: Cube, window: Window, out: np.ndarray) -> None:
        """What the mask array leaves out becomes false in ``out`` (n, height, width)."""
        assert cube.mask is not None
        name, dimensions = cube.mask
        if dimensions == 3:
            counts = np.empty(out.shape, np.uint8)
            self._array(cube, name.strip("/"), cube.axes, window, counts, truth=True)
            out &= counts != 0
        else:
            out &= self._plane(cube, name, window) != 0

    def labels(self, cube: Cube, window: Window) -> np.ndarray:
        """Labels as stored (height, width)."""
        assert cube.label_map is not None
        return self._plane(cube, cube.label_map, window)

    def _array(self, cube: Cube, name: str, axes: str, window: Window, out: np.ndarray, *, truth: bool = False) -> None:
        for place, bands in _runs(self._bands):
            parts = {"b": bands, "h": window[0], "w": window[1]}
            index = tuple(parts[axis] for axis in axes)
            found = self._files.read(cube.path, name, index).transpose([axes.index(axis) for axis in "bhw"])
            picked = self._bands[place] - bands.start
            step = bands.step or 1
            if len(picked) != len(found) or (picked != step * np.arange(len(found))).any():
                found = found[picked // step]
            out[place] = found != 0 if truth else found

    def _plane(self, cube: Cube, name: str, window: Window) -> np.ndarray:
        axes = cube.axes.replace("b", "")
        index = tuple(window["hw".index(axis)] for axis in axes)
        found = self._files.read(cube.path, name.strip("/"), index)
        return found if axes == "hw" else found.T


def _runs(bands: np.ndarray) -> list[tuple[slice, slice]]:
    """What to read: places in ``bands`` and the stored bands that are read for them, at once where they are evenly
    spaced or close together."""
    steps = np.diff(bands)
    low, high = int(bands.min()), int(bands.max()) + 1
    everything = slice(0, len(bands))
    if len(bands) > 1 and steps[0] > 0 and (steps == steps[0]).all():
        return [(everything, slice(low, high, int(steps[0])))]
    if high - low <= SPARSE * len(bands):
        return [(everything, slice(low, high))]
    return [(slice(k, k + 1), slice(int(band), int(band) + 1)) for k, band in enumerate(bands)]


class Pictures:
    """Pictures that accompany cubes, decoded, the last ones kept."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Path, np.ndarray] = OrderedDict()

    def read(self, path: Path) -> np.ndarray:
        """Red, green and blue (3, height, width) uint8.

        Raises:
            UserError: if it is no picture, or damaged.
        """
        with self._lock:
            if path not in self._kept:
                self._kept[path] = _decoded(path)
                while len(self._kept) > IMAGES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(path)
            return self._kept[path]

    def close(self) -> None:
        """Forgets them."""
        with self._lock:
            self._kept.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, without decoding it.

    Raises:
        UserError: if it is missing or no picture.
    """
    from PIL import Image

    check_file(path)
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Exception as error:
        raise unreadable(path, error) from error


def _decoded(path: Path) -> np.ndarray:
    from PIL import Image

    check_file(path)
    try:
        with Image.open(path) as image:
            return np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
    except UserError:
        raise
    except Exception as error:
        raise unreadable(path, error) from error
