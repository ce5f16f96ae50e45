"""What a transform promises of its inverse."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from stemcore.component.transform import Transform
from stemcore.plugins.discovery import cause_of
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_transform import TransformTrial, ensure_close


@promise("transform")
def check_inverse(subject: Subject) -> None:
    """``inverse`` undoes ``forward`` for a value transform: metrics, figures and files of results are in physical
    units. One that loses information says so by ``tolerance=None`` in its example; it still gives finite values."""
    trial = TransformTrial(subject)
    transform = trial.of_kind("value")
    y = transform(trial.batch)
    try:
        x = transform.inverse(y)
    except NotImplementedError as error:
        raise Broken("it has no inverse, which a value transform needs") from error
    tolerance = trial.example.tolerance
    ensure_close(x, trial.batch, float("inf") if tolerance is None else tolerance, "inverse(forward(x)) and x")
    ensure(x.dtype == torch.float32, f"inverse turns float32 into {str(x.dtype).removeprefix('torch.')}")


@promise("transform")
def check_inverse_keeps_geometry(subject: Subject) -> None:
    """``inverse`` of a geometry transform returns what it is given: results stay on the pixel grid of the model."""
    trial = TransformTrial(subject)
    transform = trial.of_kind("geometry")
    y = transform(trial.batch)
    x = transform.inverse(y)
    same = x.shape == y.shape and torch.equal(x, y)
    ensure(same, f"inverse changes what it is given, of shape {tuple(y.shape)}, to {tuple(x.shape)}")


@promise("transform")
def check_inverse_of_any_output(subject: Subject) -> None:
    """``inverse`` and its gradient are finite also beyond the values that ``forward`` gives, by as much as they span:
    there lie the outputs of a model, and one NaN ends a training run."""
    trial = TransformTrial(subject)
    transform = trial.of_kind("value")
    y = transform(trial.batch).detach()
    span = _span(y)
    for what, moved in {"above": y + span, "below": y - span, "within": torch.zeros_like(y) + y.mean()}.items():
        x, gradient = _pulled_back(transform, moved, torch.ones_like(moved))
        for name, value in {"it": x, "its gradient": gradient}.items():
            wrong = int((~torch.isfinite(value)).sum())
            where = f"{float(moved.min()):.4g} to {float(moved.max()):.4g}, {what} the values of forward"
            ensure(not wrong, f"{name} is not finite at {wrong} of {value.numel()} values from {where}")


@promise("transform")
def check_inverse_gradient(subject: Subject) -> None:
    """The gradient of ``inverse`` is that of its values, by finite differences: losses in physical units train through
    it."""
    trial = TransformTrial(subject)
    transform = trial.of_kind("value")
    y = transform(trial.batch).detach()
    span = _span(y)
    # Beside the values themselves, which may lie just where a limit begins.
    y = y + 1.37e-3 * span
    try:
        seen, expected = _slopes(copy.deepcopy(transform).double(), y.double(), 1e-3 * span)
    except RuntimeError:  # It computes in float32 whatever it is given.
        seen, expected = _slopes(transform, y, 1e-2 * span)
    close = abs(seen - expected) <= 0.01 * abs(expected)
    ensure(close, f"along a direction its values change by {expected:.6g}, by its gradient they would by {seen:.6g}")


def _slopes(transform: Transform, y: Tensor, step: float) -> tuple[float, float]:
    """How the inverse changes along a direction, weighted by that change itself so that nothing cancels: by the
    gradient, and by differences."""
    direction = torch.sin(1 + 1.7 * torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)
    with torch.no_grad():
        ahead, behind = (transform.inverse(y + way * step * direction) for way in (1, -1))
        change = (ahead - behind) / (2 * step)
    _, gradient = _pulled_back(transform, y, change)
    return float((gradient * direction).sum()), float(change.square().sum())


def _pulled_back(transform: Transform, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse, and the gradient of its weighted sum."""
    y = y.clone().requires_grad_()
    try:
        x = transform.inverse(y)
    except NotImplementedError as error:
        raise NotApplicable("it has no inverse") from error
    ensure(x.requires_grad, "no gradient flows through inverse: is there a detach() or no_grad() too much?")
    try:
        (gradient,) = torch.autograd.grad((x * weight).sum(), y)
    except RuntimeError as error:
        raise Broken(f"no gradient can be had of inverse: {cause_of(error)}") from error
    return x.detach(), gradient


def _span(y: Tensor) -> float:
    return float(y.max() - y.min()) or 1.0
