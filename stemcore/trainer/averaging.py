"""Exponential moving averages of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stemcore.recipe.sections import EMA


class Averages:
    """Averages of the trainable parameters over the optimizer steps: a <- d a + (1 - d) p, the first a being the first
    p (Polyak and Juditsky 1992). With ``warmup`` the decay d of the t-th change is min(decay, (1 + t) / (10 + t)), so
    that the weights of the first steps are soon forgotten.

    Buffers, such as the running statistics of batch normalisation, and parameters that are not trained are the model's
    own. Under fp16 a step that the scaler skips counts like any other: the parameters stood where they were.

    Args:
        model: on its device; its parameters stay the same objects.
        settings: the recipe's.
    """

    def __init__(self, model: nn.Module, settings: EMA) -> None:
        self.settings = settings
        self.count = 0
        """Parameter sets that are in the averages."""
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        self.averages = [p.detach().clone() for p in self.parameters]
        self._applied = False

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimizer step number ``step``, counted from 1."""
        settings = self.settings
        if step <= settings.start_step or step % settings.every_n_steps:
            return
        if self.count == 0:
            torch._foreach_copy_(self.averages, self._values())
        else:
            warm = (1 + self.count) / (10 + self.count) if settings.warmup else 1.0
            average = get_ema_multi_avg_fn(min(settings.decay, warm))  # type: ignore[no-untyped-call]
            average(self.averages, self._values(), self.count)
        self.count += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averages for its weights; before the first of them there are, its own."""
        if self.count == 0 or self._applied:
            yield
            return
        self._swap()
        self._applied = True
        try:
            yield
        finally:
            self._applied = False
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs besides the weights, which are the averages."""
        return {"count": self.count, "parameters": dict(zip(self.names, self._values(), strict=True))}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a checkpoint, whose weights the model has: they become the averages, and the parameters are put
        back."""
        self.count = state["count"]
        torch._foreach_copy_(self.averages, self._values())
        for name, parameter in zip(self.names, self.parameters, strict=True):
            parameter.copy_(state["parameters"][name])

    def _values(self) -> list[torch.Tensor]:
        return [p.detach() for p in self.parameters]

    def _swap(self) -> None:
        """Exchanges memory, not numbers: nothing is copied, and what was compiled for the parameters stays valid."""
        for place, parameter in enumerate(self.parameters):
            parameter.data, self.averages[place] = self.averages[place], parameter.data
