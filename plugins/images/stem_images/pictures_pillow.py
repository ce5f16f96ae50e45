"""Pictures in PNG and JPEG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stem_images.image_libraries import imported
from stem_images.picture import TURNED, Header, upright
from stemcore import UserError, optional_module

PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""By the colour type in the header; 3 is a palette."""
CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I": 1, "F": 1, "LA": 2, "RGB": 3, "RGBA": 4}
ORIENTATION = 0x0112
TELLING = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
"""What may tell the orientation of a PNG, by the names that Pillow gives."""
TEXTS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
"""Chunks of a PNG that may hold these."""


def header(path: Path) -> Header:
    """What the head of a file says; its pixels are not decoded."""
    with path.open("rb") as file:
        deep = _deep_channels(file)
        file.seek(0)
        image = _opened(file)
        mode = _mode(image)
        width, height = image.size
        if _orientation(image, file) in TURNED:
            width, height = height, width
    if deep:
        return Header((height, width), deep, "uint16", alpha=deep in (2, 4))
    return Header((height, width), CHANNELS[mode], _dtype(mode), alpha=mode in ("LA", "RGBA"))


def values(path: Path, *, indices: bool = False) -> np.ndarray:
    """The pixels (channels, height, width), upright by the orientation in EXIF.

    Args:
        path: of the file.
        indices: a palette's indices in place of its colours, and 0 and 1 of a bilevel picture in place of 0 and 255.
    """
    content = path.read_bytes()
    image = _opened(io.BytesIO(content))
    if _deep_channels(io.BytesIO(content)):
        return upright(_decoded_deep(content), _orientation(image, io.BytesIO(content)))
    if not (indices and image.mode in ("P", "1")):
        mode = _mode(image)
        image = image if image.mode in (mode, "1") else image.convert(mode)
    pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(1 if indices else 255)
    elif image.mode.startswith("I"):
        pixels = pixels.astype(_dtype(image.mode))
    pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return upright(pixels, _orientation(image, io.BytesIO(content)))


def _orientation(image: Any, file: BinaryIO) -> int:
    """Which way up a picture is; a PNG is not decoded for it, unless it may be said behind the pixels."""
    if image.format == "PNG":
        behind = _chunks_behind_pixels(file)
        if not TELLING & image.info.keys() and not any(name in TEXTS for name in behind):
            return 1
    return int(image.getexif().get(ORIENTATION, 1))


def _chunks_behind_pixels(file: BinaryIO) -> list[bytes]:
    """The names of the chunks behind the pixels of a PNG.

    Raises:
        UserError: if the file ends before its last chunk does.
    """
    end = file.seek(0, io.SEEK_END)
    place, names = len(PNG), list[bytes]()
    while names[-1:] != [b"IEND"]:
        file.seek(place)
        head = file.read(8)
        place += 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or place > end:
            raise UserError("is cut short")
        names.append(head[4:])
    return names[names.index(b"IDAT") :] if b"IDAT" in names else []


def _opened(file: BinaryIO) -> Any:
    return imported("PIL.Image", "reading PNG and JPEG").open(file)


def _mode(image: Any) -> str:
    """The mode that a picture is taken in: as it is, a palette's colours, RGB for other colour spaces."""
    mode = str(image.mode)
    if mode in ("P", "PA"):
        return "RGBA" if mode == "PA" or "transparency" in image.info else "RGB"
    return mode if mode in CHANNELS else "RGB"


def _dtype(mode: str) -> str:
    # Pillow before 11.3 calls greys of 16 bits in PNG "I", and neither PNG nor JPEG has wider ones.
    return {"F": "float32", "I": "uint16"}.get(mode, "uint16" if mode.startswith("I;16") else "uint8")


def _deep_channels(file: BinaryIO) -> int:
    """The channels of a PNG with 16 bits in each of several, of which Pillow keeps 8; else 0."""
    head = file.read(26)
    several = head[:8] == PNG and head[24:25] == b"\x10" and head[25] in PNG_CHANNELS and head[25] != 0
    return PNG_CHANNELS[head[25]] if several else 0


def _decoded_deep(content: bytes) -> np.ndarray:
    purpose = "reading PNG with several channels of 16 bits"
    imagecodecs = optional_module("imagecodecs", purpose, install="stemcore[fast]")
    pixels = np.asarray(imagecodecs.png_decode(content))
    if pixels.ndim != 3 or pixels.dtype != np.uint16:
        raise UserError(f"was decoded as {pixels.dtype} {pixels.shape}", hint="save it as TIFF")
    return np.moveaxis(pixels, -1, 0)
