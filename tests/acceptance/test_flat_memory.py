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
import json, resource, sys
from stemcore import run
from stemcore.progress import reporter

recipe = json.loads(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(recipe, output=sys.argv[2], fast_dev_run=True, reporter=reporter(quiet=True))
print(json.dumps([before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def peak_megabytes(folder: Path, gigabytes: float, kind: Kind) -> tuple[float, float]:
    """Peak memory of a process after its imports, and after one epoch of two batches, the standardisation of all
    patterns included."""
    scan = folder / f"{kind}_{gigabytes}.h5"
    sparse_scan(scan, gigabytes, kind=kind)
    recipe = {
        "name": "big",
        "data": {
            "train": {"type": "hdf5", "path": str(scan)},
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
    program = [sys.executable, "-c", PROGRAM, json.dumps(recipe), str(folder / f"run_{gigabytes}")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout.splitlines()[-1])
    return before / 1024, after / 1024


@pytest.mark.parametrize("kind", ["chunked", pytest.param("virtual", marks=pytest.mark.slow)])
def test_memory_does_not_grow_from_1_to_20_gb(kind: Kind, tmp_path: Path) -> None:
    _, small = peak_megabytes(tmp_path, 1, kind)
    imported, large = peak_megabytes(tmp_path, 20, kind)
    assert large < 1.1 * small
    assert large - imported < 1500
