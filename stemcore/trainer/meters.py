"""Sums of losses on the device, and the watch for values that are not finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stemcore.errors import TrainingFailed


def wide(device: torch.device) -> torch.dtype:
    """The widest float type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


class Meter:
    """Means of several numbers over items, accumulated on the device and read back only when asked for."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = list(names)
        self.sums = torch.zeros(len(self.names), device=device, dtype=wide(device))
        self.count = 0
        self._mark = (self.sums.clone(), 0)

    def add(self, values: Tensor, items: int) -> None:
        """Adds the mean ``values`` (len(names),) of ``items`` items."""
        self.sums.add_(values, alpha=items)
        self.count += items

    def means(self) -> dict[str, float]:
        """Means since the start."""
        return self._named(self.sums, self.count)

    def recent(self) -> dict[str, float]:
        """Means since the last call."""
        sums, count = self._mark
        self._mark = (self.sums.clone(), self.count)
        return self._named(self.sums - sums, self.count - count)

    def _named(self, sums: Tensor, count: int) -> dict[str, float]:
        return dict(zip(self.names, (sums / max(count, 1)).tolist(), strict=True))

    def state_dict(self) -> dict[str, object]:
        """Sums and counts, also of the part since ``recent``."""
        return {"sums": self.sums.cpu(), "count": self.count, "mark": self._mark[0].cpu(), "mark_count": self._mark[1]}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Takes back what ``state_dict`` returned."""
        self.sums.copy_(state["sums"])  # type: ignore[arg-type]
        self.count = state["count"]  # type: ignore[assignment]
        self._mark = (state["mark"].to(self.sums), state["mark_count"])  # type: ignore[attr-defined, assignment]


class FiniteWatch:
    """Remembers, without waiting for the device, which of the last batches had a loss that is not finite.

    Args:
        names: the total and the terms.
        length: batches remembered; ``check`` has to be called at least that often.
        device: where the losses are.
    """

    def __init__(self, names: Sequence[str], length: int, device: torch.device) -> None:
        self.names = list(names)
        self.ring = torch.ones(length, len(self.names), dtype=torch.bool, device=device)
        self.batches: list[Tensor | None] = [None] * length
        self.seen = 0

    def note(self, values: Tensor, index: Tensor) -> None:
        """Looks at the losses ``values`` of the batch of items ``index``."""
        slot = self.seen % len(self.batches)
        self.ring[slot] = torch.isfinite(values)
        self.batches[slot] = index
        self.seen += 1

    def check(self) -> None:
        """Waits for the device.

        Raises:
            TrainingFailed: if a loss was not finite; names the term and the items of the first such batch.
        """
        if bool(self.ring.all()):
            return
        bad = (~self.ring).cpu()
        length = len(self.batches)
        oldest = self.seen % length if self.seen >= length else 0
        slot = next(s % length for s in range(oldest, oldest + length) if bool(bad[s % length].any()))
        terms = [n for n, wrong in zip(self.names, bad[slot].tolist(), strict=True) if wrong]
        named = terms[1:] if len(terms) > 1 else terms
        index = self.batches[slot]
        items = [] if index is None else index.tolist()
        raise TrainingFailed(
            f"the loss is not finite: {' and '.join(named)} of the batch with items {', '.join(map(str, items))}"
        )
