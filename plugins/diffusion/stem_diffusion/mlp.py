"""Diffusion of vectors."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_diffusion.conditions import Given
from stem_diffusion.diffusion import Diffusion
from stemcore import DataSpec, UserError

Count = Annotated[int, Field(ge=1)]


class DiffusionMlp(Diffusion):
    """Diffusion of vectors, such as points of a plane, by a residual perceptron.

    Args:
        hidden: width of its layers.
        layers: residual layers, each told the step and the conditions.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        hidden: Annotated[int, Field(ge=2, multiple_of=2)] = 128,
        layers: Count = 3,
        **rest: Any,
    ) -> None:
        super().__init__(spec, **rest)
        shape = spec["input"].shape
        if len(shape) != 1 or shape[0] is None:
            raise UserError(f"diffusion_mlp is for vectors (D,), the input is {shape}", hint="use diffusion_unet")
        self.hidden = hidden
        self.conditions = self.conditions_of(hidden)
        self.told = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.first = nn.Linear(shape[0], hidden)
        self.layers = nn.ModuleList(_Layer(hidden) for _ in range(layers))
        self.last = nn.Linear(hidden, shape[0])

    def estimated(self, xt: Tensor, t: Tensor, given: Given, kept: Tensor) -> Tensor:
        """See :meth:`Diffusion.estimated`."""
        told = self.told(step_embedding(t, self.hidden))
        condition = self.conditions(given, kept)
        told = told if condition is None else told + condition
        x = self.first(xt)
        for layer in self.layers:
            x = layer(x, told)
        return self.last(nn.functional.silu(x))


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.told = nn.LayerNorm(width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """``x`` (n, width) and what was added to it, given the step and the conditions, ``told`` (n, width)."""
        inner = self.inner(nn.functional.silu(self.norm(x))) + self.told(nn.functional.silu(told))
        return x + self.outer(nn.functional.silu(inner))


def step_embedding(t: Tensor, width: int) -> Tensor:
    """Steps (n,) as sines and cosines (n, width) of wavelengths from 2 pi to 20,000 pi; ``width`` is even.

    In float32, whatever the precision of the run: bfloat16 has no 257.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(1e4) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.to(torch.float32)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
