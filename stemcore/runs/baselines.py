"""Simple predictions that a model has to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.data.loader import Loader
from stemcore.data.order import restrict
from stemcore.data.source import Source
from stemcore.data.tensors import item_bytes, lengths

ITEMS, BYTES = 4096, 512e6
DIVERSE_BLOCKS, LEAST_BLOCKS, DECODED_BYTES = 256, 16, 2e9
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
        flat = flat.sub_(self.mean) if self.roots else flat - self.mean
        # A few components more than wanted and a few power iterations make the randomised SVD as good as exact.
        extra = min(components + 10, *flat.shape)
        with torch.random.fork_rng(devices=[flat.device] if flat.is_cuda else []):
            torch.manual_seed(0)
            _, _, axes = torch.pca_lowrank(flat, q=extra, center=False, niter=6)
        self.axes = axes[:, :components]

    def _roots(self, x: Tensor) -> Tensor:
        return x.clamp_min(0).sqrt() if self.roots else x

    def __call__(self, target: Tensor) -> Tensor:
        """The projection of a batch onto the components."""
        mean, axes = self.mean.to(target), self.axes.to(target)
        flat = (self._roots(target).flatten(1) - mean) @ axes @ axes.T + mean
        return (flat.clamp_min(0).square() if self.roots else flat).view_as(target)


def fit_baselines(parts: Parts, source: Source, components: int | None, device: torch.device) -> dict[str, Baseline]:
    """The baselines, fitted to at most 4,096 items (and 512 MB) of ``source``; fitting takes three times that memory.

    The items come from blocks spread evenly over the source, as many as it takes, from whose decoding no more than 2 GB
    result (or 16 blocks): a large source is sampled, not read.

    Args:
        parts: how items become physical values on the model's pixel grid.
        source: the items.
        components: of the PCA; without it there is none.
        device: where the baselines are computed.
    """
    spec = parts.spec["input"]
    spread = source.only(_spread(source, int(max(2, min(ITEMS, BYTES // (4 * spec.size), len(source))))))
    items = torch.empty((len(spread), *lengths(spec)), device=device)
    with torch.no_grad():
        for place, stored in zip(torch.split(items, 256), Loader(device).ordered(spread, 256), strict=True):
            place.copy_(parts.pipeline(stored)[TARGET])
        found: dict[str, Baseline] = {"zeros": Zeros(), "mean": Mean(items)}
        if components is not None and components < min(len(items), items[0].numel()):
            found[f"pca{components}"] = Pca(items, components)
    return found


def _spread(source: Source, count: int) -> np.ndarray:
    """About ``count`` items, never more, from blocks that lie far apart."""
    if len(source) <= count:
        return source.indices
    blocks = restrict(source.dataset.blocks(), source.indices)
    largest = max(map(len, source.dataset.blocks())) * item_bytes(source.dataset)
    most = max(LEAST_BLOCKS, int(DECODED_BYTES // largest))
    wanted = max(DIVERSE_BLOCKS, -(-count * len(blocks) // len(source)))
    chosen = [blocks[i] for i in _evenly(len(blocks), min(wanted, most, count))]
    each, rest = divmod(count, len(chosen))
    kept = [b[_evenly(len(b), each + (i < rest))] for i, b in enumerate(chosen)]
    return np.sort(np.concatenate(kept))


def _evenly(length: int, count: int) -> np.ndarray:
    return np.linspace(0, length - 1, min(length, count)).round().astype(int)
