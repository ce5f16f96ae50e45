"""What the processes of a run decide and count together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed
from lightning_fabric import Fabric
from torch import Tensor

T = TypeVar("T")


class Together:
    """Small agreements between processes, on the host: a device that computes is not made to wait. A process alone
    agrees with itself.

    Every method has to be called by all processes, in the same order.

    Args:
        fabric: launched.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.rank, self.world = fabric.global_rank, fabric.world_size
        self._group = None
        if self.world > 1 and torch.distributed.get_backend() != "gloo":
            self._group = torch.distributed.new_group(backend="gloo")

    def any(self, flag: bool) -> bool:
        """Whether one of them says so."""
        if self.world == 1:
            return flag
        flags = torch.tensor(float(flag))
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX, group=self._group)
        return bool(flags)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all."""
        if self.world == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        torch.distributed.all_reduce(sums, group=self._group)
        found: list[float] = sums.tolist()
        return found

    def first(self, text: str | None) -> str | None:
        """The text of the first process that has one."""
        if not self.any(text is not None):
            return None
        return next(found for found in self.each(text) if found is not None)

    def each(self, value: T) -> list[T]:
        """What each of them has."""
        if self.world == 1:
            return [value]
        found: list[T] = [value] * self.world
        torch.distributed.all_gather_object(found, value, group=self._group)
        return found


def gathered(tensor: Tensor, items: int, world: int) -> Tensor:
    """The rows of all processes, in the order in which one process would have them; gradients flow back to each.

    Args:
        tensor: this process's rows, (n, ...); ``n`` may be smaller by one in the last processes.
        items: rows of all.
        world: number of processes.
    """
    kind = tensor.dtype
    rows = -(-items // world)
    own = tensor.to(torch.uint8) if kind == torch.bool else tensor
    if len(own) < rows:
        own = torch.cat([own, own.new_zeros((rows - len(own), *own.shape[1:]))])
    everything: Tensor = _Gather.apply(own.contiguous(), world)  # type: ignore[no-untyped-call]
    return everything.flatten(0, 1)[:items].to(kind)


class _Gather(torch.autograd.Function):
    """Rows (n, ...) of each process to those of all, (n, processes, ...)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, world: int) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(world)]
        torch.distributed.all_gather(parts, rows)
        return torch.stack(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        everywhere = gradient.contiguous().clone()
        torch.distributed.all_reduce(everywhere)
        return everywhere[:, torch.distributed.get_rank()], None
