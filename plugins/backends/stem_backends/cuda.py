"""NVIDIA GPUs, and AMD GPUs through ROCm's CUDA interface."""

from __future__ import annotations

from typing import ClassVar

import torch

from stemcore import Backend


class CudaBackend(Backend):
    """GPUs that PyTorch reaches as ``cuda``."""

    priority: ClassVar[int] = 100
    channels_last: ClassVar[bool] = True

    @classmethod
    def available(cls) -> bool:
        """Whether PyTorch was built for CUDA and finds a device."""
        try:
            return bool(torch.cuda.is_available()) and torch.cuda.device_count() > 0
        except Exception:  # a broken driver raises here, and a list of backends must still be printed
            return False

    @classmethod
    def describe(cls) -> str:
        """Each device with its memory, or why there is none."""
        if not cls.available():
            built = torch.version.cuda or getattr(torch.version, "hip", None)
            return "no CUDA device was found" if built else "this PyTorch was built without CUDA"
        try:
            devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        except Exception as error:
            return f"a CUDA device that does not answer: {error}"
        return ", ".join(f"{d.name} ({d.total_memory / 2**30:.0f} GiB)" for d in devices)

    def accelerator(self) -> str:
        """``cuda``."""
        return "cuda"

    def free_memory(self, device: torch.device) -> int | None:
        """What the driver says is free."""
        return int(torch.cuda.mem_get_info(device)[0])

    def precisions(self) -> tuple[str, ...]:
        """``32``, ``16-mixed``, and ``bf16-mixed`` where the device computes in bfloat16 (Ampere and later)."""
        return ("32", "16-mixed", "bf16-mixed") if _bfloat16() else ("32", "16-mixed")


def _bfloat16() -> bool:
    """Whether the device has bfloat16 units. PyTorch counts emulation as support unless told not to."""
    if not CudaBackend.available():
        return False
    try:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    except TypeError:  # the argument is younger than the oldest PyTorch supported
        return bool(torch.cuda.is_bf16_supported())
