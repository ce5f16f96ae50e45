"""Classes of segmentation masks: by the indices or the colours that stand for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stem_images.items import Item
from stem_images.picture_files import values_of
from stem_images.pictures_numpy import Axes
from stemcore import UserError

Sign = int | str | tuple[int, int, int]
"""What stands for a class in a mask: an index, or a colour as #rrggbb or its three numbers."""
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
NONE = -1
SHOWN = 4


class MaskClasses:
    """The classes of masks.

    Args:
        classes: names, for the indices from 0; or names with the index or colour of each.
        ignore: the index or colour of pixels that belong to no class.

    Raises:
        UserError: if an index or colour is none, two classes have the same, or there are both indices and colours.
    """

    def __init__(self, classes: Sequence[str] | Mapping[str, Sign], ignore: Sign | None = None) -> None:
        signs = dict(classes) if isinstance(classes, Mapping) else {name: k for k, name in enumerate(classes)}
        self.names = tuple(signs)
        if len(signs) < len(classes):
            raise UserError("a class is named twice", where="mask_classes")
        listed = [*signs.values(), *([] if ignore is None else [ignore])]
        self.colours = not isinstance(listed[0], int)
        if any(isinstance(sign, int) == self.colours for sign in listed):
            raise UserError("indices and colours are mixed", where="mask_classes", hint="take one of them for all")
        codes = np.array([_code(sign) for sign in listed], np.int64)
        if len(np.unique(codes)) < len(codes):
            raise UserError("two classes have the same index or colour", where="mask_classes")
        order = np.argsort(codes)
        self._codes = codes[order]
        self._of = np.where(order < len(signs), order, NONE)

    def labels(self, path: Path, axes: Axes) -> np.ndarray:
        """The class of each pixel of a mask (height, width), int64; -1 where it belongs to none.

        Raises:
            UserError: if it cannot be read, is no mask, or has an index or a colour that stands for no class.
        """
        pixels = values_of(path, axes, indices=not self.colours)
        codes = _colours(pixels) if self.colours else _indices(pixels)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        strange = self._codes[place] != codes
        if strange.any():
            raise UserError(*self._strange(codes[strange]), hint="name it in mask_classes, or set mask_ignore to it")
        return np.asarray(self._of[place])

    def __repr__(self) -> str:
        return f"MaskClasses({self.names}, {self._codes.tolist()}, {self._of.tolist()})"

    def _strange(self, codes: np.ndarray) -> list[str]:
        found, counts = np.unique(codes, return_counts=True)
        what = "colour" if self.colours else "index"
        known = ", ".join(map(self._shown, self._codes[:SHOWN]))
        more = ", ..." if len(self._codes) > SHOWN else ""
        listed = ", ".join(
            f"{self._shown(code)} ({count:,} pixels)" for code, count in zip(found[:SHOWN], counts[:SHOWN], strict=True)
        )
        rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return [f"its {what} {listed}{rest} stands for no class; known are {known}{more}"]

    def _shown(self, code: int) -> str:
        return f"#{code:06x}" if self.colours else str(code)


def masks_of(
    items: Sequence[Item], classes: Sequence[str] | Mapping[str, Sign] | None, ignore: Sign | None
) -> MaskClasses | None:
    """The classes of the masks, or ``None`` where no item has one.

    Raises:
        UserError: as ``MaskClasses`` does, or if there are masks and no classes are named.
    """
    first = next((item for item in items if item.mask is not None), None)
    if first is None:
        return None
    if not classes:
        hint = (
            "such as [background, object], {background: 0, object: 255} or {background: '#000000', object: '#ff0000'}"
        )
        said = "there are masks, and mask_classes does not name their classes"
        raise UserError(said, where=first.where, hint=f"{hint}; mask: null leaves masks alone")
    return MaskClasses(classes, ignore)


def rgb_of(colour: str | Sequence[int], where: str) -> tuple[int, int, int]:
    """A colour as its three numbers.

    Raises:
        UserError: if it is none.
    """
    if isinstance(colour, str) and _HEX.fullmatch(colour):
        return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    if not isinstance(colour, str) and len(colour) == 3 and all(0 <= part <= 255 for part in colour):
        return (colour[0], colour[1], colour[2])
    raise UserError(f"{colour!r} is no colour", where=where, hint="right are '#rrggbb' and three numbers from 0 to 255")


def _code(sign: Sign) -> int:
    if isinstance(sign, int):
        return sign
    red, green, blue = rgb_of(sign, "mask_classes")
    return red << 16 | green << 8 | blue


def _colours(pixels: np.ndarray) -> np.ndarray:
    """Colours as numbers; a grey is the colour of three such parts, and how opaque a pixel is does not matter."""
    if pixels.dtype != np.uint8 or len(pixels) > 4:
        raise UserError(f"has {len(pixels)} channels of {pixels.dtype}, and colours are three of uint8")
    parts = pixels[[0, 1, 2] if len(pixels) > 2 else [0, 0, 0]].astype(np.int64)
    return np.asarray(parts[0] << 16 | parts[1] << 8 | parts[2])


def _indices(pixels: np.ndarray) -> np.ndarray:
    """Indices, of greys that are stored as colours, too."""
    if pixels.dtype.kind not in "iu":
        raise UserError(f"holds {pixels.dtype}, and the indices of a mask are whole numbers")
    if len(pixels) > 1 and (len(pixels) not in (3, 4) or (pixels[1:3] != pixels[:1]).any()):
        hint = "give the colour of each class in mask_classes"
        raise UserError(f"has {len(pixels)} channels, not indices", hint=hint)
    return np.asarray(pixels[0], np.int64)
