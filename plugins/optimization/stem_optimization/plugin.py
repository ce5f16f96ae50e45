"""The built-in optimizers, learning-rate schedules and schedules of loss weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stemcore import hookimpl


@hookimpl
def stem_optimizers() -> Mapping[str, str]:
    """The optimizers of ``torch.optim`` that need no closure (all but LBFGS); listing them imports no torch."""
    names = (
        *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd", "muon"),
        *("nadam", "radam", "rmsprop", "rprop", "sgd", "sparse_adam"),
    )
    return {name: f"stem_optimization.optimizers:{name}" for name in names}


@hookimpl
def stem_schedulers() -> Mapping[str, str]:
    """Learning rates over steps or epochs."""
    return {
        "constant": "stem_optimization.torch_schedulers:constant",
        "cosine": "stem_optimization.torch_schedulers:cosine",
        "cosine_restarts": "stem_optimization.torch_schedulers:cosine_restarts",
        "cyclic": "stem_optimization.torch_schedulers:cyclic",
        "exponential": "stem_optimization.torch_schedulers:exponential",
        "linear": "stem_optimization.torch_schedulers:linear",
        "multi_step": "stem_optimization.torch_schedulers:multi_step",
        "one_cycle": "stem_optimization.curves:one_cycle",
        "plateau": "stem_optimization.torch_schedulers:plateau",
        "polynomial": "stem_optimization.torch_schedulers:polynomial",
        "step": "stem_optimization.torch_schedulers:step",
        "warmup_cosine": "stem_optimization.curves:warmup_cosine",
    }


@hookimpl
def stem_weight_schedules() -> Mapping[str, str]:
    """Weights of loss terms over epochs."""
    return {
        "constant": "stem_optimization.weights:Constant",
        "cosine": "stem_optimization.weights:Cosine",
        "cyclical": "stem_optimization.weights:Cyclical",
        "linear": "stem_optimization.weights:Linear",
    }


@hookimpl
def stem_defaults() -> Mapping[str, Any]:
    """Adam, unless a recipe says otherwise."""
    return {"optimizer": {"type": "adam"}}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know of them."""
    return {f"optimizer/{name}": f"stem_optimization.examples:{name}" for name in ("muon", "rprop", "sparse_adam")}
