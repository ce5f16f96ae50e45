"""Parameters shared out over processes: FSDP2, ``torch.distributed.fsdp.fully_shard``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


def sharding(processes: int, precision: str) -> ModelParallelStrategy:
    """The strategy under which each of ``processes`` holds an equal share of every parameter, of its gradient and of
    what the optimizer keeps for it; those of a block are gathered while it computes."""

    def parallelize(step: nn.Module, mesh: DeviceMesh) -> nn.Module:
        shard(step.get_submodule("model"), mesh["data_parallel"], precision)
        return step

    return ModelParallelStrategy(parallelize, data_parallel_size=processes, tensor_parallel_size=1)


def shard(model: nn.Module, mesh: DeviceMesh, precision: str) -> None:
    """Shares out the parameters of a model: its repeated blocks one by one, and the rest as one.

    Under ``bf16-mixed`` the parameters of blocks are gathered in bfloat16, in which they compute; gradients are added
    up in float32. What does not belong to a block stays in float32, since losses may use it.
    """
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")  # which nobody changes in place
    half = precision == "bf16-mixed"
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    for block in blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh)


def blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The blocks that repeat: entries of one class in a ``ModuleList`` or ``Sequential``, made of modules themselves.
    Lists within a block are part of it."""
    for child in model.children():
        found: list[nn.Module] = []
        if isinstance(child, (nn.ModuleList, nn.Sequential)):
            often = Counter(type(entry) for entry in child)
            found = [e for e in child if often[type(e)] > 1 and _is_block(e)]
        yield from found
        if not found:
            yield from blocks(child)


def _is_block(module: nn.Module) -> bool:
    return any(True for _ in module.children()) and any(p.requires_grad for p in module.parameters())


def whole(value: Any) -> Any:
    """The same nest of dicts and lists with every shared-out tensor whole, on the CPU: each process has to call it,
    with the same nest."""
    if isinstance(value, DTensor):
        return value.full_tensor().detach().cpu()
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(whole(item) for item in value)
    return value


def shared_out(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The state of an optimizer with whole tensors, shared out as its parameters are."""
    owned = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [n for group in state["param_groups"] for n in group["params"]]
    of = dict(zip(numbers, owned, strict=True))
    kept = {n: {name: _like(v, of[n]) for name, v in values.items()} for n, values in state["state"].items()}
    return {**state, "state": kept}


def _like(value: Any, parameter: Tensor) -> Any:
    if isinstance(parameter, DTensor) and isinstance(value, Tensor) and value.shape == parameter.shape:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
