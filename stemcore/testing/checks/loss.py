"""What a loss promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import LossExample
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.standard import arguments_of
from stemcore.testing.subject import Subject

CONSTANT_NAMES = ("target", "label", "index")
"""Data rather than outputs of the model: a loss need not have a gradient for them."""


class _Trial:
    """A loss with its arguments: tensors in one floating-point type, and what else it names."""

    def __init__(self, subject: Subject) -> None:
        self.example = subject.promised(LossExample)
        self.loss = subject.build()
        self.arguments = arguments_of(self.loss.forward, self.example.tensors, inputs=self.loss.inputs)
        self.tensors = {name: value for name, value in self.arguments.items() if isinstance(value, Tensor)}
        self.floating = [name for name, value in self.tensors.items() if value.is_floating_point()]
        wanted = self.example.gradient
        self.differentiated = list(wanted or (n for n in self.floating if n not in CONSTANT_NAMES))

    def value(self, tensors: Mapping[str, Any] | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
        """The loss with some tensors in place of its own."""
        given = {name: _as(value, dtype) for name, value in {**self.arguments, **(tensors or {})}.items()}
        value: Tensor = self.loss.to(dtype)(**given)
        return value

    def gradients(self, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
        """The value under the key ``""`` and the gradients that reach the tensors of the model."""
        leaves = {n: _as(tensors.get(n, self.tensors[n]), torch.float32).clone() for n in self.differentiated}
        leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
        value = self.value({**tensors, **leaves}, torch.float32)
        if value.requires_grad:
            value.backward()  # type: ignore[no-untyped-call]
        found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        return {"": value.detach(), **found}


def _as(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, torch.nn.Module):
        return value.to(dtype)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


@promise("loss")
def check_scalar(subject: Subject) -> None:
    """The value is one finite number: terms are weighted and added up."""
    value = _Trial(subject).value(dtype=torch.float32)
    ensure(isinstance(value, Tensor), f"forward returned {type(value).__name__}, not a tensor")
    ensure(value.shape == (), f"forward returned shape {tuple(value.shape)}, not a scalar")
    ensure(value.is_floating_point(), f"forward returned {value.dtype}")
    ensure(torch.isfinite(value), f"forward returned {value.item()}")


@promise("loss")
def check_gradient(subject: Subject) -> None:
    """Its gradient is that of its value, by finite differences in float64: training follows the gradient alone."""
    trial = _Trial(subject)
    if not trial.differentiated:
        raise NotApplicable("it takes no floating-point tensor of the model")
    few = {n: v[:3] if len(v) >= 3 else v for n, v in trial.tensors.items()}
    names = trial.differentiated
    leaves = tuple(few[name].double().clone().requires_grad_() for name in names)

    def value(*given: Tensor) -> Tensor:
        return trial.value({**few, **dict(zip(names, given, strict=True))})

    first = value(*leaves)
    ensure(first.requires_grad, f"no gradient flows to {', '.join(names)}: is there a detach() or no_grad() too much?")
    try:
        torch.autograd.gradcheck(value, leaves, fast_mode=True, rtol=1e-3, atol=1e-6)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise Broken(f"its gradient for {', '.join(names)} is not that of its value: {said}") from error


@promise("loss")
def check_reference(subject: Subject) -> None:
    """Its value is that of the independent float64 computation that its example gives: a formula is right when two
    people who wrote it down agree."""
    trial = _Trial(subject)
    if trial.example.reference is None:
        raise NotApplicable("its example gives no reference")
    arrays = {n: v.double().numpy() if n in trial.floating else v.numpy() for n, v in trial.tensors.items()}
    expected, seen = float(trial.example.reference(**arrays)), trial.value().item()
    ensure(np.isclose(seen, expected, rtol=1e-6, atol=1e-9), f"it is {seen:.9g}, its reference {expected:.9g}")


@promise("loss")
def check_zero(subject: Subject) -> None:
    """It is zero where its example says so: an offset moves no gradient, but makes values of terms incomparable."""
    trial = _Trial(subject)
    if trial.example.zero is None:
        raise NotApplicable("its example says nowhere that it is zero")
    seen = trial.value(trial.example.zero).item()
    ensure(abs(seen) < 1e-8, f"it should be zero there, but is {seen:.6g}")


@promise("loss")
def check_mean_over_items(subject: Subject) -> None:
    """Where its example says that it is a mean over items, the batch size does not change it: the same learning rate
    serves, and several devices give what one does."""
    trial = _Trial(subject)
    if not trial.example.mean:
        raise NotApplicable("its example does not say that it is a mean over items")
    items = min(len(value) for value in trial.tensors.values())
    single = [trial.value({n: v[i : i + 1] for n, v in trial.tensors.items()}).item() for i in range(items)]
    whole, mean = trial.value().item(), float(np.mean(single))
    ensure(np.isclose(whole, mean, rtol=1e-5, atol=1e-9), f"a batch gives {whole:.6g}, its items on average {mean:.6g}")


@promise("loss")
def check_batch_of_one(subject: Subject) -> None:
    """A batch of one item gives a finite value and gradient: the last batch of a data set may be that small."""
    trial = _Trial(subject)
    _finite(trial.gradients({name: value[:1] for name, value in trial.tensors.items()}), "a batch of one item")


@promise("loss")
def check_edges(subject: Subject) -> None:
    """Value and gradient stay finite for zeros, for constants, for items that are all equal, and for whatever else its
    example lists: one NaN ends a training run."""
    trial = _Trial(subject)
    floating = {name: trial.tensors[name] for name in trial.floating}
    edges: dict[str, Mapping[str, Any]] = {
        "zeros": {name: torch.zeros_like(value) for name, value in floating.items()},
        "constants": {name: torch.full_like(value, 0.5) for name, value in floating.items()},
        "items that are all equal": {name: value[:1].expand_as(value).clone() for name, value in floating.items()},
        **trial.example.edges,
    }
    if {"prediction", "target"} <= set(floating):
        edges["a perfect prediction"] = {"prediction": floating["target"]}
    for name, tensors in edges.items():
        _finite(trial.gradients(tensors), name)


def _finite(found: Mapping[str, Tensor], at: str) -> None:
    for name, value in found.items():
        what = f"the gradient for {name}" if name else "the value"
        ensure(torch.isfinite(value).all(), f"{what} is not finite at {at}")


@promise("loss")
def check_masks(subject: Subject) -> None:
    """Where it takes a mask, what is masked out may be anything, also NaN: neither value nor gradient change; and with
    nothing left it is still finite."""
    trial = _Trial(subject)
    mask = trial.tensors.get("mask")
    if mask is None:
        raise NotApplicable("it takes no mask")
    like = [n for n in trial.floating if trial.tensors[n].shape == mask.shape]
    spoilt = {name: torch.where(mask, trial.tensors[name], float("nan")) for name in like}
    # Something else in each, so that a difference of two does not hide it.
    clean = {name: torch.where(mask, trial.tensors[name], 7.0 + 4 * k) for k, name in enumerate(like)}
    seen, expected = trial.gradients(spoilt), trial.gradients(clean)
    _finite(seen, "NaN where the mask is false")
    for name, value in expected.items():
        what = f"the gradient for {name}" if name else "the value"
        ensure(torch.allclose(seen[name], value, rtol=1e-5, atol=1e-7), f"{what} depends on what the mask leaves out")
    _finite(trial.gradients({"mask": torch.zeros_like(mask)}), "a mask that is false everywhere")


@promise("loss")
def check_autocast(subject: Subject) -> None:
    """Under bf16 autocast it stays finite and near its float32 value: losses get float32 tensors there, but what they
    multiply runs in bfloat16."""
    trial = _Trial(subject)
    expected = trial.value(dtype=torch.float32).item()
    with torch.autocast("cpu", torch.bfloat16):
        seen = trial.value(dtype=torch.float32).item()
    close = np.isclose(seen, expected, rtol=0.05, atol=0.02 * max(1.0, abs(expected)))
    ensure(close, f"it is {expected:.6g}, and {seen:.6g} under autocast")


@promise("loss")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It does not change the tensors that it is given: other losses and metrics get the same ones."""
    trial = _Trial(subject)
    given = {name: _as(value, torch.float32).clone() for name, value in trial.tensors.items()}
    kept = {name: value.clone() for name, value in given.items()}
    try:
        trial.value(given, torch.float32)
    except RuntimeError as error:
        raise Broken(f"it raised {cause_of(error)}") from error
    for name, value in given.items():
        ensure(torch.equal(value, kept[name]), f"it changed '{name}' in place")


@promise("loss")
def check_no_parameters(subject: Subject) -> None:
    """It has no trainable parameters: these live in the model, where optimizers and checkpoints find them."""
    names = [name for name, _ in subject.build().named_parameters()]
    ensure(not names, f"it has trainable parameters: {', '.join(names)}")
