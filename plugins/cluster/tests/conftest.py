"""A scan and a recipe that trains in a tenth of a second an epoch, stand-ins for commands, and a SLURM."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

SLURM_SCRIPT = Path(__file__).resolve().parents[3] / ".ci" / "slurm.sh"
RECIPE = """
stem: 1
name: small
seed: 5
data:
  train: {type: hdf5, path: scan.h5}
  val: 0.25
  batch_size: 16
  transforms: {input: [log1p]}
model: {type: conv_autoencoder, latent_dim: 2, channels: [2, 2], blocks: 0, norm: none}
losses: {mse: {}}
metrics: {psnr: {}}
optimizer: {type: adam, lr: 1e-2}
scheduler: null
loggers: [csv]
figures: {}
backend: cpu
trainer: {max_epochs: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEM_CACHE_DIR", str(tmp_path / "cache"))
    patterns = np.random.default_rng(0).poisson(3.0, (8, 8, 16, 16)).astype(np.uint16)
    with h5py.File("scan.h5", "w") as file:
        file["patterns"] = patterns
    Path("small.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a shell script into the PATH, for a scheduler's command that cannot be had here."""
    where = tmp_path / "bin"
    where.mkdir()
    monkeypatch.setenv("PATH", f"{where}:{os.environ['PATH']}")

    def put(name: str, text: str) -> Path:
        path = where / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
        return path

    return put


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SLURM of its own on this machine; the value of ``SLURM_CONF``."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "srun") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs SLURM: there is no {', '.join(missing)} ('.ci/slurm.sh install' as root)")
    if os.geteuid() != 0:
        pytest.skip("needs root, to start the daemons of SLURM")
    where = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SLURM_SCRIPT, "start", where], capture_output=True, text=True)
    if started.returncode != 0:
        pytest.fail(f"SLURM does not start:\n{started.stderr}")
    yield started.stdout.strip().removeprefix("SLURM_CONF=")
    subprocess.run([SLURM_SCRIPT, "stop", where], check=True)
