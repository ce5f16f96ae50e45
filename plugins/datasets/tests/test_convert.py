from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import h5py
import hdf5plugin  # noqa: F401  importing it registers the filters
import numpy as np
import pytest
from stem_datasets.encoding import LEVELS, Encoding, encoding
from stem_datasets.plan import planned
from stem_datasets.rewrite import ConversionFailed, rewrite

from stemcore.cli.main import execute


@pytest.fixture
def scan():
    """Counts (6, 7, 32, 24) of a scan with a spot that moves."""
    return np.random.default_rng(1).poisson(2.0, (6, 7, 32, 24)).astype(np.uint16)


@pytest.fixture
def convert(tmp_path, capsys):
    """Types ``stem convert``; the exit code, stdout and stderr."""

    def convert(*arguments):
        code = execute(["convert", *map(str, arguments)])
        return code, *capsys.readouterr()

    return convert


def stored(path, name="patterns"):
    with h5py.File(path) as file:
        return file[name][()], file[name].chunks


LAYOUTS = {
    "auto": True,
    "quarters": (3, 4, 16, 12),
    "hyperspy": (4, 4, 32, 24),
    "one row": (1, 1, 1, 24),
    "whole scan": (6, 7, 32, 24),
    "contiguous": None,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [">u2", "f4"])
def test_values_are_the_same_from_any_layout(convert, write, tmp_path, scan, layout, dtype):
    path = write(patterns=scan.astype(dtype), options={"chunks": LAYOUTS[layout]})
    before = path.read_bytes()
    assert convert(path, tmp_path / "out.h5", "--dataset", "patterns")[0] == 0
    values, chunks = stored(tmp_path / "out.h5")
    assert values.dtype == np.dtype(dtype)
    assert values.tobytes() == scan.astype(dtype).tobytes()
    assert chunks == (2, 7, 32, 24)
    assert path.read_bytes() == before


@pytest.mark.parametrize("compression", LEVELS)
def test_each_compression(convert, write, tmp_path, scan, compression):
    path = write(patterns=scan.reshape(-1, 32, 24))
    assert convert(path, tmp_path / "out.h5", "--dataset", "patterns", "--compression", compression)[0] == 0
    values, chunks = stored(tmp_path / "out.h5")
    np.testing.assert_array_equal(values, scan.reshape(-1, 32, 24))
    assert chunks == (None if compression == "none" else (14, 32, 24))


@pytest.mark.parametrize("dtype", ["?", "u1", ">i4", "f2", ">f8"])
def test_each_type(convert, write, tmp_path, scan, dtype):
    values = scan.astype(dtype)
    if values.dtype.kind == "f":
        values[0, 0, 0, :3] = np.nan, np.inf, -0.0
    path = write(patterns=values)
    assert convert(path, tmp_path / "out.h5", "--dataset", "patterns")[0] == 0
    assert stored(tmp_path / "out.h5")[0].dtype == values.dtype
    assert stored(tmp_path / "out.h5")[0].tobytes() == values.tobytes()


def test_all_else_is_carried_over(convert, write, tmp_path, scan):
    path = write(attrs={"dose": 2e4}, patterns=scan, calibration__k=np.arange(4.0), labels=np.arange(42))
    with h5py.File(path, "r+") as file:
        file["patterns"].attrs.update({"scale_factor": 0.5, "unit": "counts"})
        file["calibration/k"].make_scale("k")
        file["signal"] = h5py.SoftLink("/patterns")
        file.create_dataset("growing", data=scan, maxshape=(None, 7, 32, 24), fillvalue=7, chunks=(1, 1, 32, 24))
    arguments = ("--dataset", "signal", "--dataset", "growing", "--chunk-items", 3)
    assert convert(path, tmp_path / "out.h5", *arguments)[0] == 0
    with h5py.File(tmp_path / "out.h5") as out:
        assert dict(out.attrs) == {"dose": 2e4}
        assert dict(out["patterns"].attrs) == {"scale_factor": 0.5, "unit": "counts"}
        assert out["signal"] == out["patterns"]
        assert out["patterns"].chunks == out["growing"].chunks == (1, 3, 32, 24)
        assert out["growing"].maxshape == (None, 7, 32, 24)
        assert out["growing"].fillvalue == 7
        assert out["calibration/k"].is_scale
        np.testing.assert_array_equal(out["labels"], np.arange(42))


def test_what_is_large_or_badly_chunked_is_rewritten(convert, tmp_path):
    shapes = {
        "large": ((64, 64, 128), (64, 64, 128)),
        "bad": ((2000, 16, 24), (100, 4, 24)),
        "small": ((4, 8, 8), (2, 8, 8)),
        "flat": ((4096, 256), (256, 256)),
    }
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for name, (shape, chunks) in shapes.items():
            file.create_dataset(name, shape, "u2", chunks=chunks)
        file.create_dataset("complex", (64, 64, 128), "c8", chunks=(64, 64, 128))
        file["text"] = "a"
    assert convert(tmp_path / "in.h5", tmp_path / "out.h5")[0] == 0
    with h5py.File(tmp_path / "in.h5") as old, h5py.File(tmp_path / "out.h5") as new:
        changed = {name for name in old if new[name].chunks != old[name].chunks}
    assert changed == {"large", "bad"}


def test_data_in_other_files_become_part_of_it(convert, write, tmp_path, scan):
    write("raw/part.h5", patterns=scan[:3])
    layout = h5py.VirtualLayout(scan.shape, "u2", maxshape=scan.shape)
    layout[:3] = h5py.VirtualSource("raw/part.h5", "patterns", scan[:3].shape)
    scan[3:].tofile(tmp_path / "raw.bin")
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_virtual_dataset("patterns", layout)
        external = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("external", scan[3:].shape, "u2", external=external)
    (tmp_path / "far").mkdir()
    code, out, _ = convert(tmp_path / "in.h5", tmp_path / "far" / "out.h5")
    assert code == 0
    assert "virtual -> (2, 7, 32, 24)" in out
    for path in ("raw/part.h5", "raw.bin"):
        assert convert(tmp_path / "in.h5", tmp_path / path, "--force")[0] == 2
        os.remove(tmp_path / path)
    values, _ = stored(tmp_path / "far" / "out.h5")
    np.testing.assert_array_equal(values[:3], scan[:3])
    assert not values[3:].any()
    np.testing.assert_array_equal(stored(tmp_path / "far" / "out.h5", "external")[0], scan[3:])
    code, _, err = convert(tmp_path / "in.h5", tmp_path / "again.h5")
    assert code == 2
    assert "its source raw/part.h5 is missing" in err


def test_a_user_block_is_carried_over(convert, tmp_path, scan):
    with h5py.File(tmp_path / "in.mat", "w", userblock_size=512) as file:
        file["patterns"] = scan
    with (tmp_path / "in.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    assert convert(tmp_path / "in.mat", tmp_path / "out.mat", "--dataset", "patterns")[0] == 0
    assert (tmp_path / "out.mat").read_bytes()[:512] == b"MATLAB 7.3 MAT-file".ljust(512, b"\0")
    np.testing.assert_array_equal(stored(tmp_path / "out.mat")[0], scan)


def test_real_patterns(convert, shared_scan, tmp_path):
    code, out, err = convert(shared_scan, tmp_path / "out.h5", "--compression", "gzip", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["verified"] is True
    assert document["bytes"] == (tmp_path / "out.h5").stat().st_size < 1.05 * document["bytes_before"]
    patterns = {d["name"]: d for d in document["datasets"]}["/patterns"]
    assert patterns["chunk_before"] == "(16, 128, 128)"
    assert patterns["chunk"] == [32, 128, 128]
    np.testing.assert_array_equal(stored(tmp_path / "out.h5")[0], stored(shared_scan)[0])
    assert "patterns written: 4224/4224" in err


def test_the_line_at_the_end(convert, write, tmp_path, scan):
    path, out = write(patterns=scan), tmp_path / "out.h5"
    code, said, err = convert(path, out, "--dataset", "patterns", "--compression", "none", "-q")
    sizes = f"{path.stat().st_size / 1e6:.1f} MB -> {out.stat().st_size / 1e6:.1f} MB"
    assert said == f"{out}: {sizes} (x 1.00), none; patterns in chunks contiguous -> contiguous; verified\n"
    assert (code, err) == (0, "")


def test_out_is_never_in_and_replaced_only_by_force(convert, write, tmp_path, scan):
    path = write(patterns=scan)
    before = path.read_bytes()
    (tmp_path / "soft.h5").symlink_to(path)
    (tmp_path / "hard.h5").hardlink_to(path)
    for same in (path, tmp_path / "soft.h5", tmp_path / "hard.h5"):
        code, _, err = convert(path, same, "--dataset", "patterns", "--force")
        assert (code, "holds data of IN" in err) == (2, True)
    (tmp_path / "there.h5").write_text("mine")
    code, _, err = convert(path, tmp_path / "there.h5", "--dataset", "patterns")
    assert (code, "--force" in err) == (2, True)
    assert (tmp_path / "there.h5").read_text() == "mine"
    (tmp_path / "link.h5").symlink_to(tmp_path / "there.h5")
    assert convert(path, tmp_path / "link.h5", "--dataset", "patterns", "--force")[0] == 0
    assert (tmp_path / "link.h5").is_symlink()
    np.testing.assert_array_equal(stored(tmp_path / "there.h5")[0], scan)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "pattern"], "did you mean 'patterns'"),
        ([], "no dataset of 1 MB or more"),
        (["--compression", "zip"], "is not one of"),
        (["--compression", "lz4", "--level", "3"], "lz4 has no levels; those that have: gzip, zstd, blosc"),
        (["--level", "3"], "bitshuffle-lz4 has no levels"),
        (["--chunk-items", "0"], "0 is not in the range"),
    ],
)
def test_wrong_input(convert, write, tmp_path, scan, arguments, said):
    code, out, err = convert(write(patterns=scan), tmp_path / "out.h5", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert os.listdir(tmp_path) == ["scan.h5"]


def test_a_dataset_of_another_file_is_refused_with_its_name(convert, write, tmp_path, scan):
    write("data.h5", patterns=scan)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["patterns"] = h5py.ExternalLink("data.h5", "/patterns")
    code, _, err = convert(tmp_path / "master.h5", tmp_path / "out.h5", "--dataset", "patterns")
    assert code == 2
    assert f"convert {tmp_path / 'data.h5'}" in err


def test_files_that_are_none(convert, tmp_path):
    (tmp_path / "text.h5").write_text("text")
    for path in ("none.h5", "text.h5", "."):
        assert convert(tmp_path / path, tmp_path / "out.h5")[0] == 2
    assert not (tmp_path / "out.h5").exists()


def test_a_damaged_chunk_is_named(convert, write, spoil, tmp_path, scan):
    path = write(patterns=scan, options={"chunks": (2, 2, 32, 24), "compression": "gzip"})
    spoil(path, (2, 4, 0, 0))
    code, out, err = convert(path, tmp_path / "out.h5", "--dataset", "patterns")
    assert (code, out) == (2, "")
    assert f"{path}: chunk 1, 2, 0, 0 of dataset '/patterns' cannot be read" in err
    assert os.listdir(tmp_path) == ["scan.h5"]


def test_a_filter_that_loses_something_is_noticed(write, tmp_path, scan):
    path = write(patterns=scan.astype(np.float32) / 3)
    lossy = Encoding("lossy", lambda value_bytes: {"scaleoffset": 1})
    with h5py.File(path) as file:
        plans = planned(file, ["patterns"], lossy)
    with pytest.raises(ConversionFailed, match="read back as other values"):
        rewrite(path, tmp_path / "out.h5", plans, lossy)
    assert os.listdir(tmp_path) == ["scan.h5"]
    assert ConversionFailed.exit_code == 1


def test_a_file_that_changes_meanwhile_is_noticed(write, tmp_path, scan):
    path = write(patterns=scan)

    def touch(value_bytes):
        os.utime(path, ns=(0, 0))
        return {}

    with h5py.File(path) as file:
        plans = planned(file, ["patterns"], encoding())
    with pytest.raises(ConversionFailed, match="was changed while it was read"):
        rewrite(path, tmp_path / "out.h5", plans, Encoding("touching", touch))
    assert os.listdir(tmp_path) == ["scan.h5"]


def typed(path, out, *arguments, before=""):
    """``stem convert`` in a process of its own."""
    code = f"{before}\nimport sys\nfrom stemcore.cli.main import execute\nsys.exit(execute(sys.argv[1:]))"
    command = [sys.executable, "-c", textwrap.dedent(code), "convert", str(path), str(out), *arguments]
    # What runs in the background of a shell ignores SIGINT, and so would its children.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, preexec_fn=heard, **pipes)


def empty_scan(path, megabytes, chunks=(8, 8, 128, 128)):
    """A scan that takes no space: nothing of it is written."""
    with h5py.File(path, "w") as file:
        file.create_dataset("patterns", (megabytes // 4, 128, 128, 128), "u2", chunks=chunks)
    return path


def test_an_interruption_leaves_nothing(tmp_path):
    process = typed(empty_scan(tmp_path / "in.h5", 4000), tmp_path / "out.h5", "--compression", "gzip", "--level", "9")
    assert "started" in process.stderr.readline()
    assert len(os.listdir(tmp_path)) == 2
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "stem: interrupted" in err) == (130, True)
    assert os.listdir(tmp_path) == ["in.h5"]


def test_storage_that_is_full_is_said_and_leaves_nothing(tmp_path):
    limit = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 24, 1 << 24))"
    path = empty_scan(tmp_path / "in.h5", 64)
    process = typed(path, tmp_path / "out.h5", "--compression", "none", "--chunk-items", "16", before=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{tmp_path / 'out.h5'} cannot be written: File too large" in err
    assert os.listdir(tmp_path) == ["in.h5"]


def test_space_that_cannot_suffice_is_said_before(convert, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("patterns", (1 << 16, 1 << 16, 1 << 10, 1 << 10), "u2", chunks=(1, 64, 1 << 10, 1 << 10))
    code, _, err = convert(tmp_path / "in.h5", tmp_path / "out.h5", "--compression", "none")
    assert code == 2
    assert "9.01e+06 GB are needed" in err
    assert os.listdir(tmp_path) == ["in.h5"]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs the peak of a process's memory")
def test_memory_does_not_grow_with_the_file(tmp_path):
    report = "import atexit\natexit.register(lambda: print(*[l for l in open('/proc/self/status') if 'VmHWM' in l]))"
    peaks = []
    for size in (128, 512):
        path = empty_scan(tmp_path / f"{size}.h5", size, chunks=(8, 8, 64, 64))
        out, _ = typed(path, tmp_path / f"{size}-out.h5", before=report).communicate(timeout=60)
        peaks.append(int(out.split("VmHWM:")[1].split()[0]) / 1024)
    assert peaks[1] < 1.1 * peaks[0]
