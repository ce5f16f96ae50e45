import h5py
import hdf5plugin
import numpy as np
import pytest
from stem_datasets.handles import Handles
from stem_datasets.stored import StoredArray

from stemcore import UserError

CHUNKS_4D = [None, (1, 1, 6, 5), (4, 4, 6, 5), (3, 2, 6, 5), (1, 9, 3, 5), (7, 9, 2, 2)]


def stored(path):
    return StoredArray(Handles(), path, "patterns")


def read(array, rows, dtype=None):
    out = np.empty((len(rows), *array.image), dtype or array.dtype)
    array.read(np.asarray(rows, dtype=np.int64), out)
    return out


@pytest.mark.parametrize(
    "dtype", [f"{order}{kind}" for order in "<>" for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")]
)
def test_integers_of_either_byte_order_come_natively(write, dtype):
    values = np.random.default_rng(1).integers(0, 100, (20, 6, 5)).astype(dtype)
    array = stored(write(patterns=values, options={"chunks": (7, 6, 5), "compression": "lzf"}))
    assert array.dtype.isnative
    assert array.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(read(array, range(20)), values)


@pytest.mark.parametrize("dtype", [f"{order}f{size}" for order in "<>" for size in (2, 4, 8)])
def test_real_numbers_of_either_byte_order_come_natively(write, dtype):
    values = np.random.default_rng(1).normal(size=(20, 6, 5)).astype(dtype)
    array = stored(write(patterns=values))
    assert array.dtype.isnative
    np.testing.assert_array_equal(read(array, range(20)), values)


def test_a_wider_type_is_filled_as_well(write):
    values = np.random.default_rng(1).random((20, 6, 5)) > 0.5
    array = stored(write(patterns=values))
    np.testing.assert_array_equal(read(array, [1, 2, 7], np.uint8), values[[1, 2, 7]].astype(np.uint8))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"scaleoffset": 0},
        hdf5plugin.Bitshuffle(cname="lz4"),
        hdf5plugin.Bitshuffle(cname="zstd"),
        hdf5plugin.Blosc(cname="zstd"),
        hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.BITSHUFFLE),
        hdf5plugin.Blosc2(),
        hdf5plugin.LZ4(),
        hdf5plugin.Zstd(),
    ],
    ids=str,
)
def test_every_compression_is_read(write, counts, options):
    array = stored(write(patterns=counts, options={"chunks": (16, 12, 10), **options}))
    np.testing.assert_array_equal(read(array, range(40)), counts)
    np.testing.assert_array_equal(read(array, [3, 15, 16, 39]), counts[[3, 15, 16, 39]])


@pytest.mark.parametrize("chunks", CHUNKS_4D, ids=str)
def test_a_scan_of_four_axes_is_read_row_by_row(write, chunks):
    values = np.random.default_rng(2).integers(0, 9, (10, 13, 6, 5)).astype(np.uint8)
    array = stored(write(patterns=values, options={"chunks": chunks}))
    flat = values.reshape(130, 6, 5)
    assert array.lead == (10, 13)
    rng = np.random.default_rng(3)
    for size in (0, 1, 5, 60, 130):
        rows = np.sort(rng.choice(130, size, replace=False))
        np.testing.assert_array_equal(read(array, rows), flat[rows])
    for block in array.blocks():
        np.testing.assert_array_equal(read(array, block), flat[block])


@pytest.mark.parametrize("chunks", [(4, 4, 6, 5), (8, 4, 6, 5)])
def test_each_chunk_lies_in_one_block(write, chunks):
    array = stored(write(patterns=np.zeros((16, 12, 6, 5)), options={"chunks": chunks}))
    block_of = np.empty(192, int)
    for number, block in enumerate(array.blocks()):
        block_of[block] = number
    tiles = block_of.reshape(16 // chunks[0], chunks[0], 12 // chunks[1], chunks[1])
    assert (tiles == tiles[:, :1, :, :1]).all()


def test_a_resizable_dataset_whose_chunk_is_larger_than_itself(write, counts):
    array = stored(write(patterns=counts[:5], options={"chunks": (64, 12, 10), "maxshape": (None, 12, 10)}))
    assert [b.tolist() for b in array.blocks()] == [[0, 1, 2, 3, 4]]
    np.testing.assert_array_equal(read(array, [1, 4]), counts[[1, 4]])


@pytest.mark.parametrize("shape", [(6, 5), (2, 2, 2, 6, 5), (7,)])
def test_another_number_of_axes_is_refused(write, shape):
    with pytest.raises(UserError, match=r"right are \(patterns, height, width\) and \(scan rows"):
        stored(write(patterns=np.ones(shape)))


def test_an_unreadable_chunk_is_named_by_pattern_and_chunk(write, spoil, counts):
    path = write(patterns=counts, options={"chunks": (4, 12, 10), "compression": "gzip"})
    spoil(path, (20, 0, 0))
    array = stored(path)
    np.testing.assert_array_equal(read(array, range(20)), counts[:20])
    with pytest.raises(UserError) as error:
        read(array, [17, 21, 30])
    assert str(error.value).startswith(f"{path}: pattern 21 (chunk 5) of dataset 'patterns' cannot be read: ")
    assert "skip_unreadable: true" in str(error.value)
    assert array.unreadable().tolist() == [20, 21, 22, 23]


def test_an_unreadable_tile_of_a_scan_is_found(write, spoil):
    values = np.random.default_rng(2).integers(0, 9, (8, 8, 6, 5)).astype(np.uint8)
    path = write(patterns=values, options={"chunks": (2, 2, 6, 5), "compression": "gzip"})
    spoil(path, (2, 4, 0, 0))
    array = stored(path)
    assert array.unreadable().tolist() == [20, 21, 28, 29]
    with pytest.raises(UserError, match=r"pattern 20 \(chunk 1, 2\)"):
        read(array, range(64))


def test_a_sound_file_has_nothing_unreadable(write, counts):
    assert stored(write(patterns=counts)).unreadable().size == 0


def test_enumerations_are_read_as_integers(write, tmp_path):
    path = tmp_path / "scan.h5"
    values = np.arange(24).reshape(4, 3, 2) % 2
    with h5py.File(path, "w") as file:
        kind = h5py.enum_dtype({"DARK": 0, "LIT": 1}, basetype="i2")
        file.create_dataset("patterns", data=values, dtype=kind)
    np.testing.assert_array_equal(read(stored(path), range(4)), values)
