from __future__ import annotations

import pytest
import torch
from stem_backends.cpu import CpuBackend
from stem_backends.cuda import CudaBackend
from stem_backends.mps import MpsBackend
from stem_backends.plugin import stem_backends

from stemcore import Backend

BACKENDS = [CpuBackend, CudaBackend, MpsBackend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_says_what_it_is_on_any_machine(backend):
    assert issubclass(backend, Backend)
    assert isinstance(backend.available(), bool)
    assert backend.describe()
    assert set(backend().precisions()) <= {"32", "16-mixed", "bf16-mixed"}
    assert "32" in backend().precisions()


def test_auto_prefers_gpus():
    assert CudaBackend.priority > MpsBackend.priority > CpuBackend.priority


def test_cpu_is_always_there_and_computes_in_what_it_says():
    assert CpuBackend.available()
    assert CpuBackend().precisions() == ("32", "bf16-mixed")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(2, 2)).dtype == torch.bfloat16


def test_cuda_without_a_device_says_why(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not CudaBackend.available()
    assert "CUDA" in CudaBackend.describe()
    assert CudaBackend().precisions() == ("32", "16-mixed")


def test_a_broken_driver_is_no_exception(monkeypatch):
    def broken():
        raise RuntimeError("driver/library version mismatch")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    monkeypatch.setattr(torch.backends.mps, "is_available", broken)
    assert not CudaBackend.available()
    assert not MpsBackend.available()
    assert CudaBackend.describe()
    assert MpsBackend.describe()


@pytest.mark.parametrize("bfloat16", [True, False])
def test_cuda_offers_bfloat16_only_where_the_device_has_it(monkeypatch, bfloat16):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
    assert ("bf16-mixed" in CudaBackend().precisions()) is bfloat16


def test_fabric_knows_every_accelerator():
    from lightning_fabric.accelerators import ACCELERATOR_REGISTRY

    for backend in BACKENDS:
        assert backend().accelerator() in ACCELERATOR_REGISTRY.available_accelerators()


def test_hook_lists_them():
    assert set(stem_backends()) == {"cpu", "cuda", "mps"}
