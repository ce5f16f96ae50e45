"""Learning rates in closed form over the optimizer steps of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from stemcore import UserError

Interval = Literal["step", "epoch"]
Part = Annotated[float, Field(ge=0, le=1)]
Point = tuple[float, float]


class Curve(LRScheduler):
    """The optimizer's learning rate times a piecewise curve through points (step, factor).

    Depends on the step alone, so that resuming needs nothing else; its state is numbers and text. Before the first
    point and after the last one the factor stays: a run may go on beyond the steps it was planned for.

    Args:
        optimizer: whose learning rates are the base.
        points: steps, ascending, and the factors there.
        shapes: ``linear`` or ``cosine`` between each point and the next.
    """

    interval: Interval = "step"
    needs_metric = False

    def __init__(self, optimizer: Optimizer, points: Iterable[Point], shapes: Iterable[str]) -> None:
        self.points = [(float(step), float(factor)) for step, factor in points]
        self.shapes = list(shapes)
        super().__init__(optimizer)

    def factor(self, step: float) -> float:
        """The factor after ``step`` optimizer steps."""
        if step < self.points[0][0]:
            return self.points[0][1]
        for (x0, y0), (x1, y1), shape in zip(self.points, self.points[1:], self.shapes, strict=False):
            if x0 <= step < x1:
                t = (step - x0) / (x1 - x0)
                t = (1 - math.cos(math.pi * t)) / 2 if shape == "cosine" else t
                return y0 * (1 - t) + y1 * t
        return self.points[-1][1]

    def get_lr(self) -> list[float]:
        """The learning rate of each parameter group."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    max_lr_factor: Annotated[float, Field(gt=0)] = 1.0,
    pct_start: Part = 0.3,
    div_factor: Annotated[float, Field(ge=1)] = 25.0,
    final_div_factor: Annotated[float, Field(ge=1)] = 1e4,
    anneal: Literal["cosine", "linear"] = "cosine",
) -> Curve:
    """One rise of the learning rate to a peak and a fall below where it began (Smith and Topin 2018).

    The same curve as PyTorch's ``OneCycleLR`` without momentum cycling, also for runs of very few steps.

    Args:
        max_lr_factor: the peak as a multiple of the optimizer's learning rate.
        pct_start: part of the run in which the learning rate rises.
        div_factor: the peak over the first learning rate.
        final_div_factor: the first learning rate over the last.
        anneal: shape of rise and fall.
    """
    start = max_lr_factor / div_factor
    last = max(total_steps - 1, 0)
    peak_at = min(max(pct_start * total_steps - 1, 0), last)
    points = [(0, start), (peak_at, max_lr_factor), (last, start / final_div_factor)]
    return Curve(optimizer, points, [anneal, anneal])


def warmup_cosine(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_steps: Annotated[int, Field(ge=0)] | None = None,
    warmup_fraction: Part = 0.05,
    min_factor: Part = 0.0,
) -> Curve:
    """A linear rise from near zero to the optimizer's learning rate, then half a cosine wave down (Loshchilov and
    Hutter 2017; Goyal et al. 2017).

    Args:
        warmup_steps: optimizer steps of the rise; overrides ``warmup_fraction``.
        warmup_fraction: part of the run that the rise takes.
        min_factor: the learning rate at the end as a multiple of the optimizer's.
    """
    if warmup_steps is not None and warmup_steps > total_steps:
        raise UserError(
            f"scheduler.warmup_steps is {warmup_steps}, but the run has {total_steps} optimizer steps",
            hint="shorten the warm-up or use warmup_fraction",
        )
    warmup = warmup_steps if warmup_steps is not None else round(warmup_fraction * total_steps)
    # The first step of a warm-up of w has 1/w of the learning rate, not none: it would be a step wasted.
    points = [(0, 1.0 / warmup), (warmup - 1, 1.0)] if warmup > 1 else [(0, 1.0)]
    turn = points[-1][0]
    return Curve(optimizer, [*points, (max(total_steps, turn + 1), min_factor)], ["linear", "cosine"][-len(points) :])
