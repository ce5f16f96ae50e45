"""One training step as a module: a batch in, what is to be minimised out."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stemcore.assemble import Parts
from stemcore.component.model import Model
from stemcore.trainer.together import gathered


class Crowd(NamedTuple):
    """A batch among those that other processes have at the same time: the items of all, and the number of processes."""

    items: int
    world: int


Result = tuple[tuple[Tensor, ...], Tensor, dict[str, Tensor]]


class Given:
    """A batch that Fabric leaves as it is. What it can look into it rounds to the precision of the run, and a target
    of 999 counts would become 1000; autocast rounds what the model computes with, and only there.

    Args:
        batch: named tensors, on the device.
    """

    def __init__(self, batch: Mapping[str, Tensor]) -> None:
        self.batch = batch


def single_precision(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs as losses, metrics and figures get them: half-precision numbers in float32, all else as it is (what is
    true or false, whole numbers)."""
    return {n: t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for n, t in outputs.items()}


class Step(nn.Module):
    """Model and losses together, which Fabric wraps as one: hooks per tensor stay few, and losses may call parts of
    the model under DDP.

    Args:
        model: the model.
        parts: the losses and their wires.
        compiled: whether model and losses go through ``torch.compile`` as one. A loss that names ``progress``, which
            is another number at every step, would be compiled anew each time: then the model is compiled alone. So it
            is where a loss gathers the items of all processes.
        shares: the losses of each objective by name, ``None`` for all: one objective for each backward pass.
    """

    def __init__(
        self,
        model: Model,
        parts: Parts,
        *,
        compiled: bool = False,
        shares: Sequence[Collection[str] | None] = (None,),
    ) -> None:
        super().__init__()
        self.model = model
        self.shares = shares
        self.losses = nn.ModuleList(term.component for term in parts.losses)
        self.parts = parts
        self.context = parts.context(model)
        self.evaluate = self._evaluate
        self.crowd: Crowd | None = None
        if compiled and any(term.gather or "progress" in term.wires.special for term in parts.losses):
            model.compile(dynamic=False)
        elif compiled:
            # Whole batches and the shorter last one of an epoch, in training and in evaluation: each is compiled once.
            self.evaluate = torch.compile(self._evaluate, dynamic=False)

    def forward(
        self, given: Given, weights: Mapping[str, float], progress: float, crowd: Crowd | None = None
    ) -> Result:
        """The objectives, weighted totals; the total of all and every unweighted term, detached, in one vector; the
        outputs, detached.

        In a ``crowd`` the means of the objectives over its processes are those over all items, though the last batch
        of an epoch may be shorter in some; terms that gather are computed on all items in each process.
        """
        self.context["progress"] = progress
        self.crowd = crowd
        outputs, terms = self.evaluate(given.batch)
        weighted = {}
        for term, value in zip(self.parts.losses, terms, strict=True):
            weight = weights[term.name]
            weighted[term.name] = value if weight == 1.0 else weight * value
        first = next(iter(given.batch.values()))
        device = first.device
        part = 1.0 if crowd is None else len(first) * crowd.world / crowd.items
        parted = weighted
        if part != 1.0:
            alone = [term.name for term in self.parts.losses if not term.gather]
            parted = weighted | {name: part * weighted[name] for name in alone}
        objectives = tuple(_total(parted, share, device) for share in self.shares)
        total = objectives[0] if self.shares[0] is None and part == 1.0 else _total(weighted, None, device)
        vector = torch.stack([t.detach() for t in (total, *terms)])
        return objectives, vector, {n: t.detach() for n, t in outputs.items()}

    def _evaluate(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The outputs and every term, unweighted."""
        outputs: dict[str, Tensor] = self.model(**self.parts.given(batch))
        device = next(iter(batch.values())).device.type
        if not torch.is_autocast_enabled(device):
            return self._terms(batch, outputs)
        with torch.autocast(device, enabled=False):  # losses sum many small numbers: always in float32
            return self._terms(batch, outputs)

    def _terms(
        self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        single = single_precision(outputs)
        tensors = self.parts.tensors(batch, single)
        terms = []
        for loss, term in zip(self.losses, self.parts.losses, strict=True):
            arguments = term.wires.arguments(tensors, self.context)
            if term.gather and self.crowd is not None:
                rows = len(next(iter(batch.values())))
                arguments = {n: self._gathered(value, rows, self.crowd) for n, value in arguments.items()}
            terms.append(loss(**arguments))
        return single, terms

    def _gathered(self, value: Any, rows: int, crowd: Crowd) -> Any:
        """A tensor with a row for each item with the rows of all processes; anything else as it is."""
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != rows:
            return value
        return gathered(value, crowd.items, crowd.world)


def _total(weighted: Mapping[str, Tensor], share: Collection[str] | None, device: torch.device) -> Tensor:
    terms = [value for name, value in weighted.items() if share is None or name in share]
    return functools.reduce(torch.add, terms) if terms else torch.zeros((), device=device)
