"""Pictures in files of every known format."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from stem_images import pictures_numpy, pictures_pillow, pictures_tiff
from stem_images.image_libraries import imported
from stem_images.picture import Header
from stem_images.pictures_numpy import Axes
from stemcore import UserError

PILLOW, TIFF, NUMPY = (".png", ".jpg", ".jpeg"), (".tif", ".tiff"), (".npy",)
SUFFIXES = (*PILLOW, *TIFF, *NUMPY)
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
"""Failures of storage after which the core tries again."""

T = TypeVar("T")


def import_libraries(paths: Iterable[Path]) -> None:
    """Imports what reads files of these endings, once and before several threads do.

    Raises:
        UserError: if a library is not installed.
    """
    suffixes = {path.suffix.lower() for path in paths}
    if suffixes & {*PILLOW}:
        imported("PIL.Image", "reading PNG and JPEG").preinit()
    if suffixes & {*TIFF}:
        imported("tifffile", "reading TIFF")


def header_of(path: Path, axes: Axes = "auto") -> Header:
    """What the head of a file says.

    Args:
        path: PNG, JPEG, TIFF or NPY, by its ending.
        axes: of NPY files.

    Raises:
        UserError: if there is no such file, or no picture in it; which file, the caller says.
    """
    suffix = _suffix(path)
    if suffix in PILLOW:
        return _read(lambda: pictures_pillow.header(path))
    if suffix in TIFF:
        return _read(lambda: pictures_tiff.header(path))
    return _read(lambda: pictures_numpy.header(path, axes))


def values_of(path: Path, axes: Axes = "auto", *, indices: bool = False) -> np.ndarray:
    """The pixels of a file (channels, height, width), upright, in their stored type.

    Args:
        path: PNG, JPEG, TIFF or NPY, by its ending.
        axes: of NPY files.
        indices: the indices of a palette in place of its colours, and 0 and 1 of a bilevel picture, not 0 and 255.

    Raises:
        UserError: if the file cannot be read to its end.
        OSError: if storage failed in a way that may pass.
    """
    suffix = _suffix(path)
    if suffix in PILLOW:
        return _read(lambda: pictures_pillow.values(path, indices=indices))
    if suffix in TIFF:
        return _read(lambda: pictures_tiff.values(path, indices=indices))
    return _read(lambda: pictures_numpy.values(path, axes, indices=indices))


def array_of(path: Path, *, mapped: bool = False) -> np.ndarray:
    """The array of an NPY file, of any shape.

    Raises:
        UserError: if there is no such file, or no array of numbers in it.
        OSError: if storage failed in a way that may pass.
    """
    array = _read(lambda: np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise UserError("holds no array of numbers", hint="save it by numpy.save")
    return array


def placed(error: UserError, path: Path, where: str) -> UserError:
    """What is wrong with a file, at the place that names it: the file itself, or a line of a table."""
    return together(
        UserError(p.message if where == str(path) else f"{path}: {p.message}", where=where, hint=p.hint)
        for p in error.problems
    )


def together(faults: Iterable[UserError]) -> UserError:
    """All of them as one error."""
    return UserError(*(problem for fault in faults for problem in fault.problems))


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError("is none of the known formats", hint=f"known: {', '.join(SUFFIXES)}")
    return suffix


def _read(read: Callable[[], T]) -> T:
    try:
        return read()
    except (UserError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UserError("there is no such file") from error
    except Exception as error:  # a decoder that meets damage raises whatever comes of it
        if isinstance(error, OSError) and error.errno in PASSING:
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        hint = "pip install 'stemcore[fast]'" if "imagecodecs" in said else ""
        raise UserError(f"cannot be read: {said}", hint=hint) from error
