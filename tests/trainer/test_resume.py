"""Going on exactly where a run was stopped."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stemcore import Run, UserError, load_run, run
from stemcore.cli.main import execute
from stemcore.errors import Interrupted
from stemcore.progress import reporter
from tests.conftest import SMALL, changed
from tests.trainer.stopping import stopping_at

QUIET = reporter(quiet=True)


def recipe_with_every_state() -> dict[str, Any]:
    """A recipe with everything that has a state: sampling, augmentation, accumulation, schedules, early stopping."""
    return changed(
        SMALL,
        {
            "data": {"augment": ["flip", {"type": "poisson", "mode": "thin", "fraction": [0.5, 1.0]}]},
            "model": {"variational": True},
            "losses": {"kl": {"weight": {"type": "linear", "from": 0.0, "to": 1e-3, "epochs": 2}}},
            "optimizer": {"type": "adamw", "lr": 1e-3},
            "scheduler": {"type": "one_cycle"},
            "trainer": {"max_epochs": 3, "accumulate_grad_batches": 3, "early_stopping": {"patience": 5}},
        },
    )


@pytest.fixture
def busy() -> dict[str, Any]:
    return recipe_with_every_state()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """That recipe's run, not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        return run(recipe_with_every_state(), output=folder / "whole", reporter=QUIET)


def weights(directory: Path) -> dict[str, torch.Tensor]:
    found = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    assert any(name.startswith("transforms.") for name in found)
    return found


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("step", [1, 4, 6, 11, 15])  # six steps an epoch: first, middle, last of an epoch, later ones
def test_interrupted_at_any_step_and_resumed_a_run_ends_bit_for_bit_as_uninterrupted(
    busy: dict[str, Any], whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with stopping_at(step, monkeypatch), pytest.raises(Interrupted, match=f"at step {step}; go on with: stem run"):
        run(busy, output=tmp_path / "cut", reporter=QUIET)
    assert load_run(tmp_path / "cut").summary["status"] == "interrupted"
    torch.rand(17)  # other random numbers in between must not matter
    resumed = run(busy, resume=tmp_path / "cut", reporter=QUIET)
    assert same(weights(whole.directory), weights(resumed.directory))
    assert resumed.summary["final"] == whole.summary["final"]
    assert (tmp_path / "cut" / "metrics.csv").read_text() == (whole.directory / "metrics.csv").read_text()


def test_other_seeds_end_elsewhere(busy: dict[str, Any], whole: Run, tmp_path: Path) -> None:
    other = run({**busy, "seed": 8}, output=tmp_path / "other", reporter=QUIET)
    assert not same(weights(whole.directory), weights(other.directory))


def test_killed_in_mid_epoch_a_run_resumes_to_equal_weights(
    small: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """kill -9 gives no chance to save: the run goes on from its last checkpoint, rows logged after it are dropped."""
    recipe = tmp_path / "recipe.yaml"
    document = small(trainer={"max_epochs": 4, "log_every_n_steps": 1})
    recipe.write_text(yaml.safe_dump(document))
    whole = run(recipe, output=tmp_path / "whole", reporter=QUIET)
    command = [sys.executable, "-m", "stemcore.cli", "run", str(recipe), "--output", str(tmp_path / "killed")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=tmp_path) as process:
        table = tmp_path / "killed" / "metrics.csv"
        deadline = time.monotonic() + 120
        while not (table.exists() and len(table.read_text().splitlines()) > 24) and time.monotonic() < deadline:
            time.sleep(0.005)  # 17 rows an epoch: somewhere in the second one
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "summary.json").exists()
    assert execute(["-q", "run", str(recipe), "--resume", str(tmp_path / "killed")]) == 0
    killed = weights(tmp_path / "killed")
    assert killed.keys() == weights(whole.directory).keys()
    for name, tensor in weights(whole.directory).items():
        torch.testing.assert_close(killed[name], tensor, rtol=1e-3, atol=1e-5)  # the child used another thread count
    with table.open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(steps)
    assert load_run(tmp_path / "killed").summary["epochs"] == 4


def test_a_finished_run_resumes_to_itself(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = run(small(trainer={"max_epochs": 1}), output=tmp_path / "run", reporter=QUIET)
    before = weights(first.directory)
    again = run("whatever", resume=tmp_path / "run", reporter=QUIET)
    assert same(before, weights(again.directory))


def test_a_run_without_schedules_may_be_made_longer(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(small(trainer={"max_epochs": 1}), output=tmp_path / "short", reporter=QUIET)
    longer = run("whatever", resume=tmp_path / "short", overrides=["trainer.max_epochs=2"], reporter=QUIET)
    whole = run(small(trainer={"max_epochs": 2}), output=tmp_path / "whole", reporter=QUIET)
    assert same(weights(longer.directory), weights(whole.directory))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.latent_dim=5", "model.latent_dim: it is 4 in the run and 5 now"),
        ("optimizer.lr=1", "optimizer.lr: it is 0.001 in the run and 1.0 now"),
        ("data.batch_size=32", "data.batch_size"),
        ("trainer.max_epochs=1", "trainer.max_epochs"),
        ("losses.l1.weight=1", "losses.l1"),
    ],
)
def test_an_override_that_would_change_the_result_is_refused_by_name(
    small: Callable[..., dict[str, Any]], tmp_path: Path, override: str, message: str
) -> None:
    run(small(), output=tmp_path / "run", fast_dev_run=True, reporter=QUIET)
    with pytest.raises(UserError, match="would change the result") as error:
        run("whatever", resume=tmp_path / "run", overrides=[override], reporter=QUIET)
    assert message in str(error.value)


def test_harmless_overrides_are_taken(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(small(trainer={"max_epochs": 1}), output=tmp_path / "run", reporter=QUIET)
    run("whatever", resume=tmp_path / "run", overrides=["figures.loss.every_n_epochs=1", "loggers=[]"], reporter=QUIET)
    assert [p.name for p in load_run(tmp_path / "run").figures] == ["loss.png"]


def test_the_data_must_be_the_same(
    small: Callable[..., dict[str, Any]], scan_file: Callable[..., Path], tmp_path: Path
) -> None:
    document = small(data={"train": {"type": "hdf5", "path": str(scan_file())}, "batch_size": 16})
    document["data"]["transforms"] = {}
    run(document, output=tmp_path / "run", fast_dev_run=True, reporter=QUIET)
    scan_file()  # written again: another time of change
    with pytest.raises(UserError, match="the data have changed"):
        run("whatever", resume=tmp_path / "run", reporter=QUIET)


def test_a_checkpoint_of_another_model_is_refused(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run(small(), output=tmp_path / "small", fast_dev_run=True, reporter=QUIET)
    run(small(model={"latent_dim": 9}), output=tmp_path / "large", fast_dev_run=True, reporter=QUIET)
    mixed = tmp_path / "small" / "checkpoints" / "mixed.ckpt"
    mixed.write_bytes((tmp_path / "large" / "checkpoints" / "last.ckpt").read_bytes())
    with pytest.raises(UserError, match=r"weights of another model: '.*' is .*, here"):
        run("whatever", resume=mixed, reporter=QUIET)


def test_init_from_takes_the_weights_and_nothing_else(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = run(small(), output=tmp_path / "first", reporter=QUIET)
    document = small(optimizer={"lr": 1e-9}, trainer={"max_epochs": 1})
    second = run(document, output=tmp_path / "second", init_from=first.directory, reporter=QUIET)
    best = torch.load(first.directory / "checkpoints" / "best.ckpt", weights_only=True)["weights"]
    for name, tensor in weights(second.directory).items():
        torch.testing.assert_close(tensor, best[name], rtol=0, atol=1e-6)
    assert second.summary["steps"] == 16
    with pytest.raises(UserError, match="weights of another model"):
        run(small(model={"latent_dim": 9}), output=tmp_path / "third", init_from=first.directory, reporter=QUIET)
    assert not (tmp_path / "third").exists()


def test_a_checkpoint_cannot_run_code(tmp_path: Path, small: Callable[..., dict[str, Any]]) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "broken_in"),)

    torch.save({"format": 1, "weights": Malicious()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        run(small(), output=tmp_path / "run", init_from=tmp_path / "evil.ckpt", reporter=QUIET)
    assert not (tmp_path / "broken_in").exists()
