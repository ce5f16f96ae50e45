"""A small plugin distribution, found as an installed one is, whose components need no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemcore.plugins import catalogue

PLUGIN = """
from stemcore import hookimpl

@hookimpl
def stem_datasets():
    return {"toy_scan": "stem_toy.parts:Scan", "toy_table": "stem_toy.parts:Table"}

@hookimpl
def stem_models():
    return {"toy_net": "stem_toy.parts:Net", "toy_unet": "stem_toy.parts:UNet", "toy_gone": "stem_toy.gone:Net"}

@hookimpl
def stem_losses():
    return {"toy_mse": "stem_toy.parts:Power", "toy_penalty": "stem_toy.parts:Penalty"}

@hookimpl
def stem_metrics():
    return {"toy_psnr": "stem_toy.parts:Psnr"}

@hookimpl
def stem_figures():
    return {"toy_curve": "stem_toy.parts:Psnr"}

@hookimpl
def stem_callbacks():
    return {"toy_ema": "stem_toy.parts:Power"}

@hookimpl
def stem_transforms():
    return {"toy_log": "stem_toy.parts:Log"}

@hookimpl
def stem_augmentations():
    return {"toy_flip": "stem_toy.parts:Flip"}

@hookimpl
def stem_samplers():
    return {"toy_sampler": "stem_toy.parts:Psnr"}

@hookimpl
def stem_backends():
    return {"toy_tpu": "stem_toy.parts:Power"}

@hookimpl
def stem_loggers():
    return {"toy_file": "stem_toy.parts:Log"}

@hookimpl
def stem_optimizers():
    return {"toy_adam": "stem_toy.parts:adam", "toy_sgd": "stem_toy.parts:sgd"}

@hookimpl
def stem_schedulers():
    return {"toy_cosine": "stem_toy.parts:cosine"}

@hookimpl
def stem_weight_schedules():
    return {"toy_ramp": "stem_toy.parts:Ramp"}

@hookimpl
def stem_recipes():
    return {"toy_recipe": "stem_toy:recipes/toy_recipe.yaml", "toy_lost": "stem_toy:recipes/lost.yaml"}
"""

PARTS = '''
from __future__ import annotations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from pydantic import Field

if TYPE_CHECKING:
    from nowhere import Spec

class Scan:
    """A scan.

    Args:
        path: the file.
        size: patterns of a block.
    """
    def __init__(self, *, path: Path, size: Annotated[int, Field(ge=1)] = 4, also: list[Path] | None = None):
        self.path, self.size, self.also = path, size, also

class Table:
    """A table."""
    def __init__(self, *, rows: int = 3):
        self.rows = rows

class Net:
    """A network."""
    def __init__(self, spec: Spec, *, latent_dim: Annotated[int, Field(ge=1)], act: str | None = "relu",
                 width: float = 1.0, copy: bool = False, mode: Literal["a", "b"] | int = "a"):
        self.spec, self.latent_dim, self.act = spec, latent_dim, act

class UNet:
    """Another network."""
    def __init__(self, spec: Spec, *, depth: int = 3):
        self.depth = depth

class Power:
    """A power."""
    def __init__(self, *, p: Annotated[float, Field(gt=0)] = 2.0):
        self.p = p

class Penalty:
    """A penalty."""
    def __init__(self, *, eps: float = 1e-8):
        self.eps = eps

class Psnr:
    """A score."""
    def __init__(self, *, floor: float = 0.0):
        self.floor = floor

class Log:
    """A logarithm."""
    def __init__(self, spec, *, base: float = 10.0):
        self.base = base

class Flip:
    """A flip."""
    def __init__(self, spec, *, p: Annotated[float, Field(ge=0, le=1)] = 0.5, fields: list[str] | None = None):
        self.p = p

class Ramp:
    """A ramp."""
    def __init__(self, total_epochs, *, from_: float = 0.0, to: float = 1.0):
        self.from_, self.to = from_, to

def adam(params, *, lr: Annotated[float, Field(gt=0)] = 1e-3, betas: tuple[float, float] = (0.9, 0.999)):
    """Adam."""
    return ("adam", params, lr, betas)

def sgd(params, *, lr: Annotated[float, Field(gt=0)], momentum: float = 0.0):
    """Gradient descent."""
    return ("sgd", params, lr, momentum)

def cosine(optimizer, total_steps, *, floor: float = 0.0):
    """Half a cosine."""
    return (optimizer, total_steps, floor)
'''

RECIPE = """# A toy.
stem: 1
name: toy
data:
  train: {type: toy_scan, path: scan.h5}
model: {type: toy_net, latent_dim: 8}
losses:
  toy_mse: {}
optimizer: {type: toy_adam, lr: 1e-3}
loggers: []
"""


@pytest.fixture
def toy(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the distribution ``stem-toy``, on the path while a test runs."""
    site = tmp_path_factory.mktemp("site")
    package, info = site / "stem_toy", site / "stem_toy-1.5.dist-info"
    (package / "recipes").mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(PLUGIN)
    (package / "parts.py").write_text(PARTS)
    (package / "recipes" / "toy_recipe.yaml").write_text(RECIPE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-toy\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[stemcore]\ntoy = stem_toy.plugin\n")
    monkeypatch.syspath_prepend(str(site))
    for name in [name for name in sys.modules if name.split(".")[0] == "stem_toy"]:
        monkeypatch.delitem(sys.modules, name)
    catalogue.cache_clear()
    yield site
    catalogue.cache_clear()


@pytest.fixture
def toy_recipe(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of toy components, ``toy.yaml`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path
