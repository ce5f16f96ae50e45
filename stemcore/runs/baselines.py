"""Simple predictions that a model has to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.data.loader import Loader
from stemcore.data.source import Source

ITEMS, BYTES = 4096, 512e6
TARGET = "target@physical"


class Baseline(ABC):
    """Predicts physical values from physical values."""

    @abstractmethod
    def __call__(self, target: Tensor) -> Tensor:
        """The prediction of a batch (n, ...)."""


class Zeros(Baseline):
    """Predicts nothing at all."""

    def __call__(self, target: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(target)


class Mean(Baseline):
    """Predicts the mean of the items it was fitted to."""

    def __init__(self, items: Tensor) -> None:
        self.mean = items.mean(dim=0)

    def __call__(self, target: Tensor) -> Tensor:
        """The mean item."""
        return self.mean.to(target).expand_as(target)


class Pca(Baseline):
    """Principal components of the square roots (which make the noise of counts uniform), squared back; of the values
    themselves where some are negative.

    Args:
        items: (n, ...) to be fitted to.
        components: how many are kept.
    """

    def __init__(self, items: Tensor, components: int) -> None:
        self.roots = bool((items >= 0).all())
        flat = self._roots(items).flatten(1)
        self.mean = flat.mean(dim=0)
        # A few components more than wanted and a few power iterations make the randomised SVD as good as exact.
        extra = min(components + 10, *flat.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, _, axes = torch.pca_lowrank(flat - self.mean, q=extra, center=False, niter=6)
        self.axes = axes[:, :components]

    def _roots(self, x: Tensor) -> Tensor:
        return x.clamp_min(0).sqrt() if self.roots else x

    def __call__(self, target: Tensor) -> Tensor:
        """The projection of a batch onto the components."""
        mean, axes = self.mean.to(target), self.axes.to(target)
        flat = (self._roots(target).flatten(1) - mean) @ axes @ axes.T + mean
        return (flat.clamp_min(0).square() if self.roots else flat).view_as(target)


def fit_baselines(parts: Parts, source: Source, components: int | None) -> dict[str, Baseline]:
    """The baselines, fitted to at most 4,096 items (and 512 MB) spread evenly over ``source``.

    Args:
        parts: how items become physical values on the model's pixel grid.
        source: the items.
        components: of the PCA; without it there is none.
    """
    size = parts.spec["input"].size * 4
    count = int(max(2, min(ITEMS, BYTES // size, len(source))))
    spread = source.indices[torch.linspace(0, len(source) - 1, count).round().long().numpy()]
    with torch.no_grad():
        device = next(iter([*parts.pipeline.buffers(), torch.zeros(())])).device
        batches = Loader(device).ordered(source.only(spread), 256)
        items = torch.cat([parts.pipeline(stored)[TARGET].cpu() for stored in batches])
    found: dict[str, Baseline] = {"zeros": Zeros(), "mean": Mean(items)}
    if components is not None and components < min(len(items), items[0].numel()):
        found[f"pca{components}"] = Pca(items, components)
    return found
