"""The optimizers of ``torch.optim`` under typed, keyword-only parameters.

Each name of ``CLASSES`` is a function of this module, ``adam(params, *, lr=1e-3, ...)``, made on first use from the
signature of the installed PyTorch, so that its schema never differs from what PyTorch takes. LBFGS is left out: it
needs a closure that runs the model several times a step.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import torch
from pydantic import Field
from torch import Tensor

from stemcore import UserError

CLASSES = {
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "asgd": "ASGD",
    "muon": "Muon",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "sgd": "SGD",
    "sparse_adam": "SparseAdam",
}

LEFT_OUT = {
    "capturable",  # for CUDA graphs, which the trainer does not record
    "differentiable",  # for gradients through the optimizer, which the trainer does not take
    "maximize",  # a recipe's losses are minimised
}

DESCRIPTIONS = {
    "lr": "learning rate.",
    "betas": "decay of the running means of the gradient and of its square.",
    "eps": "added to denominators, against division by zero.",
    "weight_decay": "strength of weight decay.",
    "momentum": "momentum factor.",
    "dampening": "dampening of the momentum.",
    "nesterov": "use Nesterov's momentum.",
    "amsgrad": "use the AMSGrad variant (Reddi et al. 2018).",
    "foreach": "update all tensors together; null lets PyTorch decide.",
    "fused": "update in one kernel; null: wherever PyTorch has one for the device.",
    "decoupled_weight_decay": "decouple weight decay from the gradient, as in AdamW.",
    "rho": "decay of the running mean of squared gradients.",
    "alpha": "smoothing (RMSprop) or the power of the averaging step (ASGD).",
    "centered": "normalise by the variance of the gradient instead of its square.",
    "lambd": "decay term.",
    "t0": "step at which averaging begins.",
    "lr_decay": "decay of the learning rate.",
    "initial_accumulator_value": "where the sum of squared gradients starts.",
    "momentum_decay": "decay of the momentum.",
    "etas": "factors by which steps shrink and grow.",
    "step_sizes": "smallest and largest step.",
    "beta2_decay": "exponent of the decay of the second moment.",
    "d": "clipping threshold of an update.",
    "ns_coefficients": "coefficients of the Newton-Schulz iteration.",
    "ns_steps": "number of Newton-Schulz iterations.",
    "adjust_lr_fn": "how the learning rate depends on a matrix's shape: original or match_rms_adamw.",
}

LIMITS = {
    "lr": Field(gt=0),
    "eps": Field(ge=0),
    "weight_decay": Field(ge=0),
    "momentum": Field(ge=0),
    "lr_decay": Field(ge=0),
    "initial_accumulator_value": Field(ge=0),
    "rho": Field(ge=0, le=1),
    "ns_steps": Field(ge=1),
}

Optimizer = Callable[..., torch.optim.Optimizer]


def __getattr__(name: str) -> Optimizer:
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _adapter(name)
    return made


def _adapter(name: str) -> Optimizer:
    """The function behind an optimizer's name; raises ``UserError`` where PyTorch is too old to have it."""
    cls = getattr(torch.optim, CLASSES[name], None)
    if cls is None:
        raise UserError(f"PyTorch {torch.__version__} has no {CLASSES[name]}", hint="a newer PyTorch has it")

    def build(params: Iterable[Any], **configuration: Any) -> torch.optim.Optimizer:
        try:
            made: torch.optim.Optimizer = cls(params, **configuration)
        except (ValueError, RuntimeError) as error:  # what its schema cannot say, such as nesterov without momentum
            raise UserError(f"optimizer '{name}': {error}") from error
        return made

    parameters = _parameters(cls)
    given = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Iterable[Any])
    described = "\n".join(f"    {p.name}: {DESCRIPTIONS.get(p.name, '')}" for p in parameters)
    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"``torch.optim.{cls.__name__}``; see PyTorch's documentation.\n\nArgs:\n{described}"
    build.__signature__ = inspect.Signature([given, *parameters])  # type: ignore[attr-defined]
    build.__annotations__ = {p.name: p.annotation for p in (given, *parameters)}
    return build


def _parameters(cls: type[torch.optim.Optimizer]) -> list[inspect.Parameter]:
    hints = get_type_hints(cls.__init__)
    return [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_limited(p.name, _without_tensor(hints[p.name])))
        for p in inspect.signature(cls).parameters.values()
        if p.name != "params" and p.name not in LEFT_OUT
    ]


def _without_tensor(annotation: Any) -> Any:
    """The annotation without the arms that only code, not a recipe, can give: ``float | Tensor`` is ``float``."""
    arms = get_args(annotation)
    if get_origin(annotation) is tuple:
        return tuple[tuple(_without_tensor(arm) for arm in arms)]
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[tuple(_without_tensor(arm) for arm in arms if arm is not Tensor)]  # noqa: UP007 - built at run time
    return annotation


def _limited(name: str, annotation: Any) -> Any:
    return Annotated[annotation, LIMITS[name]] if name in LIMITS and annotation in (float, int) else annotation
