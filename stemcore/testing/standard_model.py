"""The model that losses, metrics and callbacks are shown where they name one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.component.model import Model


class StandardModel(Model):
    """A small autoencoder with a normalisation layer, of the input of any shape: positive predictions, and latents."""

    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__(spec)
        self.shape = tuple(n or 1 for n in spec["input"].shape) if "input" in spec else (3,)
        size = FieldSpec("input", self.shape).size
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.BatchNorm1d(width))
        self.decoder = nn.Linear(width, size)

    def provides(self) -> Mapping[str, FieldSpec]:
        """Prediction and latent."""
        prediction = FieldSpec("prediction", self.shape, like="input")
        return {"prediction": prediction, "latent": FieldSpec("latent", (self.decoder.in_features,))}

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Prediction (n, *shape) and latent (n, width)."""
        latent = self.encoder(input.flatten(1))
        prediction = functional.softplus(self.decoder(latent)).reshape(-1, *self.shape)
        return {"prediction": prediction, "latent": latent}


def standard_model(spec: DataSpec, width: int) -> StandardModel:
    """The model for a spec, with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StandardModel(spec, width)
