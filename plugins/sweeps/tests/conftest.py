"""A scan and a recipe that trains in a tenth of a second."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

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
metrics: {psnr: {}, mse: {}}
optimizer: {type: adam, lr: 1e-2}
scheduler: null
loggers: []
figures: {}
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
