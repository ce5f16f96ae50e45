"""Where a run is placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning_fabric.accelerators import Accelerator

from stemcore import Backend, load_recipe
from stemcore.assemble import Parts, assemble
from stemcore.trainer.engine import launch


class Unknown(Accelerator):
    """A device that Fabric has never heard of; tensors without values stand in for it."""

    def setup_device(self, device: torch.device) -> None:
        self.set_up = device

    def teardown(self) -> None: ...

    @staticmethod
    def parse_devices(devices: Any) -> int:
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        return [torch.device("meta")] * devices

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "unknown"


class OwnBackend(Backend):
    """Hands over an accelerator object."""

    @classmethod
    def available(cls) -> bool:
        return True

    @classmethod
    def describe(cls) -> str:
        return "a device of one's own"

    def accelerator(self) -> Accelerator:
        return Unknown()

    def precisions(self) -> tuple[str, ...]:
        return ("32", "bf16-mixed")


@pytest.fixture
def parts(small: Callable[..., dict[str, Any]]) -> Callable[..., Parts]:
    def make(**trainer: Any) -> Parts:
        return assemble(load_recipe(small(trainer=trainer)))

    return make


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_an_accelerator_object_gets_its_device(parts: Callable[..., Parts], precision: str) -> None:
    fabric = launch(replace(parts(precision=precision), backend=OwnBackend()))
    assert (fabric.device.type, fabric.world_size) == ("meta", 1)
    assert isinstance(fabric.accelerator, Unknown)
    assert fabric._precision.precision == {"32": "32-true"}.get(precision, precision)


def test_the_processor_is_one_device_unless_asked_for_more(parts: Callable[..., Parts]) -> None:
    fabric = launch(parts())
    assert (fabric.device.type, fabric.world_size) == ("cpu", 1)
