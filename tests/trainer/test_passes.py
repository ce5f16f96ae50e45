"""The forward and backward pass without Fabric's wrapper and with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore import Loss, load_recipe
from stemcore.assemble import Parts, assemble
from stemcore.assemble.parts import Term
from stemcore.assemble.wiring import Wire, Wires
from stemcore.trainer.passes import Passes
from stemcore.trainer.step import Step

WEIGHTS = {"mse": 1.0, "lp": 0.5}


class Looking(Loss):
    """Remembers what it was given."""

    def forward(self, target: Tensor) -> Tensor:
        self.seen = target
        return 0 * target.sum()


@pytest.fixture
def ddp() -> Iterator[Callable[[str], Fabric]]:
    def launched(precision: str) -> Fabric:
        fabric = Fabric(accelerator="cpu", devices=1, strategy="ddp", precision=precision)  # type: ignore[arg-type]
        fabric.launch()
        return fabric

    yield launched
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def batch(parts: Parts) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    stored = torch.randint(0, 40, (8, *parts.sources.spec["input"].shape), generator=generator)  # type: ignore[arg-type]
    return {"input": stored.float(), "target": stored.float()}


def passed(parts: Parts, fabric: Fabric) -> tuple[Passes, Tensor, Tensor, list[Tensor]]:
    """One forward and backward pass in two windows' halves; the gradients."""
    model = parts.build_model()
    passes = Passes(fabric, fabric.setup(Step(model, parts)))
    for last in (False, True):
        with passes.window(last=last):
            (total,), values, _ = passes.forward(batch(parts), WEIGHTS, 0.25)
            passes.backward(total)
    return passes, total.detach(), values, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.fixture
def parts(small: Callable[..., dict[str, Any]]) -> Parts:
    return assemble(load_recipe(small(data={"transforms": {"input": []}})))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_directly_and_through_the_wrapper_the_gradients_are_the_same(
    parts: Parts, ddp: Callable[[str], Fabric], precision: str
) -> None:
    alone = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]
    direct, total, values, gradients = passed(parts, alone)
    wrapped, other_total, other_values, other_gradients = passed(parts, ddp(precision))
    assert (direct.direct, wrapped.direct) == (True, False)
    assert torch.equal(total, other_total)
    assert torch.equal(values, other_values)
    assert len(gradients) == len(other_gradients) > 4
    assert all(torch.equal(a, b) for a, b in zip(gradients, other_gradients, strict=True))


@pytest.mark.parametrize("strategy", ["auto", "ddp"])
def test_targets_keep_every_digit_under_bf16(parts: Parts, ddp: Callable[[str], Fabric], strategy: str) -> None:
    """999 counts are 1000 in bfloat16."""
    looking = Looking()
    parts.losses = [Term("mse", looking, Wires((Wire("target", "target", None, optional=False),), ()))]
    fabric = ddp("bf16-mixed") if strategy == "ddp" else Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    passes = Passes(fabric, fabric.setup(Step(parts.build_model(), parts)))
    given = batch(parts)
    given["target"] = torch.full_like(given["target"], 999.0)
    passes.forward(given, WEIGHTS, 0.0)
    assert looking.seen.dtype == torch.float32
    assert float(looking.seen.max()) == 999.0


def test_the_total_is_the_weighted_sum_of_the_terms(parts: Parts) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    _, total, values, _ = passed(parts, fabric)
    assert values.tolist()[0] == float(total) == pytest.approx(values.tolist()[1] + 0.5 * values.tolist()[2], rel=1e-6)
