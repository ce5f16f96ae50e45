"""The training batches of each epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.data.loader import batch_count, prefetch, to_tensors, training_batches
from stemcore.data.order import Epoch, plan_epoch, restrict


class Feed:
    """Reads this process's training batches, ahead of the device, in an order that seed and epoch decide.

    Args:
        parts: data and their settings.
        fabric: launched.
        limit: batches of an epoch, for trials; ``None`` for all.
    """

    def __init__(self, parts: Parts, fabric: Fabric, limit: int | None = None) -> None:
        self.data, self.seed, self.fabric = parts.recipe.data, parts.recipe.seed, fabric
        self.dataset = parts.sources.train.dataset
        self.blocks = restrict(self.dataset.blocks(), parts.sources.train.indices)
        self.item_bytes = sum(f.size * np.dtype(f.dtype).itemsize for f in self.dataset.fields.values())
        # A sampler may choose more items in one epoch than in another: all are cut to the shortest, so that schedules
        # and accumulation windows know where an epoch ends.
        epochs = range(parts.recipe.trainer.max_epochs if self.data.sampler is not None else 1)
        count = min(self._batch_count(epoch) for epoch in epochs)
        self.batches_per_epoch = count if limit is None else min(count, limit)

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch from number ``start`` on, fields as stored, in host memory."""
        fabric = self.fabric
        pin = fabric.device.type == "cuda" if self.data.pin_memory == "auto" else bool(self.data.pin_memory)
        rows = training_batches(
            self.dataset,
            self._plan(epoch),
            self.data.batch_size,
            start=start,
            rank=fabric.global_rank,
            world=fabric.world_size,
            drop_last=self.data.drop_last,
        )
        tensors = (to_tensors(r, pin=pin) for r in rows)
        source = prefetch(tensors) if self.data.num_workers else tensors
        for _, batch in zip(range(start, self.batches_per_epoch), source, strict=False):
            yield batch

    def _batch_count(self, epoch: int) -> int:
        return batch_count(self._plan(epoch), self.data.batch_size, self.fabric.world_size, self.data.drop_last)

    def _plan(self, epoch: int) -> Epoch:
        sampler = self.data.sampler.build() if self.data.sampler is not None else None
        return plan_epoch(
            self.blocks,
            seed=self.seed,
            epoch=epoch,
            item_bytes=self.item_bytes,
            buffer_bytes=self.data.shuffle_buffer_mb * 1e6,
            sampler=sampler,
        )
