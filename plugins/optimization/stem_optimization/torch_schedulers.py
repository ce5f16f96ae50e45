"""PyTorch's learning-rate schedulers under typed, keyword-only parameters.

Every scheduler returned says how it is driven: ``interval`` (``step``: after each optimizer step, ``epoch``: after each
epoch) and ``needs_metric`` (``step`` takes the value of the metric called ``monitor``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from torch.optim import Optimizer
from torch.optim import lr_scheduler as torch_lr

from stemcore import UserError

Interval = Literal["step", "epoch"]
Count = Annotated[int, Field(ge=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(ge=0)]
S = TypeVar("S")


def _driven(scheduler: S, interval: Interval, *, monitor: str | None = None) -> S:
    scheduler.interval, scheduler.needs_metric = interval, monitor is not None  # type: ignore[attr-defined]
    if monitor is not None:
        scheduler.monitor = monitor  # type: ignore[attr-defined]
    return scheduler


def constant(
    optimizer: Optimizer, total_steps: int, *, factor: Factor = 1 / 3, epochs: Count = 5
) -> torch_lr.ConstantLR:
    """A lower learning rate for the first epochs.

    Args:
        factor: multiple of the optimizer's learning rate.
        epochs: how long it holds.
    """
    return _driven(torch_lr.ConstantLR(optimizer, factor, epochs), "epoch")


def cosine(
    optimizer: Optimizer, total_steps: int, *, epochs: Count | None = None, eta_min: Rate = 0.0
) -> torch_lr.CosineAnnealingLR:
    """Half a cosine wave down to ``eta_min`` (Loshchilov and Hutter 2017).

    Args:
        epochs: its length, after which the learning rate rises again; if null the whole run, step by step.
        eta_min: the lowest learning rate.
    """
    length, interval = _length(total_steps, epochs)
    return _driven(torch_lr.CosineAnnealingLR(optimizer, length, eta_min), interval)


def cosine_restarts(
    optimizer: Optimizer, total_steps: int, *, epochs: Count = 10, factor: Count = 1, eta_min: Rate = 0.0
) -> torch_lr.CosineAnnealingWarmRestarts:
    """Half cosine waves with restarts (SGDR, Loshchilov and Hutter 2017).

    Args:
        epochs: length of the first wave.
        factor: how much longer each wave is than the one before.
        eta_min: the lowest learning rate.
    """
    return _driven(torch_lr.CosineAnnealingWarmRestarts(optimizer, epochs, factor, eta_min), "epoch")


def cyclic(
    optimizer: Optimizer,
    total_steps: int,
    *,
    max_lr_factor: Annotated[float, Field(ge=1)] = 3.33,
    step_size_up: Count | None = None,
    step_size_down: Count | None = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Factor = 1.0,
) -> torch_lr.CyclicLR:
    """Triangles between the optimizer's learning rate and a multiple of it (Smith 2017). Momentum is left alone.

    Args:
        max_lr_factor: the peak as a multiple of the optimizer's learning rate.
        step_size_up: optimizer steps of a rise; a tenth of the run if null.
        step_size_down: optimizer steps of a fall; as many as the rise if null.
        mode: peaks stay (triangular), halve with each cycle (triangular2) or shrink by gamma per step (exp_range).
        gamma: for exp_range.
    """
    base = [float(group["lr"]) for group in optimizer.param_groups]
    up = step_size_up or max(1, total_steps // 10)
    peak = [rate * max_lr_factor for rate in base]
    made = torch_lr.CyclicLR(optimizer, base, peak, up, step_size_down, mode, gamma, cycle_momentum=False)
    return _driven(made, "step")


def exponential(optimizer: Optimizer, total_steps: int, *, gamma: Factor = 0.95) -> torch_lr.ExponentialLR:
    """The learning rate shrinks by the same factor every epoch.

    Args:
        gamma: the factor.
    """
    return _driven(torch_lr.ExponentialLR(optimizer, gamma), "epoch")


def linear(
    optimizer: Optimizer,
    total_steps: int,
    *,
    start_factor: Factor = 1.0,
    end_factor: Annotated[float, Field(ge=0, le=1)] = 0.0,
    epochs: Count | None = None,
) -> torch_lr.LinearLR:
    """A straight line between two multiples of the optimizer's learning rate, which then stays.

    Args:
        start_factor: where it begins.
        end_factor: where it ends.
        epochs: its length; if null the whole run, step by step.
    """
    length, interval = _length(total_steps, epochs)
    return _driven(torch_lr.LinearLR(optimizer, start_factor, end_factor, length), interval)


class _MultiStepLR(torch_lr.MultiStepLR):
    """PyTorch's keeps its milestones in a ``Counter``; a checkpoint holds plain lists."""

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = super().state_dict()
        return {**state, "milestones": sorted(Counter(self.milestones).elements())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict({**state_dict, "milestones": Counter(state_dict["milestones"])})


def multi_step(
    optimizer: Optimizer, total_steps: int, *, milestones: list[Count], gamma: Factor = 0.1
) -> torch_lr.MultiStepLR:
    """The learning rate shrinks after the epochs given.

    Args:
        milestones: epochs, ascending.
        gamma: the factor.
    """
    if milestones != sorted(milestones):
        raise UserError(f"scheduler.milestones {milestones} are not ascending")
    return _driven(_MultiStepLR(optimizer, milestones, gamma), "epoch")


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    *,
    monitor: str = "val/loss",
    mode: Literal["min", "max"] = "min",
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    patience: Annotated[int, Field(ge=0)] = 5,
    threshold: Rate = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Annotated[int, Field(ge=0)] = 0,
    min_lr: Rate = 0.0,
) -> torch_lr.ReduceLROnPlateau:
    """The learning rate shrinks when a metric has stopped getting better.

    Args:
        monitor: the logged name of the metric.
        mode: whether lower or higher is better.
        factor: by which the learning rate shrinks.
        patience: epochs without improvement that are borne.
        threshold: the smallest change that counts as an improvement.
        threshold_mode: whether the threshold is relative to the best value or absolute.
        cooldown: epochs after a reduction in which none are counted.
        min_lr: the lowest learning rate.
    """
    made = torch_lr.ReduceLROnPlateau(optimizer, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr)
    return _driven(made, "epoch", monitor=monitor)


def polynomial(
    optimizer: Optimizer, total_steps: int, *, power: Annotated[float, Field(gt=0)] = 1.0, epochs: Count | None = None
) -> torch_lr.PolynomialLR:
    """The optimizer's learning rate times ``(1 - t) ** power``, down to zero.

    Args:
        power: the exponent.
        epochs: its length; if null the whole run, step by step.
    """
    length, interval = _length(total_steps, epochs)
    return _driven(torch_lr.PolynomialLR(optimizer, length, power), interval)


def step(optimizer: Optimizer, total_steps: int, *, step_size: Count, gamma: Factor = 0.1) -> torch_lr.StepLR:
    """The learning rate shrinks every ``step_size`` epochs.

    Args:
        step_size: epochs between two reductions.
        gamma: the factor.
    """
    return _driven(torch_lr.StepLR(optimizer, step_size, gamma), "epoch")


def _length(total_steps: int, epochs: int | None) -> tuple[int, Interval]:
    """The length of a schedule and what it is counted in."""
    return (max(1, total_steps), "step") if epochs is None else (epochs, "epoch")
