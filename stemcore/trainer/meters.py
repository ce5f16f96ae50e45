"""Means of losses, and the watch for values that are not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from stemcore.errors import TrainingFailed
from stemcore.trainer.together import Together

UNREAD = 1000  # batches whose losses stay on the device at most: half a megabyte of it


class Meter:
    """Means of several numbers over items. What is added stays on the device until it is asked for: adding neither
    waits for the device nor gives it anything to do.

    Args:
        names: the total and the terms.
        together: processes whose items are meant; ``None`` for those of this one. All of them have to ask at the same
            time then, and add as many batches.
    """

    def __init__(self, names: Sequence[str], together: Together | None = None) -> None:
        self.names = list(names)
        self.together = together if together is not None and together.world > 1 else None
        self.sums = [0.0] * len(self.names)
        self.count = 0
        self._mark = (self.sums, 0)
        self._unread: list[tuple[Tensor, int, Tensor | None]] = []

    def add(self, values: Tensor, items: int, index: Tensor | None = None) -> None:
        """Adds the mean ``values`` (len(names),) of ``items`` items; with their ``index`` they have to be finite."""
        self._unread.append((values, items, index))
        if len(self._unread) >= UNREAD:
            self.read()

    def read(self) -> None:
        """Waits for the device.

        Raises:
            TrainingFailed: if a loss that has to be finite is not; names term and items of the first such batch.
        """
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        failure = None
        rows = torch.stack([values for values, _, _ in unread]).tolist() if len(unread) > 1 else [unread[0][0].tolist()]
        for row, (_, items, index) in zip(rows, unread, strict=True):
            if failure is None and index is not None and not all(map(isfinite, row)):
                failure = self._failure(row, index)
                if self.together is None:
                    raise TrainingFailed(failure)
            # One after the other, so that sums do not depend on how often somebody looked.
            self.sums = [total + items * value for total, value in zip(self.sums, row, strict=True)]
            self.count += items
        if self.together is not None and (first := self.together.first(failure)) is not None:
            raise TrainingFailed(first, everywhere=True)

    def means(self) -> dict[str, float]:
        """Means since the start. Raises as ``read`` does."""
        self.read()
        return self._named(self.sums, self.count)

    def _everywhere(self, sums: Sequence[float], count: int) -> tuple[list[float], int]:
        """Sums and count over all processes."""
        if self.together is None:
            return list(sums), count
        *sums, items = self.together.sum([*sums, count])
        return sums, int(items)

    def recent(self) -> dict[str, float]:
        """Means since the last call. Raises as ``read`` does."""
        self.read()
        sums, count = self._mark
        self._mark = (self.sums, self.count)
        return self._named([a - b for a, b in zip(self.sums, sums, strict=True)], self.count - count)

    def state_dict(self) -> dict[str, Any]:
        """Sums and counts, also of the part since ``recent``. Raises as ``read`` does."""
        self.read()
        sums, count = self._everywhere(self.sums, self.count)
        mark, mark_count = self._everywhere(*self._mark)
        return {"sums": sums, "count": count, "mark": mark, "mark_count": mark_count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state_dict`` returned; of several processes the first does."""
        if self.together is not None and self.together.rank > 0:
            return
        self.sums, self.count = [float(v) for v in state["sums"]], state["count"]
        self._mark = ([float(v) for v in state["mark"]], state["mark_count"])

    def _named(self, sums: Sequence[float], count: int) -> dict[str, float]:
        sums, count = self._everywhere(sums, count)
        return {name: total / max(count, 1) for name, total in zip(self.names, sums, strict=True)}

    def _failure(self, row: Sequence[float], index: Tensor) -> str:
        wrong = [name for name, value in zip(self.names, row, strict=True) if not isfinite(value)]
        named = wrong[1:] if len(wrong) > 1 else wrong
        items = ", ".join(map(str, index.tolist()))
        return f"the loss is not finite: {' and '.join(named)} of the batch with items {items}"
