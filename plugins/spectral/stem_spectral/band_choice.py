"""Which bands of the cubes are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemcore import UserError

BandIndex = int | tuple[int, int] | tuple[int, int, int]
BandWavelength = float | tuple[float, float]


@dataclass(frozen=True)
class BandChoice:
    """What a recipe says.

    Attributes:
        bands: numbers from 0, or (first, last) or (first, last, step), both ends taken.
        wavelengths: in nm, each the nearest band, or (first, last) for all bands between.
        tolerance: how far in nm the nearest band may be.
    """

    bands: Sequence[BandIndex] | None = None
    wavelengths: Sequence[BandWavelength] | None = None
    tolerance: float = 10.0

    def of(self, count: int, known: np.ndarray | None) -> np.ndarray:
        """The numbers of the bands (n,), in the order asked for.

        Args:
            count: bands that there are.
            known: their wavelengths (count,) in nm.

        Raises:
            UserError: for a band that is not there or asked for twice.
        """
        if self.bands is not None and self.wavelengths is not None:
            raise UserError("'bands' and 'band_wavelengths' are both given", hint="choose bands by one of them")
        if self.bands is None and self.wavelengths is None:
            return np.arange(count)
        chosen = self._by_number(count) if self.bands is not None else self._by_wavelength(known)
        values, times = np.unique(chosen, return_counts=True)
        if (times > 1).any():
            raise UserError(f"band {values[times > 1][0]} is asked for {times.max()} times", hint="take it once")
        return chosen

    def _by_number(self, count: int) -> np.ndarray:
        chosen: list[int] = []
        for entry in self.bands or ():
            if isinstance(entry, int):
                chosen.append(entry)
                continue
            first, last, step = (*entry, 1)[:3]
            if last < first or step < 1:
                raise UserError(f"bands {list(entry)} are none", hint="right is [first, last] or [first, last, step]")
            chosen += range(first, last + 1, step)
        wrong = [band for band in chosen if not 0 <= band < count]
        if wrong or not chosen:
            what = f"there is no band {wrong[0]}" if wrong else "'bands' is empty"
            raise UserError(what, hint=f"bands are counted from 0 to {count - 1}")
        return np.array(chosen)

    def _by_wavelength(self, known: np.ndarray | None) -> np.ndarray:
        if known is None:
            raise UserError("'band_wavelengths' is given, the wavelengths are not known", hint="set wavelengths too")
        chosen: list[int] = []
        for entry in self.wavelengths or ():
            if isinstance(entry, (int, float)):
                near = int(np.abs(known - entry).argmin())
                found = [near] if abs(float(known[near]) - entry) <= self.tolerance else []
                at = f"within {self.tolerance:g} nm of {entry:g} nm"
            else:
                found = np.flatnonzero((known >= entry[0]) & (known <= entry[1])).tolist()
                at = f"between {entry[0]:g} and {entry[1]:g} nm"
            if not found:
                hint = f"bands are at {known.min():.1f} to {known.max():.1f} nm"
                raise UserError(f"there is no band {at}", hint=hint)
            chosen += found
        if not chosen:
            raise UserError("'band_wavelengths' is empty")
        return np.array(chosen)
