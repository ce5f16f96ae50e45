"""The filters of HDF5, undone without HDF5, which has one lock for all threads.

Every decoder here is a library's that lets other threads run meanwhile. One that is not installed, or a filter that is
not listed, leaves the data set to HDF5.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import h5py
import numpy as np

Decompress = Callable[[np.ndarray, np.ndarray], None]
"""Compressed bytes (n,) to decompressed ones (m,), both uint8. Raises ``ValueError`` unless they are m."""

DEFLATE, SHUFFLE, FLETCHER32 = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD = 32000, 32001, 32004, 32008, 32015
CHECKSUM_BYTES = 4
BITSHUFFLE_LZ4, BITSHUFFLE_ZSTD = 2, 3
CODECS = {DEFLATE: "deflate", LZF: "lzf", BLOSC: "blosc", LZ4: "lz4h5", ZSTD: "zstd"}
"""Names in imagecodecs, which writes into memory that is there already."""


class Damaged(Exception):
    """A chunk that cannot be decoded; says why."""


@dataclass(frozen=True)
class Decoder:
    """Undoes the filters of one data set.

    Attributes:
        nbytes: of a decoded chunk.
        item: bytes of one value.
        filters: their codes, in the order in which they were applied.
        decompress: undoes the one that compresses, if any does.
    """

    nbytes: int
    item: int
    filters: tuple[int, ...]
    decompress: Decompress | None

    def decode(self, raw: np.ndarray, skipped: int, out: np.ndarray, scratch: np.ndarray) -> None:
        """Decodes a chunk.

        Args:
            raw: as stored, uint8.
            skipped: bit i is set where filter i was not applied to this chunk.
            out: memory for the values, uint8 (nbytes,).
            scratch: as much memory besides.

        Raises:
            Damaged: if the bytes are not what the filters wrote.
        """
        applied = [code for number, code in enumerate(self.filters) if not skipped >> number & 1]
        if FLETCHER32 in applied:
            raw = self._checked(raw)
        shuffled = SHUFFLE in applied and self.item > 1
        plain = scratch if shuffled else out
        if self.decompress is not None and any(code not in (SHUFFLE, FLETCHER32) for code in applied):
            try:
                self.decompress(raw, plain)
            except Exception as error:  # each library has its own
                raise Damaged(f"it does not decode: {error}") from error
        elif len(raw) != self.nbytes:
            raise Damaged(f"it has {len(raw)} bytes, {self.nbytes} are right")
        elif shuffled:
            plain = raw
        else:
            out[:] = raw
        if shuffled:
            unshuffle(plain, self.item, out)

    def _checked(self, raw: np.ndarray) -> np.ndarray:
        values, stored = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
        if len(raw) < CHECKSUM_BYTES or _fletcher32(values) != int.from_bytes(stored.tobytes(), "little"):
            raise Damaged("its checksum is wrong")
        return values


def decoder_of(dataset: h5py.Dataset) -> Decoder | None:
    """A decoder for the chunks of a data set, or ``None`` where only HDF5 can decode them here."""
    item = dataset.dtype.itemsize
    nbytes = int(np.prod(dataset.chunks)) * item
    plist = dataset.id.get_create_plist()
    found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    codes = tuple(int(code) for code, *_ in found)
    compressors = [(code, values) for code, _, values, _ in found if code not in (SHUFFLE, FLETCHER32)]
    in_order = sorted(codes, key=lambda code: {SHUFFLE: 0, FLETCHER32: 2}.get(code, 1))
    if len(compressors) > 1 or list(codes) != in_order or len(set(codes)) < len(codes):
        return None
    if SHUFFLE in codes and (sys.byteorder != "little" or item not in (1, 2, 4, 8)):
        return None
    if FLETCHER32 in codes and _codecs() is None:
        return None
    decompress = _decompressor(*compressors[0], dataset) if compressors else None
    return None if compressors and decompress is None else Decoder(nbytes, item, codes, decompress)


def missing_package(dataset: h5py.Dataset) -> str | None:
    """The package that would decode a data set in threads and is not installed here."""
    plist = dataset.id.get_create_plist()
    codes = {int(plist.get_filter(number)[0]) for number in range(plist.get_nfilters())}
    if codes & {*CODECS, FLETCHER32} and _codecs() is None:
        return "imagecodecs"
    return "bitshuffle" if BITSHUFFLE in codes and _bitshuffle_library() is None else None


def unshuffle(planes: np.ndarray, item: int, out: np.ndarray) -> None:
    """Undoes HDF5's byte shuffle: first bytes of all values, then second bytes, ... (n * item,) to values in ``out``.

    Shifting whole planes into place runs at memory speed; copying bytes to every second place does not.
    """
    rows = planes.reshape(item, -1)
    values = out.view(f"<u{item}")
    values[:] = rows[item - 1]
    for row in reversed(rows[: item - 1]):
        values <<= 8
        values |= row


def _decompressor(code: int, values: tuple[int, ...], dataset: h5py.Dataset) -> Decompress | None:
    if code == BITSHUFFLE:
        return _bitshuffle(values, dataset.dtype.itemsize)
    if code in CODECS and getattr(getattr(_codecs(), CODECS[code].upper(), None), "available", False):
        return partial(_by_codec, CODECS[code])
    return _inflate if code == DEFLATE else None


def _by_codec(name: str, raw: np.ndarray, out: np.ndarray) -> None:
    _ensure_full(getattr(_codecs(), f"{name}_decode")(raw, out=out), out)


def _inflate(raw: np.ndarray, out: np.ndarray) -> None:
    decoded = zlib.decompress(raw, bufsize=len(out))  # type: ignore[arg-type]
    _ensure_full(decoded, out)
    out[:] = np.frombuffer(decoded, np.uint8)


def _ensure_full(decoded: Any, out: np.ndarray) -> None:
    if len(decoded) != len(out):
        raise ValueError(f"{len(decoded)} bytes in place of {len(out)}")


def _bitshuffle(values: tuple[int, ...], item: int) -> Decompress | None:
    """The values of the filter are its version (2), the bytes of an item, a block size, the compression, ..."""
    name = {BITSHUFFLE_LZ4: "decompress_lz4", BITSHUFFLE_ZSTD: "decompress_zstd"}.get(
        values[4] if len(values) > 4 else 0
    )
    if name is None or not hasattr(_bitshuffle_library(), name) or values[2] != item:
        return None
    return partial(_unbitshuffle, name, item)


def _unbitshuffle(name: str, item: int, raw: np.ndarray, out: np.ndarray) -> None:
    # Bytes of the values (8) and of a block (4), both big-endian, stand before the blocks.
    nbytes, block = (int.from_bytes(raw[a:b].tobytes(), "big") for a, b in ((0, 8), (8, 12)))
    if nbytes != len(out) or block <= 0 or block % (8 * item):
        raise ValueError("its header is wrong")
    values = getattr(_bitshuffle_library(), name)(raw[12:], (nbytes // item,), np.dtype(f"u{item}"), block // item)
    out[:] = values.view(np.uint8)


@cache
def _codecs() -> Any:
    try:
        import imagecodecs
    except Exception:  # also one that was built for another NumPy
        return None
    return imagecodecs


@cache
def _bitshuffle_library() -> Any:
    try:
        import bitshuffle
    except Exception:
        return None
    return bitshuffle


def _fletcher32(data: np.ndarray) -> int:
    return int(_codecs().h5checksum_fletcher32(data))
