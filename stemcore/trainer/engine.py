"""Fabric: devices, precision, strategy, launching."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.accelerators.accelerator import Accelerator
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from stemcore.assemble import Parts
from stemcore.component.model import Model
from stemcore.errors import UserError
from stemcore.trainer import processes
from stemcore.trainer.sharding import sharding

_PRECISION = {"32": "32-true"}


def launch(parts: Parts) -> Fabric:
    """Fabric for a recipe's backend, devices, strategy and precision, launched: with several devices there are as many
    processes afterwards.

    Raises:
        UserError: if there are not as many devices, or if they do not go with the strategy, the precision or what
            launched the processes.
    """
    trainer = parts.recipe.trainer
    where = parts.recipe.where
    accelerator = parts.backend.accelerator()
    devices: Any = trainer.devices
    if devices == "auto" and accelerator == "cpu":
        # On a CPU every process already uses all cores; more of them have to be asked for.
        devices = _tasks_per_machine()
    precision: Any = _PRECISION.get(trainer.precision, trainer.precision)
    if trainer.strategy == "fsdp" and precision == "16-mixed":
        raise UserError(
            "trainer.strategy=fsdp does not go with trainer.precision=16-mixed",
            where=where(("trainer", "precision")),
            hint="use bf16-mixed or 32, or ddp",
        )
    placed: dict[str, Any] = {"devices": devices, "strategy": trainer.strategy, "precision": precision}
    if isinstance(accelerator, Accelerator) and trainer.strategy == "auto" and devices in ("auto", 1):
        placed = _on_its_device(accelerator, precision)
    elif trainer.strategy == "fsdp":
        count = _count(accelerator, devices) * trainer.num_nodes
        placed["strategy"] = sharding(count, trainer.precision)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # of its own accord each process introduces itself
    try:
        with warnings.catch_warnings():
            # Where SLURM is installed Fabric advises it to everybody, also for one process on a machine of one's own.
            warnings.filterwarnings("ignore", "The `srun` command is available on your system but is not used")
            fabric = Fabric(accelerator=accelerator, num_nodes=trainer.num_nodes, **placed)
        _refuse_alone(fabric, trainer.num_nodes)
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        message = " ".join(str(error).split())
        raise UserError(f"trainer.devices: {message}", where=where(("trainer", "devices"))) from error
    if trainer.sync_batchnorm and fabric.world_size > 1 and fabric.device.type != "cuda":
        raise UserError(
            f"trainer.sync_batchnorm works on CUDA devices, this is {parts.backend.describe()}",
            where=where(("trainer", "sync_batchnorm")),
            hint="leave it out",
        )
    processes.start(fabric)
    fabric.launch()
    return fabric


def _tasks_per_machine() -> int:
    """The processes that torchrun or SLURM has started on this machine, of which this is one; else 1."""
    given = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE")
    return int(given) if given is not None and given.isdecimal() else 1


def _count(accelerator: Any, devices: Any) -> int:
    """The number of devices of this machine that a recipe's ``devices`` stand for."""
    if isinstance(devices, int):
        return devices
    if isinstance(devices, list):
        return len(devices)
    return Fabric(accelerator=accelerator, devices="auto", strategy="ddp").strategy.num_processes  # type: ignore[attr-defined, no-any-return]


def _refuse_alone(fabric: Fabric, nodes: int) -> None:
    """Raises ``ValueError`` if this is one of several processes, started by torchrun or SLURM, that would not know of
    one another."""
    environment = getattr(fabric.strategy, "cluster_environment", None)
    if environment is not None:
        environment.validate_settings(num_devices=fabric.strategy.num_processes, num_nodes=nodes)  # type: ignore[attr-defined]
    elif int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1) > 1 and processes.from_outside():
        if processes.is_alone():
            return
        raise ValueError(
            "there are several processes, each of which would train on one device by itself; ask for as many devices"
        )


def _on_its_device(accelerator: Accelerator, precision: Any) -> dict[str, Any]:
    """One device of an accelerator that Fabric does not know by name: left to itself Fabric would take the CPU."""
    device = accelerator.get_parallel_devices(accelerator.parse_devices(1))[0]
    placed: dict[str, Any] = {"devices": 1, "strategy": SingleDeviceStrategy(device=device)}
    if precision.endswith("-mixed"):
        return {**placed, "plugins": [MixedPrecision(precision, device=device.type)]}
    return {**placed, "precision": precision}


def is_sharded(fabric: Fabric) -> bool:
    """Whether a process holds a share of each parameter alone, so that all have to take part in every forward pass."""
    return isinstance(fabric.strategy, ModelParallelStrategy)


def with_common_statistics(model: Model, parts: Parts, fabric: Fabric) -> Model:
    """The model, its batch normalisation over the items of all processes where the recipe asks for it; the names of
    its weights are as before."""
    if not parts.recipe.trainer.sync_batchnorm or fabric.world_size == 1:
        return model
    converted: Model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


def channels_last(parts: Parts) -> bool:
    """Whether images are kept channels-last: as the recipe says, or where the backend gains by it."""
    wanted = parts.recipe.trainer.channels_last
    return parts.backend.channels_last if wanted == "auto" else bool(wanted)
