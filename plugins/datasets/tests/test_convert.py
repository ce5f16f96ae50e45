"""``stem convert``: the same values in other chunks, and nothing half-written."""

from __future__ import annotations

import json

import click
import h5py
import hdf5plugin
import numpy as np
import pytest
from click.testing import CliRunner
from stem_datasets import rewriting
from stem_datasets.convert import convert
from stem_datasets.pathology import pathology

from stemcore import UserError

SCAN = np.random.default_rng(0).poisson(2.0, (8, 10, 64, 64)).astype(np.uint16)


def converted(*arguments):
    """Runs the verb and hands on what it raises."""
    return CliRunner().invoke(convert, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)


def read(path, name="patterns"):
    with h5py.File(path) as file:
        return file[name][()], file[name].chunks, file[name].compression


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "float32", "bool"])
@pytest.mark.parametrize("chunks", [None, (8, 10, 64, 64), (3, 4, 32, 16), (1, 1, 64, 64), (5, 10, 64, 7)])
def test_values_are_the_same_in_other_chunks(write, tmp_path, chunks, dtype):
    scan = (SCAN > 2 if dtype == "bool" else SCAN).astype(dtype)
    source = write(patterns=scan, options={"chunks": chunks})
    before = source.read_bytes()
    result = converted(source, tmp_path / "fast.h5")
    values, new, compression = read(tmp_path / "fast.h5")
    np.testing.assert_array_equal(values, scan)
    assert values.dtype == scan.dtype
    assert new[-2:] == (64, 64)
    assert compression == "gzip"
    assert source.read_bytes() == before
    assert "verified" in result.stdout


@pytest.mark.parametrize("compression", ["bitshuffle-lz4", "zstd", "lz4", "none"])
def test_every_compression_is_read_back(write, tmp_path, compression):
    source = write(patterns=SCAN, options={"chunks": (8, 10, 8, 8), "compression": "gzip"})
    result = converted(source, tmp_path / "fast.h5", "--compression", compression, "--json")
    said = json.loads(result.stdout)
    values, chunks, _ = read(tmp_path / "fast.h5")
    np.testing.assert_array_equal(values, SCAN)
    assert (chunks is None) == (compression == "none")
    assert said["verified"] is True
    assert said["arrays"][0]["before"] == [8, 10, 8, 8]


def test_everything_else_is_carried_over(tmp_path):
    source = tmp_path / "scan.h5"
    with h5py.File(source, "w") as file:
        file.attrs["operator"] = "Ruska"
        data = file.create_dataset("entry/data/patterns", data=SCAN, chunks=(8, 10, 4, 64), fillvalue=7)
        data.attrs["scale_factor"] = 0.5
        file["entry"].attrs["NX_class"] = "NXentry"
        file["entry/labels"] = np.arange(80).reshape(8, 10)
        file["entry/small"] = SCAN[:1, :2]
        file["shortcut"] = h5py.SoftLink("/entry/labels")
        file["outside"] = h5py.ExternalLink("other.h5", "/x")
    converted(source, tmp_path / "fast.h5")
    with h5py.File(tmp_path / "fast.h5") as file:
        np.testing.assert_array_equal(file["entry/data/patterns"][()], SCAN)
        assert file["entry/data/patterns"].attrs["scale_factor"] == 0.5
        assert file["entry/data/patterns"].fillvalue == 7
        assert file.attrs["operator"] == "Ruska"
        assert file["entry"].attrs["NX_class"] == "NXentry"
        np.testing.assert_array_equal(file["shortcut"][()], np.arange(80).reshape(8, 10))
        assert file["entry/small"].shape == (1, 2, 64, 64)
        assert file.get("outside", getlink=True).filename == "other.h5"


@pytest.mark.parametrize(
    ("shape", "chunk"),
    [
        ((256, 256, 128, 128), (32, 32, 128, 128)),
        ((64, 64, 256, 256), (64, 64, 16, 16)),
        ((100_000, 128, 128), (16, 128, 128)),
        ((50, 70, 64, 64), (7, 9, 64, 64)),
    ],
)
def test_each_chunk_is_decoded_once_and_memory_is_bounded(shape, chunk):
    """A chunk that lay in two slabs would be decoded twice."""
    after = rewriting.chunks_for(shape, 2)
    boxes = list(rewriting.slabs(shape, chunk, 2, after))
    touched = {}
    for box in boxes:
        cells = [range(part.start // c, -(-part.stop // c)) for part, c in zip(box, chunk, strict=False)]
        for cell in np.stack(np.meshgrid(*cells, indexing="ij"), -1).reshape(-1, len(cells)).tolist():
            touched[tuple(cell)] = touched.get(tuple(cell), 0) + 1
    assert set(touched.values()) == {1}
    assert len(touched) == np.prod([-(-n // c) for n, c in zip(shape[:-2], chunk, strict=False)])
    items = [np.prod([part.stop - part.start for part in box]) for box in boxes]
    assert sum(items) == np.prod(shape[:-2])
    assert max(items) * shape[-1] * shape[-2] * 2 <= rewriting.SLAB_BYTES


@pytest.mark.parametrize(
    ("shape", "items", "chunks"),
    [
        ((4096, 128, 128), None, (16, 128, 128)),
        ((64, 64, 256, 256), None, (1, 4, 256, 256)),
        ((64, 50, 128, 128), None, (1, 13, 128, 128)),
        ((256, 256, 4, 4), None, (64, 256, 4, 4)),
        ((4096, 2048, 2048), None, (1, 2048, 2048)),
        ((4096, 128, 128), 50, (50, 128, 128)),
    ],
)
def test_chunks_are_about_half_a_megabyte_of_whole_patterns_along_a_scan_row(shape, items, chunks):
    assert rewriting.chunks_for(shape, 2, items) == chunks


# ------------------------------------------------------------------------------------------------- refusals


def test_what_cannot_be_done_is_said_before_anything_is_written(write, tmp_path):
    source = write(patterns=SCAN, labels=np.arange(3))
    (tmp_path / "there.h5").write_text("mine")
    (tmp_path / "same.h5").symlink_to(source)
    cases = {
        (source, tmp_path / "there.h5"): "is there already; give another name, or --force",
        (source, source): "OUT is the file that is read",
        (source, tmp_path / "same.h5", "--force"): "OUT is the file that is read",
        (source, tmp_path / "none" / "fast.h5"): "no such folder",
        (tmp_path / "absent.h5", tmp_path / "fast.h5"): "absent.h5",
        (source, tmp_path / "fast.h5", "--dataset", "pattern"): "did you mean 'patterns'",
        (source, tmp_path / "fast.h5", "--dataset", "labels"): r"'labels' has shape \(3,\)",
        (write("tiny.h5", labels=np.arange(3)), tmp_path / "fast.h5"): "no array of patterns in it; name one",
    }
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments, says in cases.items():
        with pytest.raises(UserError, match=says):
            converted(*arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "there.h5").read_text() == "mine"


def test_force_replaces(write, tmp_path):
    source = write(patterns=SCAN)
    (tmp_path / "fast.h5").write_text("old")
    converted(source, tmp_path / "fast.h5", "--force")
    np.testing.assert_array_equal(read(tmp_path / "fast.h5")[0], SCAN)


def test_a_damaged_chunk_is_named_and_nothing_is_left(write, spoil, tmp_path):
    source = write(patterns=SCAN.reshape(80, 64, 64), options={"chunks": (8, 64, 64), "compression": "gzip"})
    spoil(source, (24, 0, 0))
    with pytest.raises(UserError, match=r"pattern 24 \(chunk 3\)"):
        converted(source, tmp_path / "fast.h5")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_values_that_come_back_otherwise_are_noticed_and_nothing_is_left(write, tmp_path, monkeypatch):
    """A filter that loses bits stands for a disk that does."""
    source = write(patterns=np.random.default_rng(0).normal(size=(80, 64, 64)))
    lossy = {"compression": None, "scaleoffset": 1}
    monkeypatch.setattr("stem_datasets.convert._filters", lambda compression, level: lossy)
    with pytest.raises(ValueError, match="'patterns' reads back other values than were written, in 0-79"):
        converted(source, tmp_path / "fast.h5")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_interrupted_it_leaves_nothing(write, tmp_path, monkeypatch):
    source = write(patterns=SCAN)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(rewriting, "_created", interrupted)
    with pytest.raises(click.Abort):
        converted(source, tmp_path / "fast.h5")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


# ------------------------------------------------------------------------------------------------- pathology


@pytest.mark.parametrize(
    ("shape", "chunks", "says"),
    [
        ((64, 64, 128, 128), (64, 32, 128, 128), "are large: 67 MB are decoded to read one pattern"),
        ((64, 64, 128, 128), (64, 32, 16, 16), "cut each pattern into 64 pieces, those of 2,048 patterns together: 67"),
        ((4096, 128, 128), (1, 1, 128), "are small: 256 bytes each, 128 to a pattern"),
        ((4096, 128, 128), (16, 128, 128), None),
        ((64, 64, 128, 128), (4, 4, 64, 64), None),
        ((4096, 128, 128), None, None),
        ((20, 128, 128), (1, 1, 128), None),
    ],
)
def test_layouts_that_read_slowly_are_named(tmp_path, shape, chunks, says):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        found = pathology(file.create_dataset("patterns", shape, np.uint16, chunks=chunks))
    assert (found is None) == (says is None)
    assert says is None or says in found


def test_the_warning_ends_with_the_command_that_helps(tmp_path, caplog):
    from stem_datasets.hdf5 import Hdf5

    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("patterns", (64, 64, 128, 128), np.uint16, chunks=(64, 32, 128, 128), **hdf5plugin.LZ4())
    Hdf5(path=tmp_path / "scan.h5")
    assert caplog.text.rstrip().endswith(f"stem convert {tmp_path / 'scan.h5'} {tmp_path / 'scan_fast.h5'}")
