"""Reading past HDF5 gives what HDF5 gives, in threads, and names what cannot be read."""

from __future__ import annotations

import errno
import os
import threading

import h5py
import hdf5plugin
import numpy as np
import pytest
from stem_datasets import direct, filters, scan_file
from stem_datasets.handles import Handles
from stem_datasets.hdf5 import Hdf5
from stem_datasets.stored import StoredArray

from stemcore import UserError

LAYOUTS = {
    "contiguous": {},
    "no filter": {"chunks": (3, 12, 10)},
    "gzip": {"chunks": (16, 12, 10), "compression": "gzip"},
    "shuffle, gzip": {"chunks": (7, 12, 10), "compression": "gzip", "shuffle": True},
    "shuffle, gzip, checksum": {"chunks": (7, 12, 10), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "checksum": {"chunks": (5, 12, 10), "fletcher32": True},
    "shuffle": {"chunks": (5, 12, 10), "shuffle": True},
    "lzf": {"chunks": (4, 12, 10), "compression": "lzf"},
    "shuffle, lzf": {"chunks": (4, 12, 10), "compression": "lzf", "shuffle": True},
    "bitshuffle, lz4": {"chunks": (1, 12, 10), **hdf5plugin.Bitshuffle(cname="lz4")},
    "bitshuffle, lz4, blocks": {"chunks": (20, 12, 10), **hdf5plugin.Bitshuffle(cname="lz4", nelems=64)},
    "bitshuffle, zstd": {"chunks": (4, 12, 10), **hdf5plugin.Bitshuffle(cname="zstd")},
    "zstd": {"chunks": (4, 12, 10), **hdf5plugin.Zstd()},
    "shuffle, zstd": {"chunks": (4, 12, 10), "shuffle": True, **hdf5plugin.Zstd()},
    "lz4": {"chunks": (4, 12, 10), **hdf5plugin.LZ4()},
    "blosc": {"chunks": (4, 12, 10), **hdf5plugin.Blosc(cname="zstd", shuffle=hdf5plugin.Blosc.SHUFFLE)},
    "quarters": {"chunks": (4, 6, 5), "compression": "gzip", "shuffle": True},
    "uneven quarters": {"chunks": (3, 5, 4), "compression": "gzip"},
}
ONLY_HDF5 = {
    "bitshuffle alone": {"chunks": (4, 12, 10), **hdf5plugin.Bitshuffle(cname="none")},
    "blosc2": {"chunks": (4, 12, 10), **hdf5plugin.Blosc2()},
    "scale-offset": {"chunks": (4, 12, 10), "scaleoffset": 0},
    "sz3-like order": {"chunks": (4, 12, 10), "compression": "szip"},
}
NEEDS = {"bitshuffle, lz4": "bitshuffle", "bitshuffle, lz4, blocks": "bitshuffle", "bitshuffle, zstd": "bitshuffle"}


def stored(path, **options):
    return StoredArray(Handles(), path, "patterns", **options)


def rows_of(array, rows):
    out = np.full((len(rows), *array.image), 77, array.dtype)
    array.read(np.asarray(rows, np.int64), out)
    return out


SOME = [np.arange(40), np.array([0]), np.array([39]), np.array([1, 2, 5, 6, 7, 30, 38]), np.arange(0, 40, 3)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint16", "uint8", "int32", "float32", "float64", ">u2", "bool"])
def test_every_layout_is_read_past_hdf5_with_the_same_values(write, counts, layout, dtype):
    if layout in NEEDS:
        pytest.importorskip(NEEDS[layout])
    values = (counts % 2 if dtype == "bool" else counts).astype(dtype)
    array = stored(write(patterns=values, options=LAYOUTS[layout]))
    assert array._direct is not None, "left to HDF5"
    for rows in SOME:
        np.testing.assert_array_equal(rows_of(array, rows), values[rows])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_items_stored_one_by_one_are_read_to_rows_anywhere(write, counts, layout):
    array = stored(write(patterns=counts, options=LAYOUTS[layout]))
    for rows in SOME:
        out = [np.full((12, 10), 77, np.uint16) for _ in rows]
        taken = array.read_rows(rows, out)
        assert taken == (array._direct is not None and layout in ("contiguous", "bitshuffle, lz4"))
        np.testing.assert_array_equal(np.stack(out), counts[rows] if taken else np.full((len(rows), 12, 10), 77))


@pytest.mark.parametrize("layout", ONLY_HDF5)
def test_other_filters_are_left_to_hdf5(write, counts, layout):
    try:
        path = write(patterns=counts, options=ONLY_HDF5[layout])
    except ValueError as error:
        pytest.skip(f"this HDF5 does not write it: {error}")
    array = stored(path)
    assert array._direct is None
    np.testing.assert_array_equal(rows_of(array, np.arange(40)), counts)


@pytest.mark.parametrize("chunks", [(1, 1, 12, 10), (2, 3, 12, 10), (5, 8, 6, 5), (1, 8, 12, 10), (2, 2, 5, 3)])
def test_scans_of_four_axes_are_read_past_hdf5(write, counts, chunks):
    scan = counts.reshape(5, 8, 12, 10)
    array = stored(write(patterns=scan, options={"chunks": chunks, "compression": "gzip", "shuffle": True}))
    assert array._direct is not None
    for rows in SOME:
        np.testing.assert_array_equal(rows_of(array, rows), counts[rows])


def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset("patterns", (40, 4, 4), "int16", chunks=(8, 4, 4), compression="gzip", fillvalue=-3)
        data[16:24] = 5
    array = stored(tmp_path / "scan.h5")
    assert array._direct is not None
    expected = np.full((40, 4, 4), -3)
    expected[16:24] = 5
    np.testing.assert_array_equal(rows_of(array, np.arange(40)), expected)


def test_a_data_set_that_shrank_and_a_chunk_without_its_filter(tmp_path, counts):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset(
            "patterns", data=counts, chunks=(4, 12, 10), maxshape=(None, 12, 10), compression="gzip", shuffle=True
        )
        data.resize(22, axis=0)
        data.id.write_direct_chunk((8, 0, 0), counts[8:12].tobytes(), filter_mask=0b11)
        data.resize(20, axis=0)
    array = stored(tmp_path / "scan.h5")
    assert array._direct is not None
    np.testing.assert_array_equal(rows_of(array, np.arange(20)), counts[:20])


def test_a_file_with_a_user_block(tmp_path, counts):
    with h5py.File(tmp_path / "scan.h5", "w", userblock_size=1024) as file:
        file.create_dataset("patterns", data=counts, chunks=(4, 12, 10), compression="gzip")
        file.create_dataset("whole", data=counts)
    np.testing.assert_array_equal(rows_of(stored(tmp_path / "scan.h5"), np.arange(40)), counts)
    whole = StoredArray(Handles(), tmp_path / "scan.h5", "whole")
    np.testing.assert_array_equal(rows_of(whole, np.arange(40)), counts)


def test_integers_of_twelve_bits_are_left_to_hdf5(tmp_path, counts):
    kind = h5py.h5t.STD_U16LE.copy()
    kind.set_precision(12)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        space = h5py.h5s.create_simple(counts.shape)
        data = h5py.h5d.create(file.id, b"patterns", kind, space)
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, counts)
    array = stored(tmp_path / "scan.h5")
    assert array._direct is None
    np.testing.assert_array_equal(rows_of(array, np.arange(40)), counts)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in NEEDS])
def test_without_the_fast_decoders_the_values_are_the_same(write, counts, layout, monkeypatch):
    monkeypatch.setattr(filters, "_codecs", lambda: None)
    monkeypatch.setattr(filters, "_bitshuffle_library", lambda: None)
    array = stored(write(patterns=counts, options=LAYOUTS[layout]))
    past_hdf5 = not any(word in layout for word in ("lzf", "zstd", "lz4", "blosc", "checksum"))
    assert (array._direct is not None) == past_hdf5  # gzip is also in Python's own library
    np.testing.assert_array_equal(rows_of(array, np.arange(40)), counts)


@pytest.mark.parametrize(
    ("layout", "package"),
    [
        ("shuffle, gzip", "imagecodecs"),
        ("bitshuffle, lz4", "bitshuffle"),
        ("checksum", "imagecodecs"),
        ("blosc2", None),
    ],
)
def test_a_decoder_that_is_missing_is_named(write, counts, layout, package, monkeypatch, caplog):
    path = write(patterns=counts, options={**LAYOUTS, **ONLY_HDF5}[layout])
    monkeypatch.setattr(filters, "_codecs", lambda: None)
    monkeypatch.setattr(filters, "_bitshuffle_library", lambda: None)
    monkeypatch.setattr(scan_file, "LARGE_BYTES", 100)
    Hdf5(path=path)
    assert ("pip install 'stemcore[fast]'" in caplog.text) == (package is not None)
    assert package is None or f"'{package}' would decode it" in caplog.text


@pytest.mark.parametrize("item", [1, 2, 4, 8])
def test_unshuffling_is_the_inverse_of_hdf5s_shuffle(item):
    values = np.random.default_rng(0).integers(0, 256, 97 * item).astype(np.uint8)
    planes = np.ascontiguousarray(values.reshape(-1, item).T).reshape(-1)
    out = np.empty_like(values)
    filters.unshuffle(planes, item, out)
    np.testing.assert_array_equal(out, values)


def test_threads_read_at_once(write, counts):
    values = np.tile(counts, (20, 1, 1)) + np.arange(800, dtype=np.uint16)[:, None, None]
    array = stored(write(patterns=values, options=LAYOUTS["shuffle, gzip"]))
    wrong, blocks = [], array.blocks() * 5

    def work(number):
        for rows in blocks[number::4]:
            if not np.array_equal(rows_of(array, rows), values[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "layout", ["gzip", "shuffle, gzip", "lzf", "zstd", "lz4", "blosc", "bitshuffle, lz4", "quarters"]
)
def test_a_chunk_that_does_not_decode_is_named(write, counts, spoil, layout):
    if layout in NEEDS:
        pytest.importorskip(NEEDS[layout])
    options = {**LAYOUTS[layout], "chunks": (8, *LAYOUTS[layout]["chunks"][1:])}
    path = write(patterns=counts, options=options)
    spoil(path, (16, 0, 0))
    array = stored(path)
    assert array._direct is not None
    with pytest.raises(UserError, match=r"pattern 16 \(chunk 2\) of dataset 'patterns' cannot be read"):
        rows_of(array, np.arange(40))
    np.testing.assert_array_equal(rows_of(array, np.arange(16)), counts[:16])
    np.testing.assert_array_equal(array.unreadable(), np.arange(16, 24))


def test_a_wrong_checksum_is_named(write, counts):
    path = write(patterns=counts, options={"chunks": (8, 12, 10), "fletcher32": True})
    with h5py.File(path) as file:
        place = file["patterns"].id.get_chunk_info_by_coord((8, 0, 0)).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place + 100)
        raw.write(b"\x55")
    with pytest.raises(UserError, match=r"pattern 8 \(chunk 1\).*its checksum is wrong"):
        rows_of(stored(path), np.arange(40))


def test_a_chunk_of_the_wrong_length_is_named(tmp_path, counts):
    import zlib

    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset("patterns", data=counts, chunks=(8, 12, 10), compression="gzip")
        data.id.write_direct_chunk((24, 0, 0), zlib.compress(counts[24:28].tobytes()))
    with pytest.raises(UserError, match=r"pattern 24 \(chunk 3\).*cannot be read"):
        rows_of(stored(tmp_path / "scan.h5"), np.arange(40))


@pytest.mark.parametrize("layout", ["gzip", "contiguous", "no filter"])
def test_a_file_truncated_while_it_is_read_is_called_so(write, counts, layout):
    path = write(patterns=counts, options=LAYOUTS[layout])
    array = stored(path)
    rows_of(array, np.arange(2))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UserError, match=r"pattern \d+.*cannot be read: the file ends at byte .*truncated"):
        rows_of(array, np.arange(40))
    if layout == "contiguous":
        with pytest.raises(UserError, match=r"pattern \d+.*truncated"):
            array.read_rows(np.arange(40), list(np.empty((40, 12, 10), np.uint16)))


def test_an_error_of_the_system_is_passed_on_as_what_it_is(write, counts, monkeypatch):
    array = stored(write(patterns=counts, options=LAYOUTS["gzip"]))
    rows_of(array, np.arange(1))  # its table of chunks is read

    def broken(file, buffers, offset):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(direct.os, "preadv", broken)
    with pytest.raises(OSError, match="Input/output error") as error:
        rows_of(array, np.arange(40))
    assert error.value.errno == errno.EIO


# ------------------------------------------------------------------------------------- virtual datasets


@pytest.mark.parametrize("chunk", [1, 4, 16, None])
@pytest.mark.parametrize("lengths", [[40], [16, 24], [7, 7, 7, 7, 7, 5], [1] * 40])
def test_a_virtual_scan_is_read_past_hdf5_from_its_files(write, counts, lengths, chunk):
    filters_used = {} if chunk is None else {"compression": "gzip", "shuffle": True}
    starts = np.cumsum([0, *lengths])
    layout = h5py.VirtualLayout((45, 12, 10), np.uint16)
    for number, (start, length) in enumerate(zip(starts, lengths, strict=False)):
        options = {**filters_used, **({} if chunk is None else {"chunks": (min(chunk, length), 12, 10)})}
        source = write(f"data_{number}.h5", patterns=counts[start : start + length], options=options)
        layout[start : start + length] = h5py.VirtualSource(source.name, "patterns", (length, 12, 10))
    path = source.with_name("master.h5")
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("patterns", layout, fillvalue=9)
    array = stored(path)
    assert array._direct is not None
    whole = np.concatenate([counts, np.full((5, 12, 10), 9, np.uint16)])
    for rows in [*SOME, np.arange(45), np.array([5, 41, 44])]:
        np.testing.assert_array_equal(rows_of(array, rows), whole[rows])
    assert np.array_equal(np.sort(np.concatenate(array.blocks())), np.arange(45))
    for block in array.blocks():
        np.testing.assert_array_equal(rows_of(array, block), whole[block])


def test_blocks_of_a_virtual_scan_follow_the_chunks_of_its_files(write):
    values = np.zeros((200, 64, 64), np.uint16)
    source = write("data.h5", patterns=values, options={"chunks": (50, 64, 64), "compression": "gzip"})
    layout = h5py.VirtualLayout((150, 64, 64), np.uint16)
    layout[:] = h5py.VirtualSource(source.name, "patterns", values.shape)[30:180]
    with h5py.File(source.with_name("master.h5"), "w") as file:
        file.create_virtual_dataset("patterns", layout)
    blocks = stored(source.with_name("master.h5")).blocks()
    assert [(int(b[0]) + 30, int(b[-1]) + 30) for b in blocks] == [(30, 49), (50, 99), (100, 149), (150, 179)]
