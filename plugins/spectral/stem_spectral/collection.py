"""The cubes of a data set, checked to go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from stem_spectral.band_choice import BandChoice
from stem_spectral.cube import Cube, Names, described, together
from stem_spectral.manifest import Row
from stem_spectral.open_files import OpenFiles
from stem_spectral.windows import picture_size
from stemcore import UserError

WAVELENGTH_TOLERANCE = 0.5
"""In nm: cubes whose wavelengths differ by more have other bands."""
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A cube with what the table says of it, and the size of its picture."""

    row: Row
    cube: Cube
    picture: tuple[int, int] | None = None


@dataclass(frozen=True)
class Bands:
    """What is taken of all cubes.

    Attributes:
        numbers: of the bands as stored (n,).
        wavelengths: theirs (n,), where they are known.
    """

    numbers: np.ndarray
    wavelengths: np.ndarray | None


def entries_of(files: OpenFiles, rows: Sequence[Row], names: Names) -> list[Entry]:
    """Every cube, looked at.

    Raises:
        UserError: with all that is wrong with any of them.
    """
    found, faults = [], []
    with_pictures = any(row.rgb for row in rows)
    for row in rows:
        mine: list[UserError] = []
        cube = _tried(row, lambda row=row: described(files, row.path, names), mine)  # type: ignore[misc]
        picture = None
        if row.rgb is not None:
            picture = _tried(row, lambda path=row.rgb: picture_size(path), mine)  # type: ignore[misc]
        elif with_pictures:
            mine.append(UserError("has no RGB picture, others have", where=row.where))
        faults += mine
        if cube is not None and not mine:
            found.append(Entry(row, cube, picture))
    if faults:
        raise together(faults)
    return found


def _tried(row: Row, look: Callable[[], T], faults: list[UserError]) -> T | None:
    """What ``look`` returns, or ``None`` and a fault that names the line of the table."""
    try:
        return look()
    except UserError as error:
        # A single file is its own place already.
        faults.append(error if row.where == str(row.path) else _placed(row.where, error))
        return None


def _placed(where: str, error: UserError) -> UserError:
    return together(
        [
            UserError(f"{p.where}: {p.message}" if p.where else p.message, where=where, hint=p.hint)
            for p in error.problems
        ]
    )


def bands_of(entries: Sequence[Entry], choice: BandChoice, bad: str) -> Bands:
    """The bands that are taken of all cubes; with ``bad`` ``drop`` without those that any file marks as bad.

    Raises:
        UserError: if cubes have other bands than most, or none are left.
    """
    check_alike(entries, "bands", lambda e: e.cube.shape[0])
    known = [entry.cube.wavelengths for entry in entries]
    if any((w is None) != (known[0] is None) for w in known):
        check_alike(entries, "known wavelengths", lambda e: e.cube.wavelengths is not None)
    first = known[0]
    if first is not None:
        apart = [float(np.abs(w - first).max()) for w in known if w is not None]
        odd = [e for e, d in zip(entries, apart, strict=True) if d > WAVELENGTH_TOLERANCE]
        if odd:
            message = f"its wavelengths differ by up to {max(apart):.1f} nm from those of the first cube"
            raise together([UserError(message, where=e.row.where) for e in odd])
    numbers = choice.of(entries[0].cube.shape[0], first)
    if bad == "drop":
        good = np.logical_and.reduce([e.cube.told.good for e in entries if e.cube.told.good is not None] or [True])
        numbers = numbers[np.broadcast_to(good, entries[0].cube.shape[:1])[numbers]]
        if not len(numbers):
            raise UserError("all bands that are asked for are marked as bad", hint="set bad_bands to keep")
    return Bands(numbers, None if first is None else first[numbers])


def check_alike(entries: Sequence[Entry], what: str, value: Callable[[Entry], object], hint: str = "") -> None:
    """Raises ``UserError`` that names the cubes which differ from most."""
    values = [value(entry) for entry in entries]
    usual = Counter(values).most_common(1)[0][0]
    odd = [(entry, v) for entry, v in zip(entries, values, strict=True) if v != usual]
    if odd:
        raise together([UserError(f"{what}: {v}, others have {usual}", where=e.row.where, hint=hint) for e, v in odd])


def files_of(path: Path, entries: Sequence[Entry]) -> tuple[Path, ...]:
    """Every file behind the data set, once, in order."""
    listed = [path]
    for entry in entries:
        listed += [*entry.cube.files, *([entry.row.rgb] if entry.row.rgb else [])]
    return tuple(dict.fromkeys(listed))
