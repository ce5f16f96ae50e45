from __future__ import annotations

import errno
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from stem_spectral import cube_formats, open_files
from stem_spectral.cube_formats import open_cubes, unreadable
from stem_spectral.data_examples import mixed
from stem_spectral.open_files import OpenFiles

from stemcore import UserError

EVERYTHING = (slice(None),) * 3


def written(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{k}.mat" for k in range(count)]
    for k, path in enumerate(paths):
        scipy.io.savemat(path, {"cube": mixed(start=k)})
    return paths


def test_files_that_were_used_longest_ago_are_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MOST_OPEN", 2)
    paths, files = written(tmp_path, 3), OpenFiles()
    first, second = files.file(paths[0]), files.file(paths[1])
    assert files.file(paths[0]) is first
    files.file(paths[2])
    assert files.file(paths[0]) is first
    assert files.file(paths[1]) is not second


def test_what_is_held_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "MOST_HELD", int(1.5 * mixed().nbytes))
    paths, files = written(tmp_path, 3), OpenFiles()
    for k, path in enumerate(paths):
        assert np.array_equal(files.read(path, "cube", EVERYTHING), mixed(start=k))
    assert files.file(paths[2]).held == mixed().nbytes
    assert files.file(paths[0]).held == 0


def test_chunks_of_whole_bands_are_decoded_once_for_a_row_of_tiles(tmp_path: Path) -> None:
    path, files = tmp_path / "cube.h5", OpenFiles()
    stored = np.arange(3_000_000.0).reshape(3, 1000, 1000) // 1000
    with h5py.File(path, "w") as file:
        cube = file.create_dataset("cube", data=stored, chunks=(1, 1000, 1000), compression="gzip", compression_opts=1)
        places = [(cube.id.get_chunk_info(k).byte_offset, cube.id.get_chunk_info(k).size) for k in range(3)]
    tiles = [(slice(None), slice(0, 100), slice(start, start + 100)) for start in (0, 400, 900)]
    assert np.array_equal(files.read(path, "cube", tiles[0]), stored[tiles[0]])
    with path.open("r+b") as raw:  # What is decoded again from here on is damaged.
        for offset, size in places:
            raw.seek(offset)
            raw.write(bytes(size))
    for tile in tiles[1:]:
        assert np.array_equal(files.read(path, "cube", tile), stored[tile])
    assert files.file(path).held == stored.nbytes
    files.close()
    with pytest.raises(UserError, match="cannot be read"):
        files.read(path, "cube", tiles[0])


def test_what_is_decoded_of_compressed_tiffs_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = mixed().astype(np.float32)
    monkeypatch.setattr(open_files, "MOST_HELD", int(1.5 * cube.nbytes))
    paths, files = [tmp_path / f"{k}.tif" for k in range(2)], OpenFiles()
    for path in paths:
        tifffile.imwrite(path, cube, planarconfig="separate", photometric="minisblack", compression="zlib")
    first = files.file(paths[0])
    for path in (*paths, paths[1]):
        assert np.array_equal(files.read(path, "", EVERYTHING), cube)
    assert files.file(paths[1]).held == cube.nbytes
    assert files.file(paths[0]) is not first


def test_open_files_are_not_sent_to_other_processes(tmp_path: Path) -> None:
    (path,) = written(tmp_path, 1)
    files = OpenFiles()
    files.read(path, "cube", EVERYTHING)
    again = pickle.loads(pickle.dumps(files))
    assert np.array_equal(again.read(path, "cube", EVERYTHING), mixed())


def test_failures_of_storage_that_may_pass_are_left_to_the_core(tmp_path: Path) -> None:
    stale = OSError(errno.ESTALE, "stale file handle")
    assert unreadable(tmp_path, stale) is stale
    assert isinstance(unreadable(tmp_path, OSError(errno.EINVAL, "bad")), UserError)
    assert isinstance(unreadable(tmp_path, ValueError()), UserError)


@pytest.mark.parametrize(("name", "ending", "needs"), [("scipy.io", ".mat", "scipy"), ("tifffile", ".tif", "tifffile")])
def test_a_library_that_is_missing_is_named(
    name: str, ending: str, needs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"cube{ending}"
    path.write_bytes(b"MATLAB 5.0")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"needs {needs}; pip install 'stemcore\[hyperspectral\]'"):
        open_cubes(path)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cube.npy").touch()
    for path, said in ((tmp_path, "is a directory"), (tmp_path / "cube.npy", "is empty")):
        with pytest.raises(UserError, match=said):
            cube_formats.check_file(path)
    with pytest.raises(UserError, match=r"no such file; did you mean cube\.npy\?"):
        cube_formats.check_file(tmp_path / "cubes.npy")
    with pytest.raises(UserError, match="there is no folder"):
        cube_formats.check_file(tmp_path / "none" / "cube.npy")
