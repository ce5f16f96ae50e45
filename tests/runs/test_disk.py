"""Files on a disk that is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcore.runs.disk import Disk

resource = pytest.importorskip("resource")

COMPRESSIONS = ("none", "gzip", "bitshuffle-lz4")
WRITE = f"""
import resource
from pathlib import Path
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
from stemcore.files import write_atomically
from stemcore.runs.storage import OutputFile, Storage
from stemcore.runs.store import RowWriter

def fill(part, compression):
    file = OutputFile(part, Path("out.h5"))
    try:
        writer = RowWriter(file, "rows", 4096, (64, 64), (64, 64), {{}}, Storage("float32", compression))
        rows = np.random.default_rng(0).random((64, 64, 64)).astype(np.float32)
        for first in range(0, 4096, 64):
            writer.write(np.arange(first, first + 64), rows)
            print("line", first // 64)
        writer.finish()
    finally:
        file.close()

for compression in {COMPRESSIONS}:
    try:
        write_atomically(Path("out.h5"), lambda part: fill(part, compression))
    except OSError as error:
        print(error)
"""


def test_a_full_disk_is_named_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")  # HDF5 would end with a segmentation fault
    lines = ["line 0", "line 1", "line 2", "[Errno 27] File too large: 'out.h5'"]  # two to a chunk of 2 MB
    assert done.stdout.splitlines() == lines * len(COMPRESSIONS)
    assert list(tmp_path.iterdir()) == []


def test_reads_and_writes_as_other_files_do(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((100, 40)).astype(np.float32)
    disk = Disk(tmp_path / "part", tmp_path / "whole")
    with h5py.File(disk, "w") as file:
        data = file.create_dataset("rows", rows.shape, "f4", chunks=(7, 40), compression="gzip")
        for first in range(0, 100, 3):  # parts of chunks, which are read again
            data[first : first + 3] = rows[first : first + 3]
            file.flush()
        assert np.array_equal(data[:], rows)
        file.attrs["late"] = "value"
    disk.check()
    disk.close()
    with h5py.File(tmp_path / "part") as file:
        assert np.array_equal(file["rows"][:], rows)
        assert file.attrs["late"] == "value"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_first_error_is_kept(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "part", tmp_path / "whole")
    disk.write(b"before")
    disk.check()
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), disk._file.fileno())
    assert disk.write(b"lost") == 4
    assert (disk.tell(), disk.seek(0, os.SEEK_END)) == (10, 10)
    disk.close()
    with pytest.raises(OSError, match=r"\[Errno 28\] No space left on device: .*whole"):
        disk.check()
