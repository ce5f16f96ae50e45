"""The training batches of each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import Parts
from stemcore.assemble.parts import collecting
from stemcore.component.dataset import Dataset
from stemcore.component.sampler import Sampler
from stemcore.data.cache import Cache, Room, place
from stemcore.data.jobs import batch_count
from stemcore.data.loader import Loader
from stemcore.data.memory import cores, free_memory
from stemcore.data.order import Epoch, epoch_length, lane_count, plan_epoch, restrict
from stemcore.data.retry import patiently
from stemcore.data.tensors import item_bytes
from stemcore.errors import Problem, TrainingFailed, UserError


def loader_of(parts: Parts, fabric: Fabric, stop: Callable[[], bool] = lambda: False) -> Loader:
    """How batches come to this process, as the recipe's ``data`` say."""
    data = parts.recipe.data
    return Loader(
        fabric.device,
        workers=max(1, cores() // _on_this_machine(parts, fabric)) if data.num_workers == "auto" else data.num_workers,
        buffer_bytes=data.shuffle_buffer_mb * 1e6,
        pin=fabric.device.type == "cuda" if data.pin_memory == "auto" else bool(data.pin_memory),
        rank=fabric.global_rank,
        world=fabric.world_size,
        stop=stop,
        memory=parts.memory,
    )


def keep_in_memory(parts: Parts, fabric: Fabric) -> None:
    """Gives the data sets of ``parts`` caches, where the recipe wants them and there is room."""
    device = fabric.device

    def cache_of(dataset: Dataset) -> Cache | None:
        room = Room(parts.backend.free_memory(device), free_memory())
        where = place(parts.recipe.data.cache, dataset, device, room, sharers=_on_this_machine(parts, fabric))
        return None if where is None else Cache(dataset, where)

    parts.sources = parts.sources.kept(cache_of)


def _on_this_machine(parts: Parts, fabric: Fabric) -> int:
    """Processes that share this machine's cores and memory."""
    return max(1, fabric.world_size // parts.recipe.trainer.num_nodes)


def _stamps(dataset: Dataset) -> dict[Path, tuple[int, int] | None]:
    """Size and time of change of each file, ``None`` for one that is gone: what can be asked of thousands of files
    before every epoch."""
    found: dict[Path, tuple[int, int] | None] = {}
    for path in dataset.files:
        try:
            state = path.stat()
        except OSError:
            found[path] = None
        else:
            found[path] = (state.st_size, state.st_mtime_ns)
    return found


def refuse_other_batches(before: Sequence[int], now: Sequence[int], world: int) -> None:
    """Raises ``UserError`` if a run's batches, over all processes, are no longer those that it was trained in."""
    if list(before) != list(now):
        raise UserError(
            f"the run was trained in batches of {before[0]} items over all devices, from {before[1]} lanes of the "
            f"data; here they would be of {now[0]} ({now[0] // world} on each of {world}), from {now[1]} lanes",
            where="trainer.devices",
            hint="go on with as many devices, or with a data.batch_size whose product with their number is the same",
        )


def _bound(parts: Parts) -> Sampler | None:
    """The recipe's sampler, which has looked at the training data.

    Raises:
        UserError: if it cannot go by them.
    """
    sampler, source, component = parts.sampler, parts.sources.train, parts.recipe.data.sampler
    if sampler is None or component is None:
        return None
    problems: list[Problem] = []
    with collecting(problems, component.where):
        patiently(lambda: sampler.bind(source.dataset, source.indices), source.dataset, Event())
    if problems:
        raise UserError(*problems)
    return sampler


class Feed:
    """Reads this process's training batches, ahead of the device, in an order that seed and epoch decide.

    Args:
        parts: data and their settings.
        fabric: launched.
        limit: batches of an epoch, for trials; ``None`` for all.
        stop: asked while waiting for storage: whether to end early.
    """

    def __init__(
        self, parts: Parts, fabric: Fabric, limit: int | None = None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.data, self.seed, self.source = parts.recipe.data, parts.recipe.seed, parts.sources.train
        self.loader = loader_of(parts, fabric, stop)
        self.sampler = _bound(parts)
        self.blocks = restrict(self.source.dataset.blocks(), self.source.indices)
        self.stamps = _stamps(self.source.dataset)
        # A sampler may choose more items in one epoch than in another: all are cut to the shortest, so that schedules
        # and accumulation windows know where an epoch ends.
        epochs = range(parts.recipe.trainer.max_epochs if self.sampler is not None else 1)
        items = min(epoch_length(self.blocks, epoch=epoch, **self._settings()) for epoch in epochs)
        count = batch_count(items, self.data.batch_size, self.loader.world, self.data.drop_last)
        self.batches_per_epoch = count if limit is None else min(count, limit)
        self._items = items
        largest = max(map(len, self.blocks), default=0) * item_bytes(self.source.dataset)
        lanes = lane_count(sum(map(len, self.blocks)), largest, self.loader.buffer_bytes, self.loader.world)
        self.shape = [self.data.batch_size * self.loader.world, lanes]
        """Items of a batch over all processes, and the lanes that they come from: what the batches of an epoch depend
        on besides data and seed."""

    def items(self, number: int) -> int:
        """The items of a batch of the epoch that is read, over all processes."""
        size = self.data.batch_size * self.loader.world
        return min(size, self._items - number * size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch from number ``start`` on, fields as stored, on the device.

        Raises:
            TrainingFailed: if the files are no longer those that the run began with.
        """
        plan = self._plan(epoch)
        self._items = len(plan)
        changed = [path for path, stamp in _stamps(self.source.dataset).items() if stamp != self.stamps.get(path)]
        if changed:
            files = ", ".join(map(str, changed))
            raise TrainingFailed(f"{files}: has changed since the run was started; put the file back to go on")
        return self.loader.epoch(
            self.source,
            plan,
            self.data.batch_size,
            start=start,
            drop_last=self.data.drop_last,
            limit=self.batches_per_epoch,
        )

    def _plan(self, epoch: int) -> Epoch:
        return plan_epoch(self.blocks, epoch=epoch, **self._settings())

    def _settings(self) -> dict[str, Any]:
        """All but the number of an epoch that its order depends on."""
        return {
            "seed": self.seed,
            "item_bytes": item_bytes(self.source.dataset),
            "buffer_bytes": self.loader.buffer_bytes,
            "sampler": self.sampler,
            "world": self.loader.world,
        }
