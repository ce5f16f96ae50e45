"""Averaged weights: what they are, who sees them, and that a run with them resumes exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stemcore import Callback, Interrupted, UserError, load_recipe, load_run, run
from stemcore.component.callback import State
from stemcore.progress import reporter
from stemcore.recipe.sections import EMA
from stemcore.trainer.averaging import Averages
from tests.trainer.stopping import stopping_at

QUIET = reporter(quiet=True)


def walk(model: nn.Module, seed: int) -> None:
    """Moves all trainable parameters, as an optimizer step does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=generator))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def flat(model: nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double().numpy()


def averaged(averages: Averages, model: nn.Module) -> np.ndarray:
    with averages.applied():
        return flat(model)


@pytest.mark.parametrize(
    ("settings", "taken", "decay"),
    [
        ({"decay": 0.9, "warmup": False}, range(1, 41), lambda t: 0.9),
        ({"decay": 0.9, "warmup": True}, range(1, 41), lambda t: min(0.9, (1 + t) / (10 + t))),
        ({"decay": 0.5, "warmup": False, "every_n_steps": 7}, range(7, 41, 7), lambda t: 0.5),
        ({"decay": 0.5, "warmup": False, "every_n_steps": 3, "start_step": 9}, range(12, 41, 3), lambda t: 0.5),
    ],
)
def test_they_are_the_recursion_in_float64(
    settings: dict[str, Any], taken: range, decay: Callable[[int], float]
) -> None:
    model = network()
    averages = Averages(model, EMA(**settings))
    expected, changes = flat(model), 0
    for step in range(1, 41):
        walk(model, step)
        averages.update(step)
        if step in taken:
            expected = flat(model) if changes == 0 else decay(changes) * expected + (1 - decay(changes)) * flat(model)
            changes += 1
        elif changes == 0:
            expected = flat(model)  # until averaging begins the weights serve
        np.testing.assert_allclose(averaged(averages, model), expected, rtol=2e-5, atol=2e-6)
    assert changes == averages.count == len(taken)


def test_with_one_decay_they_are_the_sum_of_all_weights_with_geometric_shares() -> None:
    model = network()
    averages, seen = Averages(model, EMA(decay=0.8, warmup=False)), []
    for step in range(1, 31):
        walk(model, step)
        averages.update(step)
        seen.append(flat(model))
    shares = 0.2 * 0.8 ** np.arange(29, -1, -1)
    shares[0] = 0.8**29
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(averaged(averages, model), shares @ np.stack(seen), rtol=2e-5, atol=2e-6)


def test_applied_they_are_the_models_for_a_while_whatever_happens_in_it() -> None:
    model = network()
    first = dict(model.named_parameters())
    averages = Averages(model, EMA(decay=0.9, warmup=False))
    for step in (1, 2):
        walk(model, step)
        averages.update(step)
    before = flat(model)

    def interrupted() -> None:
        with averages.applied():
            seen.append(flat(model))
            with averages.applied():  # once more: the same
                seen.append(flat(model))
            seen.append(flat(model))
            raise KeyboardInterrupt

    seen: list[np.ndarray] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    inside = seen[0]
    assert np.array_equal(inside, seen[1])
    assert np.array_equal(inside, seen[2])
    assert not np.allclose(inside, before)
    np.testing.assert_array_equal(flat(model), before)
    assert all(p is first[n] for n, p in model.named_parameters())


def test_what_is_not_trained_is_neither_copied_nor_changed() -> None:
    model = network()
    model[0].requires_grad_(False)
    averages = Averages(model, EMA())
    assert averages.names == ["1.weight", "1.bias", "2.weight", "2.bias"]
    model(torch.randn(8, 4))
    statistics = model[1].running_mean.clone()
    walk(model, 1)
    averages.update(1)
    with averages.applied():
        assert torch.equal(model[1].running_mean, statistics)
        assert model[1].num_batches_tracked == 1


def test_what_was_compiled_for_the_parameters_sees_them() -> None:
    torch._dynamo.reset()
    model = network().eval()
    compiled, x = torch.compile(model, backend="eager", fullgraph=True), torch.randn(5, 4)
    averages = Averages(model, EMA(decay=0.9, warmup=False))
    for step in (1, 2, 3):
        walk(model, step)
        averages.update(step)
        own = compiled(x)
        with averages.applied():
            assert torch.equal(compiled(x), model(x))
            assert step == 1 or not torch.allclose(compiled(x), own)
        assert torch.equal(compiled(x), own)


def ema(**settings: Any) -> dict[str, Any]:
    return {"ema": {"decay": 0.9, **settings}}


def checkpoint_of(folder: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


class Watcher(Callback):
    """Keeps every step's weights, and what an evaluation sees of them at the end of each epoch."""

    def __init__(self) -> None:
        self.weights: list[np.ndarray] = []
        self.evaluated: list[np.ndarray] = []
        self.mode: list[bool] = []

    def on_step_end(self, state: State) -> None:
        self.weights.append(flat(state.model))

    def on_epoch_end(self, state: State) -> None:
        random = torch.get_rng_state()
        with state.evaluation() as model:
            self.evaluated.append(flat(model))
            self.mode += [model.training, torch.is_grad_enabled()]
            torch.rand(3)
        self.mode.append(not torch.equal(random, torch.get_rng_state()))


def test_a_run_is_validated_kept_and_applied_with_them(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    recipe = small(trainer={**ema(warmup=False), "max_epochs": 2, "accumulate_grad_batches": 2})
    one = {"type": "adam", "lr": 1e-3}
    recipe["optimizer"] = {n: {**one, "parameters": [n]} for n in ("encoder", "decoder")}
    watcher = Watcher()
    trained = run(recipe, output=tmp_path / "run", callbacks=[watcher], reporter=QUIET)
    kept = checkpoint_of(tmp_path / "run")
    expected = watcher.weights[0]
    for weights in watcher.weights[1:]:
        expected = 0.9 * expected + 0.1 * weights
    np.testing.assert_allclose(watcher.evaluated[-1], expected, rtol=1e-4, atol=1e-6)
    assert kept["training"]["averages"]["count"] == kept["training"]["step"] == len(watcher.weights)
    assert not any(watcher.mode)
    model = trained.predictor().model
    np.testing.assert_allclose(flat(model), watcher.evaluated[-1], rtol=0, atol=0)
    raw = torch.cat([t.flatten() for t in kept["training"]["averages"]["parameters"].values()]).double().numpy()
    np.testing.assert_array_equal(raw, watcher.weights[-1])
    # The scores of the run are those of the weights that it leaves.
    again = trained.evaluate(reporter=QUIET)
    assert again["scores"]["model"]["psnr"] == pytest.approx(trained.summary["final"]["val/psnr"], rel=1e-4)


def test_training_is_the_same_with_them_and_without(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with_, without = Watcher(), Watcher()
    run(small(trainer=ema()), output=tmp_path / "with", callbacks=[with_], reporter=QUIET)
    run(small(), output=tmp_path / "without", callbacks=[without], reporter=QUIET)
    np.testing.assert_array_equal(with_.weights, without.weights)
    np.testing.assert_array_equal(without.evaluated[-1], without.weights[-1])


@pytest.mark.parametrize("step", [1, 20])  # before averaging begins, in the second epoch
def test_interrupted_and_resumed_a_run_ends_bit_for_bit_as_undisturbed(
    small: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    recipe = small(trainer=ema(every_n_steps=2, start_step=1))
    run(recipe, output=tmp_path / "whole", reporter=QUIET)
    with stopping_at(step, monkeypatch), pytest.raises(Interrupted):
        run(recipe, output=tmp_path / "cut", reporter=QUIET)
    run(recipe, resume=tmp_path / "cut", reporter=QUIET)
    whole, cut = checkpoint_of(tmp_path / "whole"), checkpoint_of(tmp_path / "cut")
    assert same(whole["weights"], cut["weights"])
    assert same(whole["training"]["averages"]["parameters"], cut["training"]["averages"]["parameters"])
    assert load_run(tmp_path / "cut").summary["final"] == load_run(tmp_path / "whole").summary["final"]


def test_a_new_run_starts_from_the_averages(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(small(trainer=ema()), output=tmp_path / "first", reporter=QUIET)
    start: list[dict[str, Tensor]] = []

    class Start(Callback):
        def on_fit_start(self, state: State) -> None:
            start.append({f"model.{n}": t.clone() for n, t in state.model.state_dict().items()})

    run(small(), output=tmp_path / "second", init_from=tmp_path / "first", callbacks=[Start()], reporter=QUIET)
    kept = {n: t for n, t in checkpoint_of(tmp_path / "first", "best")["weights"].items() if n.startswith("model.")}
    assert same(start[0], kept)


def test_where_no_process_has_whole_weights_they_are_refused(small: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"trainer\.ema does not go with trainer\.strategy=fsdp"):
        load_recipe(small(trainer={**ema(), "strategy": "fsdp"}))
