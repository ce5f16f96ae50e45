"""GPUs of Apple silicon."""

from __future__ import annotations

from typing import ClassVar

import torch

from stemcore import Backend


class MpsBackend(Backend):
    """The GPU of an Apple silicon machine, through Metal."""

    priority: ClassVar[int] = 50
    channels_last: ClassVar[bool] = False  # Metal's convolutions bring no gain and copy to the default layout

    @classmethod
    def available(cls) -> bool:
        """Whether PyTorch was built for Metal and macOS offers a device."""
        try:
            return bool(torch.backends.mps.is_available())
        except Exception:  # a list of backends must be printed whatever the machine
            return False

    @classmethod
    def describe(cls) -> str:
        """The device, or why there is none."""
        if cls.available():
            return "Apple GPU (Metal)"
        built = torch.backends.mps.is_built()
        return "macOS offers no Metal device" if built else "this PyTorch was built without Metal"

    def accelerator(self) -> str:
        """``mps``."""
        return "mps"

    def free_memory(self, device: torch.device) -> int | None:
        """What Metal recommends to use at most, less what this process uses."""
        return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory()))

    def precisions(self) -> tuple[str, ...]:
        """``32`` and ``16-mixed``. bfloat16 needs macOS 14 and a PyTorch newer than the oldest one supported here, and
        brings no speed over float16, so it is left out."""
        return ("32", "16-mixed")
