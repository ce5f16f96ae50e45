"""Trying out a metric: its scores of some items, taken in at once, in batches, or by several processes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from stemcore.component.metric import Metric
from stemcore.errors import UserError
from stemcore.testing.examples import MetricExample
from stemcore.testing.promises import Broken, NotApplicable, ensure
from stemcore.testing.standard import arguments_of
from stemcore.testing.subject import Subject

FEWEST = 6
Scores = dict[str, float]
Tensors = Mapping[str, Any]


class MetricTrial:
    """A metric with its arguments. Random numbers are the same in every trial, and go on from batch to batch."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.example = subject.promised(MetricExample)
        metric = self.fresh()
        arguments = arguments_of(metric.update, self.example.tensors, inputs=metric.inputs)
        self.context = {name: value for name, value in arguments.items() if not isinstance(value, Tensor)}
        self.tensors = {name: value for name, value in arguments.items() if isinstance(value, Tensor)}
        for value in self.context.values():
            if isinstance(value, nn.Module):
                value.eval()

    def fresh(self) -> Metric:
        """The metric, which has seen nothing."""
        metric: Metric = self.subject.build()
        return metric

    @property
    def items(self) -> int:
        """How many items there are.

        Raises:
            NotApplicable: if it takes no tensors.
            Broken: if its example gives too few of them.
        """
        if not self.tensors:
            raise NotApplicable("it takes no tensors")
        found = min(len(value) for value in self.tensors.values())
        ensure(found >= FEWEST, f"its example has {found} items, of the {FEWEST} that it takes to cut them in parts")
        return found

    @property
    def floating(self) -> dict[str, Tensor]:
        """The floating-point tensors."""
        return {name: value for name, value in self.tensors.items() if value.is_floating_point()}

    def part(self, *items: int) -> dict[str, Tensor]:
        """A batch of some of the items."""
        return {name: value[list(items)] for name, value in self.tensors.items()}

    def update(self, metric: Metric, *batches: Tensors) -> None:
        """Hands batches over, as the core does: without gradients, by name."""
        with torch.no_grad():
            for batch in batches:
                metric.update(**{**self.context, **self.tensors, **batch})

    def scores(self, *batches: Tensors, seed: int = 0) -> Scores:
        """The scores of batches (of all items as one, if none are given) by a fresh metric."""
        metric = self.fresh()
        with seeded(seed):
            self.update(metric, *(batches or ({},)))
            return scores_of(metric)

    def together(self, *processes: Sequence[Tensors]) -> Scores:
        """The scores after each process has taken in its own batches: what the first one computes."""
        metrics = [self.fresh() for _ in processes]
        with seeded(), quiet():
            for metric, batches in zip(metrics, processes, strict=True):
                self.update(metric, *batches)
            sent = [_sent(metric) for metric in metrics]
            numbers = sorted({len(tensors) for tensors in sent})
            ensure(len(numbers) == 1, f"processes send {numbers} tensors to each other, and wait for ever for the rest")
            one_by_one = iter(zip(*sent, strict=True))
            metrics[0].distributed_available_fn = lambda: True
            metrics[0].dist_sync_fn = lambda tensor, group=None: _ensured_alike(next(one_by_one))
            return scores_of(metrics[0])

    def ensure_same(self, seen: Scores, expected: Scores, what: str) -> None:
        """Raises unless scores are equal within the tolerance of the example.

        Raises:
            Broken: if they are not.
            NotApplicable: if they are not, but the metric draws random numbers.
        """
        name = unlike(seen, expected, self.example.tolerance)
        if name is None:
            return
        if self.draws:
            raise NotApplicable("it draws random numbers, other ones when its batches are others")
        raise Broken(f"{what}{shown(name)} is {seen.get(name)}, not {expected.get(name)}")

    @cached_property
    def draws(self) -> bool:
        """Whether it draws random numbers: its scores depend on the seed."""
        return unlike(self.scores(), self.scores(seed=1), self.example.tolerance) is not None


def scores_of(metric: Metric) -> Scores:
    """What ``compute`` returns, read as the core does."""
    result = metric.compute()
    found = {}
    for name, value in (result if isinstance(result, dict) else {"": result}).items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise Broken(f"compute returned {kind}{shown(name, ' as')}, not a number") from error
    return found


def unlike(seen: Scores, expected: Scores, tolerance: float) -> str | None:
    """The first score that differs, if one does; NaN equals NaN."""
    for name in {**expected, **seen}:
        a, b = seen.get(name), expected.get(name)
        if a is None or b is None:
            return name
        near = math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-2 * tolerance)
        if not near and not (math.isnan(a) and math.isnan(b)):
            return name
    return None


def shown(name: str, before: str = "") -> str:
    """A score's name in a message: nothing for the metric itself."""
    return f"{before} '{name}'" if name else ""


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Random numbers that are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings: torchmetrics warns of scores computed from nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sent(metric: Metric) -> list[Tensor]:
    """The tensors that a process sends to the others, in order."""
    sent: list[Tensor] = []

    def gather(tensor: Tensor, group: Any = None) -> list[Tensor]:
        sent.append(tensor.detach().clone())
        return [tensor]

    copy = deepcopy(metric)
    copy.sync(dist_sync_fn=gather, distributed_available=lambda: True)
    return sent


def _ensured_alike(tensors: Sequence[Tensor]) -> list[Tensor]:
    kinds = sorted({f"{tensor.dtype} with {tensor.ndim} axes" for tensor in tensors})
    ensure(len(kinds) == 1, f"processes cannot exchange a state that is {' here and '.join(kinds)} there")
    return list(tensors)


def scores_or_refusal(act: Callable[[], Scores]) -> Scores | None:
    """The scores, or ``None`` where an error in words says why there are none."""
    try:
        with quiet():
            return act()
    except (UserError, ValueError):
        return None
