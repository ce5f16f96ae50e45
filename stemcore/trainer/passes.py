"""The forward and backward pass of a step, through Fabric where it has something to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import Tensor, nn

from stemcore.trainer.engine import is_sharded
from stemcore.trainer.step import Crowd, Given, Result


class Passes:
    """Calls the step module.

    On a single device Fabric's wrapper has nothing to do but to look through arguments and results and to hook on to
    every output, which costs as much as a small model: there the module is called directly, in the precision's
    context, and so is the backward pass.

    Args:
        fabric: launched.
        wrapped: the step module as ``fabric.setup`` returned it.
    """

    def __init__(self, fabric: Fabric, wrapped: Any) -> None:
        self.fabric, self.wrapped = fabric, wrapped
        self.direct = type(fabric.strategy) is SingleDeviceStrategy
        self.module = wrapped.module
        self.sharded = is_sharded(fabric)
        self.strategy, self.precision = fabric.strategy, fabric.strategy.precision

    def forward(
        self, batch: Mapping[str, Tensor], weights: Mapping[str, float], progress: float, crowd: Crowd | None = None
    ) -> Result:
        """What the step module returns for a batch on the device."""
        if not self.direct:
            result: Result = self.wrapped(Given(batch), weights, progress, crowd)
            return result
        with self.precision.forward_context():
            result = self.module(Given(batch), weights, progress, crowd)
        return result

    def evaluate(self, batch: Mapping[str, Tensor], weights: Mapping[str, float], progress: float) -> Result:
        """The same without a backward pass to come: no other process has to take part, unless parameters are shared
        out."""
        with self.precision.forward_context():
            result: Result = self.module(Given(batch), weights, progress)
        return result

    def backward(self, loss: Tensor, *, parameters: Sequence[nn.Parameter] | None = None, again: bool = False) -> None:
        """Adds the gradients of ``loss``, scaled where the precision wants that.

        Args:
            loss: what is to be minimised.
            parameters: the only ones to get a gradient; ``None`` for all.
            again: whether another backward pass through the same computation follows.
        """
        how: dict[str, Any] = {}
        if parameters is not None:
            how = {"inputs": [p for p in parameters if p.requires_grad], "retain_graph": again}
        if self.direct:
            self.strategy.backward(loss, None, **how)
        else:
            self.fabric.backward(loss, **how)

    def window(self, *, last: bool) -> AbstractContextManager[None]:
        """Around both passes of a batch: processes add up their gradients at the ``last`` one of a window alone."""
        return nullcontext() if self.direct else self.fabric.no_backward_sync(self.wrapped, enabled=not last)
