"""A cube of a data set: where it is stored, how its axes lie, and what accompanies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from stem_spectral.cube_file import CubeFile, Told, nanometres
from stem_spectral.cube_formats import unreadable
from stem_spectral.open_files import OpenFiles
from stemcore import UserError

Axes = Literal["auto", "bhw", "bwh", "hbw", "hwb", "wbh", "whb"]
DATASET = "Cube/Images"
ORDERS = tuple(order for order in get_args(Axes) if order != "auto")


@dataclass(frozen=True)
class Names:
    """What a recipe says of the arrays within each file.

    Attributes:
        dataset: the cube.
        axes: their order.
        mask: what counts.
        label_map: a label for each place.
        wavelengths: name of an array, or the values in nm: of each band, or of the first and the last.
    """

    dataset: str = DATASET
    axes: Axes = "auto"
    mask: str | None = None
    label_map: str | None = None
    wavelengths: str | Sequence[float] | None = None


@dataclass(frozen=True)
class Cube:
    """A cube in a file.

    Attributes:
        path: the file.
        name: of its array within the file.
        axes: their order as stored.
        shape: (bands, height, width).
        dtype: as stored.
        told: what the file says of it.
        wavelengths: (bands,) in nm, float32, where they are known.
        mask: name of the array that says which values count, and its number of axes.
        label_map: name of the array with labels.
        classes: what the file calls their values.
        files: the file and those that belong to it.
    """

    path: Path
    name: str
    axes: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    told: Told
    wavelengths: np.ndarray | None
    mask: tuple[str, int] | None
    label_map: str | None
    classes: tuple[str, ...]
    files: tuple[Path, ...]


def described(files: OpenFiles, path: Path, names: Names) -> Cube:
    """The cube in a file.

    Raises:
        UserError: with all that is wrong with it.
        OSError: where storage failed in a way that may pass.
    """
    try:
        return _described(files, path, names)
    except (OSError, ValueError, LookupError, RuntimeError) as error:  # of a library, about a damaged file
        raise unreadable(path, error) from error


def _described(files: OpenFiles, path: Path, names: Names) -> Cube:
    file = files.file(path)
    shapes = file.arrays()
    name = _cube_of(file, names.dataset)
    stored, told = shapes[name], file.told(name)
    faults: list[UserError] = []
    waves = told.wavelengths
    try:
        waves = _wavelengths(file, names.wavelengths, waves)
    except UserError as error:
        faults.append(error)
    axes = names.axes if names.axes != "auto" else _axes(file, told, stored, waves)
    bands, height, width = (stored[axes.index(axis)] for axis in "bhw")
    dtype = file.dtype(name)
    if dtype.kind not in "biuf" or 0 in stored:
        faults.append(UserError(f"its cube is of type {dtype}, shape {stored}", where=str(path)))
    if waves is not None and len(waves) == 2 and not isinstance(names.wavelengths, str) and bands > 2:
        waves = np.linspace(waves[0], waves[1], bands, dtype=np.float32)
    if waves is not None and len(waves) != bands:
        hint = f"set axes to one of {', '.join(ORDERS)}, so that b is at its bands, or correct the wavelengths"
        message = f"its cube of shape {stored} has {bands} bands by its axes {axes}, there are {len(waves)} wavelengths"
        faults.append(UserError(message, where=str(path), hint=hint))
    plane = tuple(stored[axes.index(axis)] for axis in axes if axis != "b")
    for role, wanted, right in (("mask", names.mask, (plane, stored)), ("label_map", names.label_map, (plane,))):
        try:
            _check_companion(file, role, wanted, right)
        except UserError as error:
            faults.append(error)
    if faults:
        raise together(faults)
    return Cube(
        path,
        name,
        axes,
        (bands, height, width),
        np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("="),
        told,
        waves,
        (names.mask, len(shapes[_plain(names.mask)])) if names.mask else None,
        names.label_map,
        file.classes(_plain(names.label_map)) if names.label_map else (),
        (path, *file.beside),
    )


def together(faults: Sequence[UserError]) -> UserError:
    """All of them as one error."""
    return UserError(*(problem for fault in faults for problem in fault.problems))


def _plain(name: str) -> str:
    return name.strip("/")


def _cube_of(file: CubeFile, wanted: str) -> str:
    """The name of the cube: what the recipe says; where it says nothing, the only array with three axes."""
    shapes = file.arrays()
    if not file.named:
        if len(shapes[""]) == 3:
            return ""
        raise UserError(f"its array has the shape {shapes['']}", where=str(file.path), hint="a cube has three axes")
    name = _plain(wanted)
    if name in shapes and len(shapes[name]) == 3:
        return name
    three = [other for other, shape in shapes.items() if len(shape) == 3]
    if wanted == DATASET and len(three) == 1:
        return three[0]
    listed = ", ".join(f"{other} {shapes[other]}" for other in three)
    what = f"'{wanted}' has the shape {shapes[name]}" if name in shapes else f"has no array '{wanted}'"
    hint = f"set dataset to one of its arrays with three axes: {listed}" if three else "it has none with three axes"
    raise UserError(what, where=str(file.path), hint=hint)


def _wavelengths(file: CubeFile, asked: str | Sequence[float] | None, told: np.ndarray | None) -> np.ndarray | None:
    if asked is None:
        return told
    if not isinstance(asked, str):
        return np.asarray(asked, np.float32)
    shapes, name = file.arrays(), _plain(asked)
    if name not in shapes or max(shapes[name]) != int(np.prod(shapes[name])):
        vectors = [other for other, shape in shapes.items() if other and max(shape) == int(np.prod(shape))]
        hint = f"those with one axis are {', '.join(vectors)}" if vectors else "it has none: list them in nm"
        raise UserError(f"has no wavelengths '{asked}'", where=str(file.path), hint=hint)
    unit = getattr(file, "unit_of", lambda _: None)(name)
    return nanometres(np.asarray(file.array(name)[()]).reshape(-1), unit)


def _axes(file: CubeFile, told: Told, stored: tuple[int, ...], waves: np.ndarray | None) -> str:
    """The order that the format knows; else the bands are the one axis as long as the wavelengths; else what is usual
    for the format."""
    if told.axes:
        return told.axes
    usual = file.axes
    if waves is not None and stored.count(len(waves)) == 1 and stored[usual.index("b")] != len(waves):
        rest = iter("hw")
        return "".join("b" if length == len(waves) else next(rest) for length in stored)
    return usual


def _check_companion(file: CubeFile, role: str, wanted: str | None, right: Sequence[tuple[int, ...]]) -> None:
    if wanted is None:
        return
    shapes, name = file.arrays(), _plain(wanted)
    where = str(file.path)
    if not file.named:
        raise UserError(f"{role}: {file.kind} files hold one array", where=where, hint="keep both in HDF5 or MATLAB")
    expected = " or ".join(map(str, right))
    if name not in shapes:
        fitting = [other for other, shape in shapes.items() if shape in right]
        raise UserError(f"has no {role} '{wanted}'", where=where, hint=f"of shape {expected}: {', '.join(fitting)}")
    if shapes[name] not in right:
        raise UserError(f"{role} '{wanted}' has the shape {shapes[name]}", where=where, hint=f"right is {expected}")
    # MATLAB holds whole numbers as doubles unless told otherwise.
    if file.dtype(name).kind not in "biu" and file.kind != "MATLAB":
        raise UserError(f"{role} '{wanted}' is {file.dtype(name)}", where=where, hint="it must hold whole numbers")
