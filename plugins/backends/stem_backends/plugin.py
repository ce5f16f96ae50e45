"""The built-in devices."""

from __future__ import annotations

from collections.abc import Mapping

from stemcore import hookimpl


@hookimpl
def stem_backends() -> Mapping[str, str]:
    """CPU, NVIDIA (and AMD, through ROCm's CUDA interface) and Apple devices."""
    return {
        "cpu": "stem_backends.cpu:CpuBackend",
        "cuda": "stem_backends.cuda:CudaBackend",
        "mps": "stem_backends.mps:MpsBackend",
    }
