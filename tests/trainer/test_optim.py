"""Which kernel updates the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from stemcore import run
from stemcore.progress import reporter
from stemcore.trainer.optim import Group, fuse

QUIET = reporter(quiet=True)
Make = Callable[..., Optimizer]


def has_fused(kind: Make) -> bool:
    """Whether this PyTorch has the kernel for the CPU."""
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    try:
        kind([parameter], lr=0.1, fused=True).step()
    except (RuntimeError, TypeError):
        return False
    return True


def trained(model: nn.Module, optimizer: Optimizer, steps: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()
    return [p.detach() for p in model.parameters()]


def state_on(optimizer: Optimizer) -> list[bool | None]:
    return [group.get("fused") for group in optimizer.param_groups]


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD, Adagrad])
def test_one_kernel_updates_everything_where_there_is_one_and_to_the_same_values(kind: Make) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(5, 3))
    other = copy.deepcopy(model)
    fused, plain = kind(model.parameters(), lr=0.05), kind(other.parameters(), lr=0.05, foreach=False)
    fuse(fused, model)
    assert state_on(fused) == [True if has_fused(kind) else None]
    for a, b in zip(trained(model, fused), trained(other, plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("said", [{"fused": False}, {"foreach": True}, {"foreach": False}])
def test_what_the_recipe_says_holds(said: dict[str, bool]) -> None:
    model = nn.Linear(2, 2)
    optimizer = Adam(model.parameters(), **said)
    fuse(optimizer, model)
    assert all(optimizer.param_groups[0][key] is value for key, value in said.items())
    assert not optimizer.param_groups[0]["fused"]


class Own(Adam):
    """Somebody's own update, which no kernel knows."""


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (nn.Linear(2, 2), RMSprop),
        (nn.Linear(2, 2), Own),
        (nn.Embedding(4, 2, sparse=True), SGD),
        (nn.Linear(2, 2, dtype=torch.complex64), Adam),
    ],
)
def test_left_to_pytorch(model: nn.Module, kind: Make) -> None:
    optimizer = kind(model.parameters(), lr=0.1)
    fuse(optimizer, model)
    assert not any(state_on(optimizer))


def test_gradients_can_still_be_clipped_under_fp16() -> None:
    """Fabric refuses that for an optimizer which says that it scales gradients back itself."""
    model = nn.Linear(2, 2)
    optimizer = Adam(model.parameters())
    fuse(optimizer, model)
    assert not getattr(optimizer, "_step_supports_amp_scaling", False)


@pytest.mark.parametrize("before", [True, False])
def test_an_optimizer_goes_on_with_the_kernel_of_its_own_device(before: bool) -> None:
    """As when a run from a device with a fused kernel is resumed on one without, and the other way about."""
    model = nn.Linear(3, 3)
    first = Adam(model.parameters(), lr=0.05, fused=before)
    trained(model, first, steps=2)
    second = Adam(model.parameters(), lr=0.07, fused=not before)
    Group("default", second).load_optimizer(copy.deepcopy(first.state_dict()))
    assert second.param_groups[0]["fused"] is (not before)
    assert second.param_groups[0]["lr"] == 0.05
    expected = copy.deepcopy(model)
    third = Adam(expected.parameters(), lr=0.05, fused=before)
    third.load_state_dict(copy.deepcopy(first.state_dict()))
    for a, b in zip(trained(model, second), trained(expected, third), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_run_is_fused_unless_the_recipe_says_no(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    if not has_fused(Adam):
        pytest.skip("this PyTorch has no fused Adam on the CPU")
    found = {}
    for name, optimizer in {"auto": {}, "off": {"fused": False}}.items():
        trained_run = run(small(optimizer=optimizer), output=tmp_path / name, reporter=QUIET)
        path = tmp_path / name / "checkpoints" / "last.ckpt"
        state = torch.load(path, weights_only=True)["training"]["optimizers"][0]
        found[name] = (state["param_groups"][0]["fused"], trained_run.summary["final"]["train/loss"])
    assert (found["auto"][0], found["off"][0]) == (True, False)
    assert found["auto"][1] == pytest.approx(found["off"][1], rel=1e-3)
