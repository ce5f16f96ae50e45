"""Drawing items of rare classes more often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from stemcore import Dataset, Sampler, UserError

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Weighted(Sampler):
    """Draws the items of an epoch with replacement, each with the weight of its class: N / (K n), where N training
    items are of K classes, and n of them of this one, but within bounds. An item without a class (negative) has the
    weight 1.

    With the default bounds no class is drawn less often than it would be by itself beside one of average size, and a
    class with a hundredth of its fair share is not repeated a hundred times.

    Args:
        field: whole numbers, one for each item.
        minimum: least weight.
        maximum: greatest weight.
        length: items of an epoch; by default as many as there are for training.
    """

    def __init__(
        self,
        *,
        field: str = "label",
        minimum: Weight = 1.0,
        maximum: Weight = 20.0,
        length: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        if minimum > maximum:
            raise UserError(f"minimum {minimum:g} is greater than maximum {maximum:g}", hint="exchange them")
        self.field, self.minimum, self.maximum, self.length = field, minimum, maximum, length
        self._group = np.empty(0, np.int64)
        self._weights = np.empty(0)

    @property
    def fields(self) -> Sequence[str]:
        """The one that holds the classes."""
        return (self.field,)

    def bind(self, dataset: Dataset, indices: np.ndarray) -> None:
        """Counts the classes of the training items.

        Raises:
            UserError: if the field does not hold a whole number for each item, or no training item has a class.
        """
        labels = dataset.values(self.field)
        if labels.ndim != 1 or labels.dtype.kind not in "iub":
            message = f"'{self.field}' is {labels.dtype} of shape {labels.shape[1:]} for each item"
            raise UserError(message, hint="name a field that holds the class of each item, a whole number")
        labels = np.maximum(labels.astype(np.int64), -1)
        classes, counts = np.unique(labels[indices], return_counts=True)
        classes, counts = classes[classes >= 0], counts[classes >= 0]
        if not len(classes):
            raise UserError(f"no training item has a class in '{self.field}'", hint="leave out data.sampler")
        weights = np.clip(counts.sum() / (len(classes) * counts), self.minimum, self.maximum)
        # The last group has no class. Classes that no training item has are not drawn: which group they are in is
        # of no account.
        self._weights = np.append(weights, 1.0)
        place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        self._group = np.where(labels < 0, len(classes), place)

    def epoch(self, blocks: Sequence[np.ndarray], rng: np.random.Generator) -> Sequence[np.ndarray]:
        """Draws from each class as many items as chance wills, and sorts them into their blocks; none is larger than it
        was."""
        items = np.concatenate(blocks)
        group = self._group[items]
        members = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=len(self._weights))
        shares = sizes * self._weights
        drawn = rng.multinomial(self.length or len(items), shares / shares.sum())
        begins = np.cumsum(sizes) - sizes
        chosen = [
            members[begin + rng.integers(size, size=count)]
            for begin, size, count in zip(begins.tolist(), sizes.tolist(), drawn.tolist(), strict=True)
            if count
        ]
        times = np.bincount(np.concatenate(chosen), minlength=len(items))
        ends = np.cumsum([len(block) for block in blocks])
        repeated = (np.repeat(b, t) for b, t in zip(blocks, np.split(times, ends[:-1]), strict=True))
        return [
            r[k : k + len(block)]
            for block, r in zip(blocks, repeated, strict=True)
            for k in range(0, len(r), len(block))
        ]
