"""Fabric: devices, precision, strategy, launching."""

from __future__ import annotations

from typing import Any

from lightning_fabric import Fabric

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
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=trainer.num_nodes,
        strategy=trainer.strategy,
        precision=_PRECISION.get(trainer.precision, trainer.precision),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def channels_last(parts: Parts) -> bool:
    """Whether images are kept channels-last: as the recipe says, or where the backend gains by it."""
    wanted = parts.recipe.trainer.channels_last
    return parts.backend.channels_last if wanted == "auto" else bool(wanted)
