"""A script that trains on two devices: what the tests of several devices look at. Each process runs all of it.

Usage: two_processes.py FOLDER, which holds recipes as ``<name>.yaml``; runs go to ``<name>``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from stemcore import Callback, run
from stemcore.component.callback import State
from stemcore.errors import Interrupted, TrainingFailed, UserError
from stemcore.progress import Reporter
from stemcore.trainer.meters import Meter
from stemcore.trainer.together import Together, gathered


class Stop(Callback):
    """Interrupts the second process alone."""

    def on_step_end(self, state: State) -> None:
        if state.step == 5 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Two:
    """What Together needs to know of Fabric."""

    def __init__(self) -> None:
        self.global_rank, self.world_size = dist.get_rank(), dist.get_world_size()


def failure(rank: int) -> str:
    """What a loss that is not finite, in the second process alone, is called in this one."""
    meter = Meter(["loss", "mse"], Together(Two()))  # type: ignore[arg-type]
    meter.add(torch.tensor([1.0, 1.0]), 2, torch.tensor([0, 1]))
    meter.add(torch.tensor([float("nan") if rank else 1.0] * 2), 2, torch.tensor([2 + rank, 4 + rank]))
    try:
        meter.recent()
    except TrainingFailed as error:
        return f"{error}{'' if error.everywhere else ' (here alone)'}"
    return ""


def gradient(rank: int) -> list[list[float]]:
    """Of five rows, three here and two there, in a sum over all pairs; a row's share of what both processes find."""
    rows = torch.arange(5.0).reshape(5, 1)[rank::2].requires_grad_()
    everything = gathered(rows, 5, 2)
    assert everything.flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert gathered(rows > 1.5, 5, 2).flatten().tolist() == [False, False, True, True, True]
    (everything.T * everything).triu(1).sum().backward()
    assert rows.grad is not None
    return (rows.grad / 2).tolist()


def main(folder: Path) -> None:
    quiet = Reporter()
    for name in ("ddp", "fsdp", "gather", "lanes"):
        run(folder / f"{name}.yaml", output=folder / name, reporter=quiet)
    rank = dist.get_rank()
    try:
        run(folder / "stopped.yaml", output=folder / "stopped", callbacks=[Stop()], reporter=quiet)
    except Interrupted as error:
        stopped = str(error)
    dist.barrier()
    if rank == 0:
        kept = torch.load(folder / "stopped" / "checkpoints" / "last.ckpt", weights_only=True)
        torch.save(kept, folder / "stopped.ckpt")
    try:
        run("", resume=folder / "stopped", overrides=["trainer.devices=2", "data.batch_size=5"], reporter=quiet)
    except UserError as error:
        refused = str(error)
    run("", resume=folder / "stopped", overrides=["trainer.strategy=fsdp"], reporter=quiet)
    said = {"stopped": stopped, "refused": refused, "failure": failure(rank), "gradient": gradient(rank)}
    (folder / f"said{rank}.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
