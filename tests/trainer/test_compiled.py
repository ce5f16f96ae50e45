"""``trainer.compile``: model, losses and transforms."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stemcore import Loss, load_recipe, run
from stemcore.assemble import assemble
from stemcore.progress import reporter
from stemcore.trainer.step import Given, Step

QUIET = reporter(quiet=True)
Document = dict[str, Any]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The code of every graph that was traced; it runs as it was traced, for want of time for a C++ compiler."""
    graphs: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        graphs.append(graph.code)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    return graphs


def final(document: Document, folder: Path, *, compiled: bool) -> dict[str, float]:
    changed = {**document, "trainer": {**document["trainer"], "compile": compiled}}
    return run(changed, output=folder / str(compiled), reporter=QUIET).summary["final"]


def compare(document: Document, folder: Path) -> None:
    plain, compiled = final(document, folder, compiled=False), final(document, folder, compiled=True)
    assert compiled.keys() == plain.keys()
    for name, value in plain.items():
        assert compiled[name] == pytest.approx(value, rel=1e-4), name


def test_a_run_gives_the_same_losses_also_for_a_shorter_last_batch(
    small: Callable[..., Document], tmp_path: Path, traced: list[str]
) -> None:
    compare(small(data={"batch_size": 60}, trainer={"max_epochs": 2}), tmp_path)  # 1024 = 17 * 60 + 4
    assert any("log1p" in code for code in traced)
    assert any("mse_loss" in code and "conv" in code for code in traced)
    # Whole and shorter batches of training and of validation: each once, whatever the number of steps.
    assert sum("conv" in code for code in traced) <= 4


class Late(Loss):
    """Sets in with time."""

    def forward(self, latent: torch.Tensor, progress: float) -> torch.Tensor:
        return progress * latent.abs().mean()


def test_a_loss_that_follows_progress_leaves_the_model_to_be_compiled_alone(small: Callable[..., Document]) -> None:
    parts = assemble(load_recipe(small()))
    term = parts.losses[1]
    term.component = Late()
    term.wires = type(term.wires)(tuple(w for w in term.wires if w.source == "latent"), ("progress",))
    model = parts.build_model()
    step = Step(model, parts, compiled=True)
    assert step.evaluate == step._evaluate
    assert model._compiled_call_impl is not None


def test_losses_see_the_progress_of_their_step(small: Callable[..., Document]) -> None:
    parts = assemble(load_recipe(small()))
    term = parts.losses[1]
    term.component = Late()
    term.wires = type(term.wires)(tuple(w for w in term.wires if w.source == "latent"), ("progress",))
    step = Step(parts.build_model(), parts)
    x = torch.rand(4, *parts.spec["input"].shape)  # type: ignore[arg-type]
    weights = {"mse": 1.0, "lp": 1.0}
    early, late = (float(step(Given({"input": x, "target": x}), weights, p)[1][2]) for p in (0.25, 0.75))
    assert late == pytest.approx(3 * early)
    assert early > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_with_the_compiler(small: Callable[..., Document], tmp_path: Path) -> None:
    torch._dynamo.reset()
    compare(
        small(data={"batch_size": 60, "val": 0}, trainer={"max_epochs": 1, "checkpoint": {"monitor": "train/loss"}}),
        tmp_path,
    )
