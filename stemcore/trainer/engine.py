"""Fabric: devices, precision, strategy, launching."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.accelerators.accelerator import Accelerator
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.single_device import SingleDeviceStrategy

from stemcore.assemble import Parts

_PRECISION = {"32": "32-true"}


def launch(parts: Parts) -> Fabric:
    """Fabric for a recipe's backend, devices, strategy and precision, launched."""
    trainer = parts.recipe.trainer
    accelerator = parts.backend.accelerator()
    devices: Any = trainer.devices
    if devices == "auto":
        # On a CPU every process already uses all cores; more of them have to be asked for.
        devices = 1 if accelerator == "cpu" else "auto"
    precision: Any = _PRECISION.get(trainer.precision, trainer.precision)
    placed: dict[str, Any] = {"devices": devices, "strategy": trainer.strategy, "precision": precision}
    if isinstance(accelerator, Accelerator) and trainer.strategy == "auto" and devices in ("auto", 1):
        placed = _on_its_device(accelerator, precision)
    fabric = Fabric(accelerator=accelerator, num_nodes=trainer.num_nodes, **placed)
    fabric.launch()
    return fabric


def _on_its_device(accelerator: Accelerator, precision: Any) -> dict[str, Any]:
    """One device of an accelerator that Fabric does not know by name: left to itself Fabric would take the CPU."""
    device = accelerator.get_parallel_devices(accelerator.parse_devices(1))[0]
    placed: dict[str, Any] = {"devices": 1, "strategy": SingleDeviceStrategy(device=device)}
    if precision.endswith("-mixed"):
        return {**placed, "plugins": [MixedPrecision(precision, device=device.type)]}
    return {**placed, "precision": precision}


def channels_last(parts: Parts) -> bool:
    """Whether images are kept channels-last: as the recipe says, or where the backend gains by it."""
    wanted = parts.recipe.trainer.channels_last
    return parts.backend.channels_last if wanted == "auto" else bool(wanted)
