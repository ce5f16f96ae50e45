"""All training rows of a field, for numbers that cannot be merged from batches: medians, quantiles, neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from stem_transforms.features import holes, measured
from stemcore import FieldSpec, UserError

MOST_BYTES = 2 << 30


class TrainingRows:
    """The rows of a fit, float32 on the host, with NaN where a value is missing.

    Args:
        spec: the field.
        who: what gathers them, for the message.
        instead: what needs less memory, for its hint.
    """

    def __init__(self, spec: FieldSpec, who: str, instead: str) -> None:
        self.spec, self.who, self.instead = spec, who, instead
        self._parts: list[Tensor] = []
        self._bytes = 0
        self.bad = torch.zeros(spec.size, dtype=torch.bool, device="cpu")
        """Which features had a value that counts and is not finite."""

    def add(self, x: Tensor, mask: Tensor | None) -> None:
        """Takes in a batch (n, *shape); where ``mask`` (same shape) is false a value is missing.

        Raises:
            UserError: if the rows come to more than 2 GB.
        """
        self._bytes += 4 * x.numel()
        if self._bytes > MOST_BYTES:
            raise UserError(
                f"{self.who} holds all training rows of '{self.spec.name}' in memory, and they have more than "
                f"{MOST_BYTES >> 30} GB",
                hint=self.instead,
            )
        counting = measured(self.spec, x, mask)
        wrong = ~torch.isfinite(x) if counting is None else ~torch.isfinite(x) & counting
        self.bad |= wrong.reshape(len(x), -1).any(dim=0).cpu()
        rows = holes(x, counting).reshape(len(x), -1)
        # A copy: the loader uses the memory of its batches again.
        self._parts.append(rows.to("cpu", torch.float32, copy=True))

    def take(self) -> Tensor:
        """All rows (n, values), which are forgotten here."""
        rows = torch.cat(self._parts) if self._parts else torch.empty(0, self.spec.size)
        self._parts, self._bytes = [], 0
        return rows
