"""Training on files far larger than memory should be: a scan of 20 GB takes no more of it than one of 1 GB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.big_files import Kind, sparse_scan

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory as Linux tells it")

PROGRAM = """
import json, os, resource, sys
from stemcore import run
from stemcore.progress import reporter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def trained(path):
    recipe = json.loads(sys.argv[1])
    recipe["data"]["train"]["path"] = path
    run(recipe, output=path + ".run", fast_dev_run=True, reporter=reporter(quiet=True))

print(peak(), flush=True)
for path in sys.argv[2:]:
    child = os.fork()  # each in a process of its own, which begins with what was imported
    if not child:
        trained(path)
        print(peak(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def peak_megabytes(folder: Path, gigabytes: tuple[float, ...], kind: Kind) -> list[float]:
    """Peak memory of a process after its imports, and for each scan after one epoch of two batches, the standardisation
    of all patterns included."""
    scans = [folder / f"{kind}_{size}.h5" for size in gigabytes]
    for scan, size in zip(scans, gigabytes, strict=True):
        sparse_scan(scan, size, kind=kind)
    recipe = {
        "name": "big",
        "data": {
            "train": {"type": "hdf5"},
            "split": "block",
            "batch_size": 32,
            "cache": "none",
            "transforms": {"input": [{"type": "bin", "factor": 8}, "log1p", "standardize"]},
        },
        "model": {"type": "conv_autoencoder", "latent_dim": 4, "channels": [4, 8]},
        "losses": {"mse": {}},
        "loggers": ["csv"],
        "figures": {},
        "backend": "cpu",
    }
    environment = {**os.environ, "STEM_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", PROGRAM, json.dumps(recipe), *map(str, scans)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.splitlines()]


def flat(imported: float, small: float, large: float) -> bool:
    return large < 1.1 * small and large - imported < 1500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chunked", "virtual"])
def test_memory_does_not_grow_from_1_to_20_gb(kind: Kind, tmp_path: Path) -> None:
    peaks = peak_megabytes(tmp_path, (1, 20), kind)
    assert flat(*peaks), peaks


def test_memory_does_not_grow_from_half_a_gb_to_3_gb(tmp_path: Path) -> None:
    """What would keep a twentieth of the file in memory is seen here already."""
    peaks = peak_megabytes(tmp_path, (0.5, 3), "chunked")
    assert flat(*peaks), peaks
