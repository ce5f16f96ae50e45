"""Optimizers that minimise losses of their own: each gets the gradients of these alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn

from stemcore import UserError, load_recipe, run
from stemcore.assemble import Parts, assemble
from stemcore.data.loader import Loader
from stemcore.data.order import plan_epoch, restrict
from stemcore.data.tensors import item_bytes
from stemcore.errors import Interrupted
from stemcore.plugins import catalogue
from stemcore.progress import reporter
from stemcore.trainer.optim import Group, refuse_apart, step_all
from stemcore.trainer.passes import Passes
from stemcore.trainer.sharding import sharding
from stemcore.trainer.step import Step
from tests.trainer import rivals
from tests.trainer.stopping import stopping_at

QUIET = reporter(quiet=True)
OWNED = {"generator": ["fool"], "critic": ["judge"], "bystander": ["near"]}
Document = dict[str, Any]


@pytest.fixture(autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rivals, found as an installed plugin is."""
    site = tmp_path_factory.mktemp("site")
    info = site / "stem_rivals-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-rivals\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stemcore]\nrivals = {rivals.__name__}\n")
    monkeypatch.syspath_prepend(str(site))
    catalogue.cache_clear()
    yield
    catalogue.cache_clear()


def document(owned: dict[str, list[str] | None] = OWNED, **trainer: Any) -> Document:
    kinds = {"generator": {"type": "adam", "lr": 0.02}, "critic": {"type": "sgd", "lr": 0.1}, "bystander": "adam"}
    groups = {n: (k if isinstance(k, dict) else {"type": k}) | {"parameters": [n]} for n, k in kinds.items()}
    return {
        "name": "rivals",
        "seed": 3,
        "data": {"train": {"type": "plane"}, "val": 0, "batch_size": 64},
        "model": {"type": "rivals"},
        "losses": {"fool": {"weight": 0.7}, "judge": {"weight": 1.3}, "near": {}},
        "optimizer": {n: group | ({"losses": owned[n]} if owned[n] else {}) for n, group in groups.items()},
        "scheduler": {"type": "exponential", "gamma": 0.5},
        "trainer": {
            "max_epochs": 2,
            "gradient_clip_val": 0.3,
            "checkpoint": {"monitor": "train/loss"},
            **trainer,
        },
        "backend": "cpu",
        "loggers": ["csv"],
    }


def weights(directory: Path) -> dict[str, Tensor]:
    return torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["train/loss"]]


def by_hand(parts: Parts, epochs: int, accumulate: int) -> tuple[nn.Module, list[list[float]]]:
    """The same training with nothing of the trainer: the gradient of each rival's own loss, and no other."""
    model = parts.build_model()
    kinds = (torch.optim.Adam(model.generator.parameters(), 0.02), torch.optim.SGD(model.critic.parameters(), 0.1))
    optimizers = [*kinds, torch.optim.Adam(model.bystander.parameters())]
    owned = [list(m.parameters()) for m in (model.generator, model.critic, model.bystander)]
    schedules = [torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in optimizers]
    source, seen = parts.sources.train, []
    for number in range(epochs):
        blocks, size = restrict(source.dataset.blocks(), source.indices), item_bytes(source.dataset)
        epoch = plan_epoch(blocks, seed=3, epoch=number, item_bytes=size, buffer_bytes=512e6)
        terms = []
        for batch, stored in enumerate(Loader().epoch(source, epoch, 64)):
            out = model(parts.pipeline(stored)["input"])
            fool, judge, near = rivals.Fool(), rivals.Judge(), rivals.Near()
            losses = [0.7 * fool(out["fake_score"]), 1.3 * judge(out["real_score"], out["fake_score"])]
            losses.append(near(out["aside"]))
            terms.append([float(loss.detach()) for loss in losses])
            for loss, mine in zip(losses, owned, strict=True):
                found = torch.autograd.grad(loss / accumulate, mine, retain_graph=True)
                for p, gradient in zip(mine, found, strict=True):
                    p.grad = gradient if p.grad is None else p.grad + gradient
            if (batch + 1) % accumulate == 0:
                for mine, optimizer in zip(owned, optimizers, strict=True):
                    torch.nn.utils.clip_grad_norm_(mine, 0.3)
                    optimizer.step()
                    optimizer.zero_grad()
        for schedule in schedules:
            schedule.step()
        seen.append(np.mean(terms, axis=0).tolist())
    return model, seen


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_gets_the_very_gradients_of_its_own_losses(tmp_path: Path, accumulate: int) -> None:
    """Clipping by the norm of each group's own gradients and the schedule of each included."""
    recipe = document(accumulate_grad_batches=accumulate)
    trained = run(recipe, output=tmp_path / "run", reporter=QUIET)
    parts = assemble(load_recipe(recipe))
    before = {n: t.clone() for n, t in parts.build_model().state_dict().items()}
    model, seen = by_hand(parts, epochs=2, accumulate=accumulate)
    found = weights(trained.directory)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(found[f"model.{name}"], tensor, rtol=1e-4, atol=1e-6)
        assert not torch.equal(tensor, before[name])
    for row, (fool, judge, near) in zip(rows(trained.directory), seen, strict=True):
        assert float(row["train/fool"]) == pytest.approx(fool / 0.7, rel=1e-4)
        assert float(row["train/loss"]) == pytest.approx(fool + judge + near, rel=1e-4)
    last = rows(trained.directory)[-1]
    assert [float(last[f"lr/{n}"]) for n in OWNED] == pytest.approx([0.02 / 2, 0.1 / 2, 1e-3 / 2])


def test_one_that_names_no_losses_minimises_all(tmp_path: Path) -> None:
    """The critic is then helped to be fooled."""
    named = run(document(), output=tmp_path / "named", reporter=QUIET)
    mixed = run(document({**OWNED, "critic": None}), output=tmp_path / "mixed", reporter=QUIET)
    parts = assemble(load_recipe(document()))
    model = parts.build_model()
    batch = torch.from_numpy(parts.sources.train.dataset.points[:64])
    out = model(batch)
    fooled = torch.autograd.grad(rivals.Fool()(out["fake_score"]), list(model.critic.parameters()))
    assert all(bool(g.abs().max() > 0) for g in fooled[:2])  # what the test would not see otherwise
    differ = {n for n, t in weights(named.directory).items() if not torch.equal(t, weights(mixed.directory)[n])}
    assert {n for n in differ if "critic" in n} == {f"model.critic.{i}.{k}" for i in (0, 2) for k in ("weight", "bias")}
    assert not any("bystander" in n for n in differ)


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_run_of_several_resumes_to_the_last_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    whole = run(document(), output=tmp_path / "whole", reporter=QUIET)
    with stopping_at(step, monkeypatch), pytest.raises(Interrupted):
        run(document(), output=tmp_path / "cut", reporter=QUIET)
    resumed = run("whatever", resume=tmp_path / "cut", reporter=QUIET)
    a, b = weights(whole.directory), weights(resumed.directory)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert (tmp_path / "cut" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()


def test_the_rivals_find_the_distribution(tmp_path: Path) -> None:
    """Known beforehand: an affine generator of normal noise can be exact."""
    recipe = document(max_epochs=60, gradient_clip_val=None)
    for name, lr in (("generator", 0.02), ("critic", 0.05)):
        recipe["optimizer"][name] = {"type": "adam", "lr": lr, "betas": [0.5, 0.99]} | {
            "parameters": [name],
            "losses": OWNED[name],
        }
    recipe["scheduler"] = {"type": "cosine"}
    trained = run(recipe, output=tmp_path / "run", reporter=QUIET)
    found = weights(trained.directory)
    matrix, mean = found["model.generator.weight"], found["model.generator.bias"]
    points = rivals.Plane().points
    torch.testing.assert_close(mean, torch.from_numpy(points.mean(axis=0)), rtol=0, atol=0.2)
    torch.testing.assert_close(matrix @ matrix.T, torch.from_numpy(np.cov(points.T)).float(), rtol=0, atol=0.2)


@pytest.fixture
def ddp() -> Iterator[Fabric]:
    fabric = Fabric(accelerator="cpu", devices=1, strategy="ddp")
    fabric.launch()
    yield fabric
    torch.distributed.destroy_process_group()


def test_under_ddp_the_gradients_are_the_same(ddp: Fabric) -> None:
    found = []
    for fabric in (Fabric(accelerator="cpu", devices=1), ddp):
        parts = assemble(load_recipe(document()))
        model = parts.build_model()
        groups = [Group(n, torch.optim.SGD(getattr(model, n).parameters(), 0.1), losses=OWNED[n]) for n in OWNED]
        step, *_ = fabric.setup(Step(model, parts, shares=[g.losses for g in groups]), *(g.optimizer for g in groups))
        passes = Passes(fabric, step)
        points = torch.from_numpy(parts.sources.train.dataset.points[:64])
        for part in (points[:32], points[32:]):  # DDP looks for gradients that are missing when it is called again
            torch.manual_seed(1)
            losses, *_ = passes.forward({"input": part}, {"fool": 0.7, "judge": 1.3, "near": 1.0}, 0.0)
            for loss, group in zip(losses, groups, strict=True):
                passes.backward(loss, parameters=group.parameters, again=group is not groups[-1])
        found.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_losses_that_reach_nothing_of_a_group_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    wrong = document({"generator": ["fool"], "critic": ["judge"], "bystander": ["judge"]})
    wrong["losses"]["near"] = {"weight": 0}
    with pytest.raises(UserError, match=r"no gradient of judge reaches a parameter of optimizer\.bystander"):
        run(wrong, output=tmp_path / "run", reporter=QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("owned", "weight", "message"),
    [
        ({**OWNED, "bystander": ["judge"]}, 1.0, r"losses\.near is minimised by no optimizer; add it to optimizer\."),
        (OWNED, 0.0, r"optimizer\.bystander minimises nothing: no loss that it names has a weight"),
        ({**OWNED, "critic": ["jugde"]}, 1.0, r"optimizer\.critic\.losses names 'jugde'.*did you mean 'judge'"),
    ],
)
def test_losses_and_optimizers_have_to_agree(owned: dict[str, Any], weight: float, message: str) -> None:
    recipe = document(owned)
    recipe["losses"]["near"] = {"weight": weight}
    with pytest.raises(UserError, match=message):
        load_recipe(recipe)


def test_a_loss_that_no_optimizer_names_may_have_weight_0() -> None:
    recipe = document({**OWNED, "bystander": ["near"]})
    recipe["losses"]["aside"] = {"type": "near", "weight": 0}
    assert load_recipe(recipe).losses["aside"].weight == 0


@pytest.mark.parametrize("several", [True, False])
def test_the_scale_of_fp16_follows_after_all_optimizers(several: bool) -> None:
    """Gradients of the second are of the scale before, whatever became of those of the first."""
    fabric = Fabric(accelerator="cpu", devices=1)
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(2 if several else 1)]
    optimizers = [torch.optim.SGD([p], lr=1.0) for p in parameters]
    wrapped = [fabric.setup_optimizers(o) for o in optimizers]
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=100)
    scaler.scale(torch.zeros(()))
    parameters[0].grad = torch.tensor([torch.inf, 1.0])
    parameters[-1].grad = torch.tensor([8.0, 16.0]) if several else parameters[0].grad
    if several:
        step_all(wrapped, scaler)
        assert parameters[0].tolist() == [1.0, 1.0]  # skipped
        assert parameters[1].tolist() == [0.0, -1.0]  # 1 - 8 / 8, 1 - 16 / 8
        assert scaler.get_scale() == 4.0
    else:
        parameters[0].grad = torch.tensor([1.0, 2.0])
        step_all(wrapped, None)
        assert parameters[0].tolist() == [0.0, -1.0]


def test_strategies_that_cannot_go_back_several_times_are_refused() -> None:
    recipe = load_recipe(document())
    refuse_apart([["judge"]], DDPStrategy(), recipe)
    with pytest.raises(UserError, match=r"optimizers with losses of their own .* under fsdp; use ddp"):
        refuse_apart([["judge"]], sharding(2, "32"), recipe)
    refuse_apart([None], sharding(2, "32"), recipe)
