"""Copies of training items among samples, while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stem_memorization.figure import pairs, title
from stem_memorization.neighbours import Nearest
from stem_memorization.search import search
from stem_memorization.verdict import RATIO, THRESHOLD, Rule
from stem_memorization.views import decoded
from stemcore import Callback, Model, State, UserError

Count = Annotated[int, Field(ge=1)]
LEAST_ITEMS = 3


class Memorization(Callback):
    """Draws samples now and then and looks for copies of training items among them, as ``stem memorization`` does.

    Logs ``memorization/share``, the share of copies; ``memorization/expected``, that among held-out items (among
    training items, each without itself, where fewer than three are held out); and ``memorization/cosine_share``, the
    share that is above the threshold of the cosine. The closest pairs are ``figures/memorization_epochNNN.png``.
    Samples come from the weights that the run is judged by, without conditions, and are compared in the space that the
    model is trained in; those that are not finite, as of a model that has hardly learnt anything, are left out.

    Args:
        n: samples.
        every_n_epochs: how often; after the last epoch, too.
        max_items: training items that they are compared with, the first ones.
        threshold: cosine above which a sample is that of a training item.
        ratio: distance to the nearest training item over that to the next one, below which it is a copy.
        top: closest pairs in the figure, 0 for none.
    """

    def __init__(
        self,
        *,
        n: Count = 64,
        every_n_epochs: Count = 10,
        max_items: Annotated[int, Field(ge=LEAST_ITEMS)] = 10_000,
        threshold: Annotated[float, Field(ge=-1, le=1)] = THRESHOLD,
        ratio: Annotated[float, Field(ge=0, le=1)] = RATIO,
        top: Annotated[int, Field(ge=0)] = 8,
    ) -> None:
        self.n, self.every, self.max_items = n, every_n_epochs, max_items
        self.threshold, self.ratio, self.top = threshold, ratio, top

    def reports(self) -> Mapping[str, Literal["min", "max"] | None]:
        """Three shares, of which none is to be watched: they are there every few epochs."""
        return {f"memorization/{name}": None for name in ("share", "expected", "cosine_share")}

    def on_fit_start(self, state: State) -> None:
        """Refuses a model that does not sample."""
        if type(state.model).sample is Model.sample:
            message = f"callback 'memorization' needs a model that samples, not {type(state.model).__name__}"
            raise UserError(message, where="callbacks", hint="leave it out")

    def on_epoch_end(self, state: State) -> None:
        """Looks, if it is time or the last epoch."""
        if state.epoch % self.every == 0 or state.epoch == state.max_epochs:
            self._look(state)

    def _look(self, state: State) -> None:
        training = _Training(state, self.max_items)
        reference = training.first("val", self.n)
        held_out = len(reference) >= LEAST_ITEMS
        if not held_out:
            reference = training.first("train", self.n)
        if len(reference) < LEAST_ITEMS:
            return
        with state.evaluation() as model, torch.no_grad(), state.autocast():
            drawn = model.sample(self.n)
        samples = state.physical("input", drawn.float()).cpu().numpy()
        samples = samples[np.isfinite(samples).reshape(len(samples), -1).all(axis=1)]
        if len(samples) == 0:
            return
        queries = np.concatenate([samples, reference])
        own = np.concatenate([np.full(len(samples), -1), np.full(len(reference), -1) if held_out else training.numbers])
        found = search(training, queries, own)
        of_samples, of_reference = found[: len(samples)], found[len(samples) :]
        rule = Rule.of(of_reference, self.threshold, self.ratio)
        shares = (rule.copies(of_samples), rule.copies(of_reference), rule.alike(of_samples))
        state.report({name: float(share.mean()) for name, share in zip(self.reports(), shares, strict=True)})
        if self.top and state.first:
            self._show(state, samples, of_samples, rule, training)

    def _show(self, state: State, samples: np.ndarray, found: Nearest, rule: Rule, training: _Training) -> None:
        ratios, copies = rule.ratios(found), rule.copies(found)
        order = np.argsort(ratios, kind="stable")[: self.top]
        items, back = np.unique(found.item[order], return_inverse=True)
        left, right = (_pictures(state, values) for values in (samples[order], training.rows(items)))
        titles = [title(k, bool(copies[k]), ratios[k], found.cosine[k]) for k in order.tolist()]
        state.show("memorization", pairs(left, right[back], titles, [str(i) for i in found.item[order].tolist()]))


class _Training:
    """The training items of a run that trains, for :func:`search`."""

    def __init__(self, state: State, most: int) -> None:
        self._state, self._most = state, most
        self.numbers = np.empty(0, np.int64)

    @property
    def device(self) -> torch.device:
        return self._state.device

    def each(self, take: Callable[[Tensor, Tensor], None]) -> None:
        for values, items in self._batches("train", self._most):
            take(values, items)

    def rows(self, items: np.ndarray) -> np.ndarray:
        found, order = [], []
        for values, numbers in self._batches("train", self._most):
            mine = np.isin(numbers.cpu().numpy(), items)
            found.append(values.cpu().numpy()[mine])
            order.append(numbers.cpu().numpy()[mine])
        return np.concatenate(found)[np.argsort(np.concatenate(order))]

    def first(self, part: Literal["train", "val"], count: int) -> np.ndarray:
        """The first items of a part, whose ``numbers`` are kept; none where there are none."""
        batches = list(self._batches(part, count))
        if not batches:
            return np.empty((0, 1), np.float32)
        self.numbers = torch.cat([numbers for _, numbers in batches]).cpu().numpy()
        return torch.cat([values for values, _ in batches]).cpu().numpy()

    def _batches(self, part: Literal["train", "val"], most: int) -> Iterator[tuple[Tensor, Tensor]]:
        seen = 0
        for batch in self._state.items(part):
            values = self._state.physical("input", batch["input"].float())[: most - seen]
            yield values, batch["index"][: most - seen]
            seen += len(values)
            if seen >= most:
                return


@torch.no_grad()
def _pictures(state: State, values: np.ndarray) -> np.ndarray:
    decoder = getattr(state.model, "autoencoder", None)
    if decoder is None:
        return values
    physical = torch.from_numpy(values).to(state.device)
    return decoded(decoder, state.model.spec["input"], physical).float().cpu().numpy()
