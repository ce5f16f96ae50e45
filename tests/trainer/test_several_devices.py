"""Two processes on a CPU: the same result as one with batches twice as large."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from stemcore import UserError, load_recipe, load_run, run
from stemcore.assemble import assemble
from stemcore.progress import Reporter
from stemcore.trainer import sharding
from stemcore.trainer.engine import launch
from tests.conftest import SMALL, bundled_patterns, changed

QUIET = Reporter()
SCRIPT = Path(__file__).with_name("two_processes.py")


def recipes(folder: Path) -> dict[str, dict[str, Any]]:
    """Of 61 items, in batches of four on each device, the last has five: three on one and two on the other."""
    import h5py

    with h5py.File(folder / "scan.h5", "w") as file:
        file["patterns"] = bundled_patterns()[:76]
        file["more"] = bundled_patterns()[:200]
    ddp = changed(
        SMALL,
        {
            "data": {
                "train": {"type": "hdf5", "path": str(folder / "scan.h5"), "dataset": "patterns"},
                "transforms": {"input": [{"type": "log1p"}, {"type": "standardize"}]},
                "batch_size": 4,
                "eval_batch_size": 6,
            },
            "trainer": {"devices": 2, "log_every_n_steps": 1, "accumulate_grad_batches": 3},
            "figures": {"reconstruction": {}},
        },
    )
    lanes = {**ddp, "figures": {}, "trainer": {**ddp["trainer"], "max_epochs": 1}}
    gather = {"contrastive": {"type": "contrastive", "weight": 0.1, "gather": True}, "divergence": {"gather": True}}
    return {
        "ddp": ddp,
        "fsdp": changed(ddp, {"trainer": {"strategy": "fsdp"}}),
        "stopped": {**ddp, "figures": {}},
        "gather": changed(
            {**ddp, "figures": {}, "optimizer": {"type": "sgd", "lr": 0.01}},
            {"losses": gather, "trainer": {"accumulate_grad_batches": 1, "ema": {"decay": 0.9}}},
        ),
        "lanes": changed(lanes, {"data": {"train": {"dataset": "more"}, "batch_size": 12}}),
    }


# Now and then, on a busy machine, one of PyTorch's threads is still there when a process is over and all is written.
ABORTED = "terminate called without an active exception\n"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs of two processes."""
    folder = tmp_path_factory.mktemp("job")
    for name, recipe in recipes(folder).items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    # What a job of one process leaves behind in the environment does not keep the second one from being started.
    left = {"LOCAL_RANK": "0", "NODE_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    environment = {**os.environ, **left, "OMP_NUM_THREADS": "1", "STEM_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr.replace(ABORTED, "") == ""
    return folder


@pytest.fixture(scope="module")
def alone(job: Path) -> Callable[[str], Path]:
    """Trains in this process what the job did, in batches twice as large; each recipe once."""
    done: dict[str, Path] = {}

    def train(name: str) -> Path:
        if name not in done:
            torch.set_num_threads(1)
            recipe = yaml.safe_load((job / f"{name}.yaml").read_text(encoding="utf-8"))
            twice = {"data": {"batch_size": 2 * recipe["data"]["batch_size"]}, "trainer": {"devices": 1}}
            done[name] = run(changed(recipe, twice), output=job / f"{name}-alone", reporter=QUIET).directory
        return done[name]

    return train


def weights(directory: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    return found


def table(directory: Path) -> list[dict[str, str]]:
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_alike(one: Path, other: Path) -> None:
    """The same scalars at the same steps, and the same weights, up to rounding."""
    first, second = table(one), table(other)
    assert [list(row) for row in first] == [list(row) for row in second]
    assert len(first) == len(second) > 3
    for a, b in zip(first, second, strict=True):
        assert {n for n in a if a[n]} == {n for n in b if b[n]}
        for name in (n for n in a if a[n]):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=2e-4, abs=1e-6), name
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["ddp", "gather", "lanes"])
def test_two_devices_train_as_one_with_batches_twice_as_large(
    job: Path, alone: Callable[[str], Path], name: str
) -> None:
    """Also with accumulation, a last batch that is shorter on one of them, and more batches to validate on one."""
    assert_alike(job / name, alone(name))


def test_shared_out_parameters_train_alike_and_are_whole_in_checkpoints(
    job: Path, alone: Callable[[str], Path]
) -> None:
    assert_alike(job / "fsdp", alone("ddp"))
    found = torch.load(job / "fsdp" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(type(t) is Tensor for t in found["weights"].values())
    states = found["training"]["optimizers"][0]["state"].values()
    assert all(type(t) is Tensor for state in states for t in state.values())
    np.testing.assert_allclose(load_run(job / "fsdp").encode(), load_run(alone("ddp")).encode(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_one_process_writes(job: Path, name: str) -> None:
    directory = job / name
    lines = (directory / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [sum(text in line for line in lines) for text in ("training small", "epoch 1,", "finished")] == [1, 1, 1]
    assert [p.name for p in (directory / "figures").iterdir()] == ["reconstruction_epoch002.png"]
    assert len(table(directory)) == len({(row["step"], row["epoch"]) for row in table(directory)})


def test_a_signal_to_one_process_stops_both_and_the_run_goes_on_shared_out_or_alone(
    job: Path, alone: Callable[[str], Path]
) -> None:
    said = [json.loads((job / f"said{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    assert said[0]["stopped"] == said[1]["stopped"]
    assert "interrupted in epoch 2 at step 5; go on with: stem run" in said[0]["stopped"]
    assert_alike(job / "stopped", alone("ddp"))
    (job / "stopped" / "checkpoints" / "last.ckpt").unlink()
    (job / "stopped.ckpt").rename(job / "stopped" / "checkpoints" / "last.ckpt")
    run("", resume=job / "stopped", overrides=["trainer.devices=1", "data.batch_size=8"], reporter=QUIET)
    assert_alike(job / "stopped", alone("ddp"))


def test_a_run_does_not_go_on_in_other_batches(job: Path) -> None:
    said = json.loads((job / "said1.json").read_text(encoding="utf-8"))
    assert "data.batch_size: it is 4 in the run and 5 now" in said["refused"]
    with pytest.raises(UserError, match=r"trainer\.devices: .* batches of 8 items over all .* of 4 \(4 on each of 1\)"):
        run("", resume=job / "ddp", overrides=["trainer.devices=1", "trainer.max_epochs=3"], reporter=QUIET)


def test_a_loss_that_is_not_finite_on_one_device_is_named_on_both(job: Path) -> None:
    for rank in (0, 1):
        said = json.loads((job / f"said{rank}.json").read_text(encoding="utf-8"))
        assert said["failure"] == "the loss is not finite: mse of the batch with items 3, 5"


def test_gathered_rows_have_the_gradients_of_one_process(job: Path) -> None:
    rows = torch.arange(5.0, requires_grad=True)
    torch.outer(rows, rows).triu(1).sum().backward()
    assert rows.grad is not None
    for rank in (0, 1):
        said = json.loads((job / f"said{rank}.json").read_text(encoding="utf-8"))
        assert [row[0] for row in said["gradient"]] == pytest.approx(rows.grad[rank::2].tolist())


# ---------------------------------------------------------------- a process that is gone


def started(folder: Path, recipe: dict[str, Any]) -> tuple[subprocess.Popen[str], list[int]]:
    """A run of two processes that has trained for a step, and the number of its second process."""
    path = folder / "long.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    stem = [sys.executable, "-m", "stemcore.cli", "run", str(path), "--output", str(folder / "run")]
    process = subprocess.Popen(stem, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    scalars = folder / "run" / "metrics.csv"
    while not (scalars.exists() and scalars.read_text(encoding="utf-8").count("\n") > 2):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return process, [int(number) for number in found.stdout.split()]


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("which", ["second", pytest.param("first", marks=pytest.mark.slow)])
def test_a_process_that_is_killed_ends_the_run_and_is_named(tmp_path: Path, which: str) -> None:
    recipe = recipes(tmp_path)["ddp"]
    recipe["trainer"] |= {"max_epochs": 100_000, "checkpoint": {"every_n_steps": 5}}
    process, (second,) = started(tmp_path, recipe)
    os.kill(second if which == "second" else process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    until = time.monotonic() + 20
    while is_alive(second):
        assert time.monotonic() < until, "the other process is still there"
        time.sleep(0.1)
    if which == "second":
        assert process.returncode == 1
        assert f"stem: process 1 of 2 (pid {second}) was killed by SIGKILL; the last good checkpoint is" in errors
        assert json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))["status"] == "failed"
    else:
        assert process.returncode == -signal.SIGKILL
        assert f"stem: the process that started this one (pid {process.pid}) is gone" in errors
    assert "Traceback" not in errors
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["training"]["step"] >= 0


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    recipe = changed(recipes(tmp_path)["ddp"], {"trainer": {"devices": "auto"}})
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "stemcore.cli"]
    done = subprocess.run(
        [*torchrun, "run", str(path), "--output", str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == str(tmp_path / "run")
    assert done.stdout.count("val/psnr_std") == 1
    assert load_run(tmp_path / "run").summary["steps"] == 6


# ---------------------------------------------------------------- what does not go


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"devices": 2, "sync_batchnorm": True}, r"trainer\.sync_batchnorm works on CUDA devices, this is CPU"),
        ({"strategy": "fsdp", "precision": "16-mixed"}, r"fsdp does not go with trainer\.precision=16-mixed; use bf16"),
    ],
)
def test_what_a_strategy_or_a_device_cannot_do_is_refused_before_any_process_starts(
    small: Callable[..., dict[str, Any]], trainer: dict[str, Any], message: str
) -> None:
    parts = assemble(load_recipe(small(trainer={**trainer, "precision": "32"})))
    parts.recipe.trainer.__dict__.update(trainer)  # a precision that the CPU does not have
    with pytest.raises(UserError, match=message):
        launch(parts)


def test_processes_that_would_not_know_of_one_another_are_refused(
    small: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torchrun sets, with a recipe of one device."""
    rank = {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}
    world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
    for name, value in {**rank, **world}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"trainer\.devices: there are several processes"):
        launch(assemble(load_recipe(small(trainer={"devices": 1}))))
    with pytest.raises(UserError, match=r"trainer\.devices: .*devices=3.* does not match the world size \(2\)"):
        launch(assemble(load_recipe(small(trainer={"devices": 3}))))


def test_strategies_are_known_by_name(small: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"trainer\.strategy.*'auto', 'ddp'.*'fsdp'"):
        load_recipe(small(trainer={"strategy": "zero"}))


def test_blocks_that_repeat_are_shared_out_one_by_one() -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
            self.blocks = nn.ModuleList([block(), block()])
            self.deep = nn.ModuleDict({"inner": nn.Sequential(block(), nn.ReLU(), block())})

    net = Net()
    assert list(sharding.blocks(net)) == [*net.blocks, net.deep["inner"][0], net.deep["inner"][2]]
