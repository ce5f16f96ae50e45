"""What the loop does besides stepping: weights, accumulation, stopping, watching for NaN, keeping checkpoints."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemcore import UserError, load_recipe, run
from stemcore.assemble import assemble
from stemcore.data.fit import fit
from stemcore.data.loader import Loader
from stemcore.data.order import plan_epoch, restrict
from stemcore.data.tensors import item_bytes
from stemcore.errors import TrainingFailed
from stemcore.progress import reporter
from stemcore.trainer.meters import UNREAD, Meter
from tests.conftest import bundled_patterns

QUIET = reporter(quiet=True)
Document = dict[str, Any]


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def epochs(directory: Path) -> list[dict[str, str]]:
    return [row for row in rows(directory) if row["train/loss"]]


def last_weights(directory: Path) -> dict[str, torch.Tensor]:
    return torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]


def test_the_loop_takes_the_very_steps_of_plain_pytorch(small: Callable[..., Document], tmp_path: Path) -> None:
    """One epoch by hand: the same batches, losses, clipping and optimizer give the same weights to the last bit."""
    document = small(trainer={"max_epochs": 1}, data={"val": 0})
    document["trainer"]["checkpoint"] = {"monitor": "train/loss"}
    trained = run(document, output=tmp_path / "run", reporter=QUIET)

    recipe = load_recipe(document)
    parts = assemble(recipe)
    source = parts.sources.train
    fit(parts.pipeline, source, describe={}, loader=Loader(), reporter=QUIET)
    model = parts.build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    blocks = restrict(source.dataset.blocks(), source.indices)
    size = item_bytes(source.dataset)
    epoch = plan_epoch(blocks, seed=7, epoch=0, item_bytes=size, buffer_bytes=512e6)
    for stored in Loader().epoch(source, epoch, 64):
        batch = parts.pipeline(stored)
        outputs = model(batch["input"])
        loss = torch.nn.functional.mse_loss(outputs["prediction"], batch["target"])
        loss = loss + 1e-4 * outputs["latent"].abs().sum(dim=1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    found = last_weights(trained.directory)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(found[f"model.{name}"], tensor, rtol=1e-4, atol=1e-6)


def test_losses_at_a_fixed_seed_are_what_they_were(small: Callable[..., Document], tmp_path: Path) -> None:
    """A change that should not affect training must not change these numbers."""
    trained = run(small(), output=tmp_path / "run", reporter=QUIET)
    final = trained.summary["final"]
    assert final["train/loss"] == pytest.approx(FIXED["train/loss"], rel=2e-3)
    assert final["val/loss"] == pytest.approx(FIXED["val/loss"], rel=2e-3)
    assert final["val/psnr"] == pytest.approx(FIXED["val/psnr"], abs=0.02)


FIXED = {"train/loss": 0.51558, "val/loss": 0.31725, "val/psnr": 21.1115}


@pytest.mark.parametrize("batches", [2, 3])
def test_accumulated_batches_make_the_step_of_one_large_batch(
    small: Callable[..., Document], tmp_path: Path, batches: int
) -> None:
    """Also for the last window of an epoch, which is shorter and must be divided by its own length."""
    base = {"data": {"val": 0, "transforms": {}}, "optimizer": {"type": "sgd", "lr": 0.05}, "losses": {"lp": None}}
    train = {"max_epochs": 1, "checkpoint": {"monitor": "train/loss"}}
    size = 1280 // 5  # five batches: windows of 2 + 2 + 1, or 3 + 2
    one = small(**base, trainer={**train, "accumulate_grad_batches": batches})
    one["data"]["batch_size"] = size
    one["data"]["transforms"] = {"input": [{"type": "bin", "factor": 4}, "log1p"]}
    split = run(one, output=tmp_path / "split", reporter=QUIET)
    assert split.summary["steps"] == math.ceil(5 / batches)
    whole = one | {"trainer": {**one["trainer"], "accumulate_grad_batches": 1}}
    whole["data"] = {**one["data"], "batch_size": size * batches}
    joined = run(whole, output=tmp_path / "joined", reporter=QUIET)
    for name, tensor in last_weights(joined.directory).items():
        torch.testing.assert_close(last_weights(split.directory)[name], tensor, rtol=1e-3, atol=1e-5)


def test_a_scheduled_weight_takes_its_values_and_terms_are_logged_unweighted(
    small: Callable[..., Document], tmp_path: Path
) -> None:
    ramp = {"type": "linear", "from": 0.0, "to": 1.0, "epochs": 2}
    document = small(losses={"mse": {"weight": 0.5}, "lp": {"weight": ramp}}, trainer={"max_epochs": 3})
    run(document, output=tmp_path / "run", reporter=QUIET)
    for row, weight in zip(rows(tmp_path / "run"), [0.5, 1.0, 1.0], strict=True):
        total = 0.5 * float(row["val/mse"]) + weight * float(row["val/lp"])
        assert float(row["val/loss"]) == pytest.approx(total, rel=1e-5)


def test_validation_is_the_mean_over_every_held_out_item(small: Callable[..., Document], tmp_path: Path) -> None:
    trained = run(small(losses={"lp": None}), output=tmp_path / "run", reporter=QUIET)
    loaded, _ = trained.load()
    parts, held_out = loaded.parts, loaded.parts.sources.val
    counts = torch.from_numpy(bundled_patterns()[held_out.indices].astype(np.float32))[:, None]
    logs = counts.log1p()
    mean, std = (float(parts.pipeline.get_buffer(f"chains.input.steps.2.{n}")) for n in ("mean", "std"))
    loaded.model.eval()
    with torch.no_grad():
        prediction = loaded.model((logs - mean) / std)["prediction"]
    error = float(((prediction - (logs - mean) / std) ** 2).mean())
    best = min(float(r["val/mse"]) for r in rows(tmp_path / "run"))
    assert best == pytest.approx(error, rel=1e-4)
    range_ = counts.amax(dim=(1, 2, 3)) - counts.amin(dim=(1, 2, 3))
    squared = (((prediction * std + mean).expm1() - counts) ** 2).mean(dim=(1, 2, 3))
    psnr = float((10 * torch.log10(range_**2 / squared)).mean())
    assert trained.evaluate(reporter=QUIET)["scores"]["model"]["psnr"] == pytest.approx(psnr, abs=1e-2)


def test_early_stopping_waits_for_its_patience(small: Callable[..., Document], tmp_path: Path) -> None:
    stopping = {"monitor": "val/loss", "patience": 2, "min_delta": 100.0}
    trained = run(small(trainer={"max_epochs": 9, "early_stopping": stopping}), output=tmp_path / "run", reporter=QUIET)
    assert trained.summary["epochs"] == 3  # the first is the best, two more did not improve by 100
    assert "val/loss has not improved for 2 validations" in trained.summary["reason"]


def test_max_steps_ends_a_run_in_mid_epoch(small: Callable[..., Document], tmp_path: Path) -> None:
    trained = run(small(trainer={"max_epochs": 9, "max_steps": 20}), output=tmp_path / "run", reporter=QUIET)
    assert trained.summary["steps"] == 20
    assert trained.summary["reason"] == "max_steps 20 reached"


@pytest.mark.parametrize(("monitor", "pick"), [("val/loss", min), ("val/psnr", max)])
def test_the_best_checkpoint_is_that_of_the_best_epoch(
    small: Callable[..., Document], tmp_path: Path, monitor: str, pick: Callable[..., int]
) -> None:
    document = small(trainer={"max_epochs": 4, "checkpoint": {"monitor": monitor, "every_n_epochs": 1}})
    document["optimizer"]["lr"] = 3e-2  # restless enough for the best epoch not always to be the last
    run(document, output=tmp_path / "run", reporter=QUIET)
    values = [float(r[monitor]) for r in epochs(tmp_path / "run")]
    best = pick(range(4), key=values.__getitem__) + 1
    folder = tmp_path / "run" / "checkpoints"
    assert (folder / "best.ckpt").read_bytes() == (folder / f"epoch{best:03d}.ckpt").read_bytes()


def test_a_loss_that_is_not_finite_ends_the_run_and_names_term_and_items(
    small: Callable[..., Document], tmp_path: Path
) -> None:
    document = small(optimizer={"type": "sgd", "lr": 1e30}, trainer={"max_epochs": 3, "gradient_clip_val": None})
    with pytest.raises(TrainingFailed, match=r"the loss is not finite: .*of the batch with items") as error:
        run(document, output=tmp_path / "run", reporter=QUIET)
    message = str(error.value)
    items = [int(i) for i in message.split("items ")[1].split(";")[0].split(", ")]
    assert len(items) == len(set(items)) == 64
    assert max(items) < 1280
    assert "mse" in message
    assert str(tmp_path / "run" / "checkpoints" / "last.ckpt") in message
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    assert all(bool(torch.isfinite(t).all()) for t in kept.values())
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "failed"


def test_a_meter_names_the_first_bad_batch_and_its_terms() -> None:
    meter = Meter(["loss", "mse", "kl"])
    for number in range(3):
        meter.add(torch.tensor([1.0, 2.0, 3.0]), 1, torch.tensor([number]))
    meter.read()
    meter.add(torch.tensor([torch.nan, 1.0, torch.inf]), 2, torch.tensor([3, 33]))
    meter.add(torch.tensor([torch.nan, torch.nan, torch.nan]), 1, torch.tensor([4]))
    with pytest.raises(TrainingFailed, match="not finite: kl of the batch with items 3, 33"):
        meter.read()


def test_a_meter_lets_pass_what_need_not_be_finite() -> None:
    meter = Meter(["loss"])
    meter.add(torch.tensor([torch.inf]), 1)
    assert meter.means() == {"loss": torch.inf}


def test_meters_weigh_batches_by_their_items_and_remember_where_they_were() -> None:
    meter = Meter(["loss"])
    meter.add(torch.tensor([1.0]), 3)
    assert meter.recent() == {"loss": 1.0}
    meter.add(torch.tensor([5.0]), 1)
    copy = Meter(["loss"])
    copy.load_state_dict(meter.state_dict())
    for each in (meter, copy):
        assert each.means() == {"loss": 2.0}
        assert each.recent() == {"loss": 5.0}


def test_the_sums_of_a_meter_do_not_depend_on_when_it_was_read() -> None:
    values = torch.rand(2 * UNREAD, 2, generator=torch.Generator().manual_seed(0)) * 1e3
    often, seldom = Meter(["loss", "mse"]), Meter(["loss", "mse"])
    for number, row in enumerate(values):
        for each in (often, seldom):
            each.add(row, 1 + number % 7)
        if number % 3 == 0:
            often.read()
    assert often.means() == seldom.means()
    weights = [1 + number % 7 for number in range(len(values))]
    expected = np.average(values.double().numpy(), axis=0, weights=weights)
    np.testing.assert_allclose(list(often.means().values()), expected, rtol=1e-12)


def test_metrics_can_be_computed_while_training(small: Callable[..., Document], tmp_path: Path) -> None:
    document = small(metrics={"psnr": {"every_n_steps": 8}}, trainer={"log_every_n_steps": 4})
    run(document, output=tmp_path / "run", reporter=QUIET)
    found = [(int(r["step"]), r["step/psnr"], r["step/loss"]) for r in rows(tmp_path / "run") if r["step/loss"]]
    assert [step for step, psnr, _ in found if psnr] == [8, 16, 24, 32]
    assert [step for step, _, loss in found if loss] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert all(10 < float(psnr) < 60 for _, psnr, _ in found if psnr)


def test_a_profile_is_written(small: Callable[..., Document], tmp_path: Path) -> None:
    recipe = small(data={"batch_size": 256}, trainer={"max_epochs": 1, "profile": True})
    run(recipe, output=tmp_path / "run", reporter=QUIET)
    assert "conv" in (tmp_path / "run" / "profile" / "summary.txt").read_text()
    assert json.loads((tmp_path / "run" / "profile" / "trace.json").read_text())["traceEvents"]


def test_optimizers_of_their_own_for_parts_of_the_model(small: Callable[..., Document], tmp_path: Path) -> None:
    document = small()
    document["optimizer"] = {
        "front": {"type": "adam", "lr": 1e-3, "parameters": ["encoder"]},
        "back": {"type": "sgd", "lr": 1e-12, "parameters": ["decoder"]},
    }
    start = assemble(load_recipe(document)).build_model().state_dict()
    trained = run(document, output=tmp_path / "run", reporter=QUIET)
    after = last_weights(trained.directory)
    for name, before in start.items():
        moved = float((after[f"model.{name}"] - before).abs().max())
        assert (moved > 1e-4) == name.startswith("encoder"), name
    assert float(rows(tmp_path / "run")[0]["lr/front"]) == 1e-3
    document["optimizer"]["back"]["parameters"] = ["decodr"]
    with pytest.raises(UserError, match=r"no parameter of the model is called 'decodr'; did you mean 'decoder'\?"):
        run(document, output=tmp_path / "other", reporter=QUIET)
    document["optimizer"]["back"]["parameters"] = ["*"]
    with pytest.raises(UserError, match="belongs to front and back"):
        run(document, output=tmp_path / "other", reporter=QUIET)
    assert not (tmp_path / "other").exists()


def test_a_few_batches_can_be_overfitted(small: Callable[..., Document], tmp_path: Path) -> None:
    document = small(data={"batch_size": 8}, trainer={"max_epochs": 60}, losses={"lp": None})
    trained = run(document, output=tmp_path / "run", overfit_batches=1, reporter=QUIET)
    assert trained.summary["steps"] == 60
    losses = [float(r["val/loss"]) for r in epochs(tmp_path / "run")]
    assert losses[-1] < 0.35 * losses[0]


def test_a_trial_takes_two_batches(small: Callable[..., Document], tmp_path: Path) -> None:
    trained = run(small(), output=tmp_path / "run", fast_dev_run=True, reporter=QUIET)
    assert (trained.summary["epochs"], trained.summary["steps"]) == (1, 2)


def test_bf16_trains_and_keeps_losses_and_integers_exact(small: Callable[..., Document], tmp_path: Path) -> None:
    trained = run(small(trainer={"precision": "bf16-mixed"}), output=tmp_path / "run", reporter=QUIET)
    exact = run(small(), output=tmp_path / "exact", reporter=QUIET)
    a, b = trained.summary["final"]["val/loss"], exact.summary["final"]["val/loss"]
    assert a == pytest.approx(b, rel=0.05)
    assert a != b
