"""What a spectrum looks like: the colour of cubes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stemcore import UserError

VISIBLE = ((400.0, 500.0), (500.0, 580.0), (580.0, 700.0))
"""Blue, green and red light in nm: without a band in each of them there is no colour to be computed."""

# Lobes of Wyman, Sloan and Shirley, J. Comput. Graph. Tech. 2(2), 1 (2013), table 1: height, centre, and widths of the
# sides of shorter and of longer wavelengths, in nm.
LOBES = (
    ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
)
# XYZ to linear sRGB, IEC 61966-2-1.
TO_SRGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
)
GREY = 0.5
LEAST = 0.1
"""Of the absolute weights of a primary colour, what has to be left of their sum."""


class Mixture(NamedTuple):
    """How bands make a colour.

    Attributes:
        weights: of each band in red, green and blue, (3, bands).
        source: the bands or wavelengths in words.
        true: whether the colours are those that an eye sees, so that one white serves all three.
    """

    weights: np.ndarray
    source: str
    true: bool


def matching_functions(wavelengths: np.ndarray) -> np.ndarray:
    """The CIE 1931 colour matching functions of the 2 degree observer, (3, n), at wavelengths (n,) in nm, by the sums
    of lobes that Wyman, Sloan and Shirley fitted to them (2013)."""
    found = np.zeros((3, len(wavelengths)))
    for row, lobes in zip(found, LOBES, strict=True):
        for height, centre, shorter, longer in lobes:
            width = np.where(wavelengths < centre, shorter, longer)
            row += height * np.exp(-0.5 * ((wavelengths - centre) / width) ** 2)
    return found


def mixture(number: int, wavelengths: np.ndarray | None, bands: Sequence[int] | None, usable: np.ndarray) -> Mixture:
    """How cubes of ``number`` bands are coloured.

    By ``bands`` (red, green, blue) where they are given; else by the matching functions, where there are bands
    throughout the visible; else by three bands spread evenly.

    Args:
        number: of bands.
        wavelengths: of each band in nm, (bands,), if known.
        bands: three bands (from 0), or ``None``.
        usable: which bands hold good values, (bands,).

    Raises:
        UserError: if the data have no such bands.
    """
    if bands is not None:
        beyond = [str(k) for k in bands if k >= number]
        if beyond:
            raise UserError(f"the data have no band {', '.join(beyond)}", hint=f"bands are 0 to {number - 1}")
        return _of_bands(number, bands, "bands")
    places = np.flatnonzero(usable) if usable.any() else np.arange(number)
    if wavelengths is not None and sees_colour(wavelengths[places]):
        weights = np.zeros((3, number))
        weights[:, places] = by_eye(wavelengths[places])
        return Mixture(weights, "CIE 1931", True)
    if wavelengths is not None:
        places = places[np.argsort(wavelengths[places], kind="stable")]
    chosen = [int(places[round(share * (len(places) - 1))]) for share in (5 / 6, 1 / 2, 1 / 6)]
    return _of_bands(number, chosen, "bands")


def sees_colour(wavelengths: np.ndarray) -> bool:
    """Whether bands at these wavelengths cover the visible, closely enough for each primary colour to come out of their
    sum: its weights have both signs, and of few bands the negative ones may prevail."""
    if not all(((wavelengths >= shortest) & (wavelengths < longest)).any() for shortest, longest in VISIBLE):
        return False
    weights = _unscaled(wavelengths)
    return bool((weights.sum(1) > LEAST * np.abs(weights).sum(1)).all())


def by_eye(wavelengths: np.ndarray) -> np.ndarray:
    """The weight of each band in linear red, green and blue (3, n), each band standing for the part of the spectrum
    that is nearest to it. Their sums are 1, so that a surface which reflects all wavelengths alike is neutral, whatever
    part of the visible the bands leave out."""
    weights = _unscaled(wavelengths)
    scaled: np.ndarray = weights / weights.sum(1, keepdims=True)
    return scaled


def _unscaled(wavelengths: np.ndarray) -> np.ndarray:
    order = np.argsort(wavelengths, kind="stable")
    shares = np.empty(len(wavelengths))
    shares[order] = np.gradient(wavelengths[order])
    found: np.ndarray = TO_SRGB @ (matching_functions(wavelengths) * shares)
    return found


def linear(cube: np.ndarray, made: Mixture) -> np.ndarray:
    """Linear colours (..., height, width, 3) of cubes (..., bands, height, width); NaN where a band with a weight is
    not finite."""
    used = np.flatnonzero(made.weights.any(0))
    values = np.asarray(cube[..., used, :, :], dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    colours: np.ndarray = np.einsum("cb,...bhw->...hwc", made.weights[:, used], values)
    return colours


def scale(colours: np.ndarray, true: bool) -> tuple[np.ndarray, np.ndarray]:
    """Black and white (3,) of linear colours, to be shared by whatever is compared with them: for true ones 0 and the
    99th percentile of the brightest component; for false ones the 1st and 99th percentile of each."""
    pixels = colours.reshape(-1, 3)
    pixels = pixels[np.isfinite(pixels).all(1)]
    if not len(pixels):
        return np.zeros(3), np.ones(3)
    if true:
        low, high = np.zeros(3), np.full(3, np.percentile(pixels.max(1), 99))
    else:
        low, high = np.percentile(pixels, [1, 99], axis=0)
    return low, np.where(high > low, high, low + 1)


def displayed(colours: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Colours of a screen, 0 to 1, by the transfer curve of sRGB (IEC 61966-2-1); grey where there are none."""
    shown = np.clip((colours - low) / (high - low), 0, 1)
    shown = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    encoded: np.ndarray = np.where(np.isfinite(shown).all(-1, keepdims=True), shown, GREY)
    return encoded


def _of_bands(number: int, chosen: Sequence[int], what: str) -> Mixture:
    weights = np.zeros((3, number))
    weights[np.arange(3), list(chosen)] = 1.0
    return Mixture(weights, f"{what} {', '.join(map(str, chosen))}", False)
