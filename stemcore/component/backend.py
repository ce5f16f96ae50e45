"""Backends: the devices a run may use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch
    from lightning_fabric.accelerators.accelerator import Accelerator


class Backend(ABC):
    """A device behind Lightning Fabric."""

    priority: ClassVar[int] = 0
    """``backend: auto`` takes the available backend with the highest priority."""
    channels_last: ClassVar[bool] = False
    """Whether convolutions run faster in the channels-last memory format."""

    @classmethod
    @abstractmethod
    def available(cls) -> bool:
        """Whether the device is there. Never raises."""

    @classmethod
    @abstractmethod
    def describe(cls) -> str:
        """The device in words, or why it is not available."""

    @abstractmethod
    def accelerator(self) -> str | Accelerator:
        """What Fabric calls it, or an accelerator object."""

    def free_memory(self, device: torch.device) -> int | None:
        """Bytes that are free on ``device``, for ``data.cache``; ``None`` where that is not known."""
        return None

    def precisions(self) -> tuple[str, ...]:
        """The precisions that this device really computes in, of ``32``, ``16-mixed`` and ``bf16-mixed``."""
        return ("32",)
