"""A plugin of two rivals: a generator of points in the plane, and a critic that knows them from measured ones.

The model detaches nothing: that each learns from its own loss alone is up to the optimizers of the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stemcore import Dataset, DataSpec, FieldSpec, Loss, Model, hookimpl

MEAN, MIXING = (1.5, -1.0), ((0.8, 0.0), (0.4, 0.5))


@hookimpl
def stem_datasets() -> dict[str, str]:
    return {"plane": f"{__name__}:Plane"}


@hookimpl
def stem_models() -> dict[str, str]:
    return {"rivals": f"{__name__}:Rivals"}


@hookimpl
def stem_losses() -> dict[str, str]:
    return {"fool": f"{__name__}:Fool", "judge": f"{__name__}:Judge", "near": f"{__name__}:Near"}


class Plane(Dataset):
    """Points of a normal distribution."""

    def __init__(self, *, items: int = 512) -> None:
        noise = np.random.default_rng(0).standard_normal((items, 2))
        self.points = (noise @ np.array(MIXING).T + MEAN).astype(np.float32)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        return {"input": FieldSpec("input", (2,), "float32")}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {"input": self.points[indices]}


class Rivals(Model):
    """An affine generator, a small critic, and a bystander that no score depends on."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.generator = nn.Linear(2, 2)
        self.critic = nn.Sequential(nn.Linear(2, 24), nn.SiLU(), nn.Linear(24, 1))
        self.bystander = nn.Linear(2, 1)

    def provides(self) -> Mapping[str, FieldSpec]:
        scores = {n: FieldSpec(n, (1,)) for n in ("real_score", "fake_score", "aside")}
        return {**scores, "fake": FieldSpec("fake", (2,))}

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        fake = self.generator(torch.randn_like(input))
        return {
            "fake": fake,
            "fake_score": self.critic(fake),
            "real_score": self.critic(input),
            "aside": self.bystander(input),
        }


class Fool(Loss):
    """Small where the generated points score high."""

    def forward(self, fake_score: Tensor) -> Tensor:
        return functional.softplus(-fake_score).mean()


class Judge(Loss):
    """Small where measured points score high and generated ones low."""

    def forward(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return functional.softplus(-real_score).mean() + functional.softplus(fake_score).mean()


class Near(Loss):
    """Small where the score aside is."""

    def forward(self, aside: Tensor) -> Tensor:
        return aside.square().mean()
