from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from stem_images.picture_files import header_of, values_of

from stemcore import UserError

RNG = np.random.default_rng(0)
SIZE = (7, 5)


def noise(channels: int, dtype: str = "uint8") -> np.ndarray:
    """Values (channels, height, width) of the whole range."""
    if np.dtype(dtype).kind == "f":
        return RNG.normal(size=(channels, *SIZE)).astype(dtype)
    ends = np.iinfo(dtype)
    return RNG.integers(ends.min, ends.max, (channels, *SIZE), dtype, endpoint=True)


def last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, 0, -1)[..., 0] if len(x) == 1 else np.moveaxis(x, 0, -1))


def ensure(path: Path, expected: np.ndarray, alpha: bool = False, **settings: Any) -> None:
    found, header = values_of(path, **settings), header_of(path, **settings)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(found, expected)
    assert (header.size, header.channels, header.dtype) == (found.shape[1:], len(found), found.dtype.name)
    assert header.alpha == alpha


def png_of_16_bits(x: np.ndarray) -> bytes:
    """A PNG by its specification, which Pillow cannot write with several channels of 16 bits."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    channels, height, width = x.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + np.moveaxis(x[:, row], 0, -1).astype(">u2").tobytes() for row in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (2, "uint8"), (3, "uint8"), (4, "uint8"), (1, "uint16")])
def test_png_bit_for_bit(channels: int, dtype: str, tmp_path: Path) -> None:
    x = noise(channels, dtype)
    mode = {2: "LA", 4: "RGBA"}.get(channels)
    image = Image.fromarray(last(x))
    assert mode is None or image.mode == mode
    image.save(tmp_path / "x.png")
    ensure(tmp_path / "x.png", x, alpha=mode is not None)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_keeps_16_bits_of_every_channel(channels: int, tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    x = noise(channels, "uint16")
    (tmp_path / "x.png").write_bytes(png_of_16_bits(x))
    ensure(tmp_path / "x.png", x, alpha=channels in (2, 4))


def test_palettes_are_colours_and_as_indices_what_is_stored(tmp_path: Path) -> None:
    indices, colours = noise(1) % 6, noise(3)[:, :2, :3].reshape(3, 6)
    image = Image.fromarray(indices[0])
    image.putpalette(colours.T.tobytes())
    image.save(tmp_path / "x.png")
    ensure(tmp_path / "x.png", colours[:, indices[0]])
    assert np.array_equal(values_of(tmp_path / "x.png", indices=True), indices)
    image.save(tmp_path / "clear.png", transparency=2)
    opacity = np.where(indices == 2, 0, 255).astype(np.uint8)
    ensure(tmp_path / "clear.png", np.concatenate([colours[:, indices[0]], opacity]), alpha=True)
    wide = np.zeros((3, 256), np.uint16)
    wide[:, :6] = colours.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "x.tif", indices[0], photometric="palette", colormap=wide)
    ensure(tmp_path / "x.tif", colours[:, indices[0]])
    assert np.array_equal(values_of(tmp_path / "x.tif", indices=True), indices)


def test_bilevel_pictures_are_black_and_white_and_as_indices_0_and_1(tmp_path: Path) -> None:
    x = noise(1) > 100
    Image.fromarray(x[0]).save(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "x.tif", x[0], photometric="minisblack")
    np.save(tmp_path / "x.npy", x[0])
    for path in sorted(tmp_path.iterdir()):
        ensure(path, x.astype(np.uint8) * np.uint8(255))
        assert np.array_equal(values_of(path, indices=True), x.astype(np.uint8))


def test_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    for name, mode in (("grey", "L"), ("colour", "RGB"), ("ink", "CMYK")):
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(last(noise(3))).convert(mode).save(path)
        expected = np.asarray(Image.open(path).convert("L" if mode == "L" else "RGB"))
        ensure(path, expected[None] if expected.ndim == 2 else np.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int, tmp_path: Path) -> None:
    x = noise(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for ending in ("jpg", "png"):
        path = tmp_path / f"x.{ending}"
        Image.fromarray(last(x)).save(path, exif=exif)
        ensure(path, np.moveaxis(np.asarray(ImageOps.exif_transpose(Image.open(path))), -1, 0))
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "x.tif", last(x), photometric="rgb", extratags=[tag])
    ensure(tmp_path / "x.tif", np.moveaxis(np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "x.tif"))), -1, 0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_tiff_bit_for_bit(channels: int, dtype: str, tmp_path: Path) -> None:
    x = noise(channels, dtype)
    ways: dict[str, dict[str, Any]] = {"contig": {"data": last(x)}}
    if channels > 1:
        ways["separate"] = {"data": x}
    for way, settings in ways.items():
        path = tmp_path / f"{way}.tif"
        tifffile.imwrite(path, **settings, photometric="minisblack", planarconfig=way if channels > 1 else None)
        ensure(path, x)


def test_tiff_that_is_packed_and_of_the_other_byte_order(tmp_path: Path) -> None:
    for dtype in ("uint16", "float32"):
        x = noise(3, dtype)
        how = {"compression": "zlib", "byteorder": ">", "photometric": "rgb", "predictor": True}
        tifffile.imwrite(tmp_path / "x.tif", last(x), **how)
        ensure(tmp_path / "x.tif", x)


def test_tiff_of_colours_opacity_and_pages(tmp_path: Path) -> None:
    x = noise(4)
    tifffile.imwrite(tmp_path / "clear.tif", last(x), photometric="rgb", extrasamples=["unassalpha"])
    ensure(tmp_path / "clear.tif", x, alpha=True)
    tifffile.imwrite(tmp_path / "planar.tif", x[:3], photometric="rgb", planarconfig="separate")
    ensure(tmp_path / "planar.tif", x[:3])
    tifffile.imwrite(tmp_path / "pages.tif", noise(6, "uint16")[:, None], photometric="minisblack")
    assert header_of(tmp_path / "pages.tif").channels == 6
    tifffile.imwrite(tmp_path / "white.tif", x[0], photometric="miniswhite")
    ensure(tmp_path / "white.tif", 255 - x[:1])
    assert np.array_equal(values_of(tmp_path / "white.tif", indices=True), x[:1])
    tifffile.imwrite(tmp_path / "volume.tif", np.zeros((2, 3, *SIZE), np.uint8), photometric="minisblack")
    with pytest.raises(UserError, match="at most one axis of channels"):
        header_of(tmp_path / "volume.tif")


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32", ">f8"])
def test_npy_bit_for_bit_by_its_axes(dtype: str, tmp_path: Path) -> None:
    x = noise(2, np.dtype(dtype).newbyteorder("=").name)
    np.save(tmp_path / "chw.npy", x.astype(dtype))
    np.save(tmp_path / "hwc.npy", last(x).astype(dtype))
    np.save(tmp_path / "hw.npy", x[0].astype(dtype))
    ensure(tmp_path / "chw.npy", x)
    ensure(tmp_path / "hwc.npy", x)
    ensure(tmp_path / "hw.npy", x[:1])
    ensure(tmp_path / "hwc.npy", np.moveaxis(x, 0, -1), axes="chw")


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((16, 32, 32), 16), ((32, 8, 8), 32), ((64, 64, 16), 16), ((3, 90, 60), 3), ((90, 60, 4), 4), ((2, 2, 9), 9)],
)
def test_the_axis_of_channels_is_found(shape: tuple[int, ...], channels: int, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    assert header_of(tmp_path / "x.npy").channels == channels


@pytest.mark.parametrize("shape", [(16, 90, 60), (3, 90, 3), (5, 5, 5), (4, 60, 3)])
def test_axes_that_could_be_either_are_asked_for(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(UserError, match=r"which axis are the channels.*set axes"):
        header_of(tmp_path / "x.npy")
    assert header_of(tmp_path / "x.npy", "hwc").channels == shape[-1]


def test_what_a_png_says_behind_its_pixels_is_heard(tmp_path: Path) -> None:
    x = noise(3)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(last(x)).save(tmp_path / "x.png", exif=exif)
    whole = (tmp_path / "x.png").read_bytes()
    start = whole.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(whole[start : start + 4], "big")
    (tmp_path / "x.png").write_bytes(whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:])
    assert whole.index(b"eXIf") < whole.index(b"IDAT")
    ensure(tmp_path / "x.png", np.rot90(x, -1, (1, 2)))


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    big = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("x.png", "x.jpg"):
        Image.fromarray(big).save(tmp_path / name)
    tifffile.imwrite(tmp_path / "x.tif", big, photometric="rgb", compression="zlib")
    np.save(tmp_path / "x.npy", big)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for what in (whole[: len(whole) // 2], b"", b"nothing of the kind" * 9):
            path.write_bytes(what)
            with pytest.raises(UserError, match=r"^(cannot be read: [^\n]+|is cut short)$"):
                values_of(path)
    with pytest.raises(UserError, match="no such file"):
        values_of(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"none of the known formats; known: \.png"):
        header_of(tmp_path / "x.gif")


def test_pickles_and_text_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    with pytest.raises(UserError, match=r"cannot be read: .*allow_pickle"):
        values_of(tmp_path / "pickle.npy")
    with pytest.raises(UserError, match="not numbers"):
        values_of(tmp_path / "text.npy")
