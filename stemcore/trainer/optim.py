"""Optimizers and schedulers of a recipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import nn
from torch.optim import Optimizer

from stemcore.errors import Problem, UserError, close_match
from stemcore.recipe import Recipe
from stemcore.trainer.sharding import shared_out

FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)


@dataclass
class Group:
    """An optimizer with the parameters it owns, its scheduler, and the losses it minimises (``None``: all)."""

    name: str
    optimizer: Optimizer
    scheduler: Any = None
    losses: Collection[str] | None = None

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What it owns."""
        return [p for owned in self.optimizer.param_groups for p in owned["params"]]

    def clear_gradients(self) -> None:
        """Lets go of the gradients: ``zero_grad`` without the profiler's marks, which cost more than the rest of it."""
        for parameter in self.parameters:
            parameter.grad = None

    def load_optimizer(self, state: dict[str, Any]) -> None:
        """Takes back what ``optimizer.state_dict`` returned, perhaps on another device: which kernel updates the
        parameters is decided anew in each process, and the steps taken lie where it wants them."""
        for saved, mine in zip(state["param_groups"], self.optimizer.param_groups, strict=True):
            saved.update({key: mine[key] for key in ("fused", "foreach") if key in mine})
        self.optimizer.load_state_dict(shared_out(state, self.optimizer))

    def step_scheduler(self, interval: str, metrics: dict[str, float]) -> None:
        """Steps the scheduler if it goes by ``step`` or ``epoch``, whichever ``interval`` is."""
        scheduler = self.scheduler
        if scheduler is None or getattr(scheduler, "interval", "epoch") != interval:
            return
        if getattr(scheduler, "needs_metric", False):
            if scheduler.monitor in metrics:
                scheduler.step(metrics[scheduler.monitor])
        else:
            scheduler.step()


def build_groups(recipe: Recipe, model: nn.Module, total_steps: int) -> list[Group]:
    """The optimizers, each with the trainable parameters that its patterns name (``decoder`` stands for
    ``decoder.*``).

    Raises:
        UserError: if a pattern matches nothing, or if a parameter has two owners or none.
    """
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    owners: dict[str, list[str]] = {n: [] for n in named}
    problems = []
    for group_name, group in recipe.optimizer.items():
        for pattern in group.parameters if group.parameters is not None else ["*"]:
            mine = [n for n in named if fnmatchcase(n, pattern) or n.startswith(pattern + ".")]
            if not mine:
                where = recipe.where(("optimizer", group_name, "parameters"))
                tops = {n.split(".")[0] for n in named}
                problems.append(
                    Problem(f"no parameter of the model is called '{pattern}'", where, close_match(pattern, tops))
                )
            for n in mine:
                owners[n].append(group_name)
    where = recipe.where(("optimizer",))
    for n, found in owners.items():
        if len(set(found)) != 1 and not problems:
            who = f"belongs to {' and '.join(found)}" if found else "belongs to no optimizer"
            problems.append(Problem(f"parameter '{n}' {who}", where, "give every parameter one owner"))
    if problems:
        raise UserError(*problems)
    if not named:
        raise UserError("the model has no trainable parameters", where=recipe.model.where)
    groups = []
    for group_name, group in recipe.optimizer.items():
        optimizer = group.component.build([p for n, p in named.items() if owners[n][0] == group_name])
        scheduler = recipe.scheduler.build(optimizer, total_steps) if recipe.scheduler is not None else None
        groups.append(Group(group_name, optimizer, scheduler, group.losses))
    return groups


def rates(groups: Sequence[Group]) -> dict[str, float]:
    """The learning rate, or that of each group, by its logged name."""
    if len(groups) == 1:
        return {"lr": groups[0].lr}
    return {f"lr/{g.name}": g.lr for g in groups}


def refuse_apart(named: Sequence[Collection[str] | None], strategy: Strategy, recipe: Recipe) -> None:
    """Several backward passes through one forward pass work on one device and under DDP.

    Raises:
        UserError: for another strategy, where a group has losses of its own; ``named`` are those of each.
    """
    works = isinstance(strategy, (SingleDeviceStrategy, DDPStrategy))
    if works or all(losses is None for losses in named):
        return
    name = "fsdp" if isinstance(strategy, ModelParallelStrategy) else type(strategy).__name__.removesuffix("Strategy")
    raise UserError(
        f"optimizers with losses of their own cannot be trained under {name}",
        where=recipe.where(("trainer", "strategy")),
        hint="use ddp, or one device",
    )


def refuse_unreached(groups: Sequence[Group], recipe: Recipe) -> None:
    """After the first backward pass: a group that its own losses do not reach would never learn.

    Raises:
        UserError: for each group that names losses, none of which gives any of its parameters a gradient.
    """
    problems = [
        Problem(
            f"no gradient of {' or '.join(group.losses)} reaches a parameter of optimizer.{group.name}",
            recipe.where(("optimizer", group.name, "losses")),
            "name losses of what these parameters compute",
        )
        for group in groups
        if group.losses is not None and all(p.grad is None for p in group.parameters)
    ]
    if problems:
        raise UserError(*problems)


def step_all(optimizers: Sequence[Any], scaler: torch.amp.GradScaler | None) -> None:
    """Steps every optimizer, as Fabric wrapped them.

    Under fp16 Fabric lets the scale of the loss follow after each optimizer, and the gradients of the next one, taken
    at the scale before, would be divided by another. Here it follows once, after all of them.
    """
    if scaler is None or len(optimizers) == 1:
        for optimizer in optimizers:
            optimizer.step()
        return
    for optimizer in optimizers:
        scaler.step(optimizer.optimizer)
    scaler.update()


def fuse(optimizer: Optimizer, model: nn.Module) -> None:
    """Lets an optimizer of PyTorch's update all parameters in one kernel, where the recipe leaves that open (``fused``
    and ``foreach`` are null) and the installed PyTorch has one for the device.

    It has to be called when the parameters are where they are trained. The optimizer is not made anew with
    ``fused=True``, as Fabric would then refuse to clip gradients under fp16.
    """
    open_groups = [g for g in optimizer.param_groups if g.get("fused", False) is None and g.get("foreach") is None]
    parameters = [p for g in open_groups for p in g["params"]]
    plain = all(type(p) is nn.Parameter and p.is_floating_point() for p in parameters)
    sparse = any(getattr(module, "sparse", False) for module in model.modules())
    if type(optimizer) not in FUSED or not plain or sparse:
        return
    kinds = {(p.device, p.dtype) for p in parameters}
    if all(_has_fused(type(optimizer), device, dtype) for device, dtype in kinds):
        for group in open_groups:
            group["fused"] = True


def _has_fused(kind: type[Optimizer], device: torch.device, dtype: torch.dtype) -> bool:
    """Whether it works, by trying: which devices have which kernels changes with every release."""
    trial = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))
    trial.grad = torch.zeros_like(trial)
    try:
        kind([trial], lr=1e-3, fused=True).step()  # type: ignore[call-arg]
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return True
