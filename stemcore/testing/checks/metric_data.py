"""What a metric promises of the data that it may meet, and of where it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stemcore.plugins.discovery import cause_of
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_metric import MetricTrial, Scores, scores_of, scores_or_refusal, seeded, shown

TRUTHS = ("target", "expected")
"""What a perfect prediction equals, by the name that a metric compares it with."""


def _ensure_not(wrong: Any, scores: Scores | None, what: str) -> None:
    for name, value in (scores or {}).items():
        ensure(not wrong(value), f"with {what} the score{shown(name)} is {value}")


def _not_finite(value: float) -> bool:
    return not math.isfinite(value)


@promise("metric")
def check_nothing_seen(subject: Subject) -> None:
    """Before any update ``compute`` gives NaN or a number, or says in words (``UserError``, ``ValueError``) that it has
    seen nothing: a process may be left without a batch."""
    metric = MetricTrial(subject).fresh()
    try:
        scores_or_refusal(lambda: scores_of(metric))
    except Exception as error:
        raise Broken(f"computing a score of nothing raised {cause_of(error)}") from error


@promise("metric")
def check_one_item(subject: Subject) -> None:
    """One item alone, where a spread is not defined, gives numbers (NaN for what is not), or an error in words."""
    trial = MetricTrial(subject)
    scores = scores_or_refusal(lambda: trial.scores(trial.part(0)))
    _ensure_not(math.isinf, scores, "one item alone")


@promise("metric")
def check_edges(subject: Subject) -> None:
    """Blank, constant and perfectly predicted items do not make the score infinite, nor spoil that of the others among
    which they are: every large data set has some. (NaN where all items are such, or data refused by a ``UserError``,
    is fine.)"""
    trial = MetricTrial(subject)
    edges: dict[str, Mapping[str, Tensor]] = {
        "zeros": {name: torch.zeros_like(value) for name, value in trial.floating.items()},
        # A value that occurs: another one might be none that such data can have.
        "constants": {name: torch.full_like(v, v.nanmedian().item()) for name, v in trial.floating.items()},
        "items that are all equal": {n: v[:1].expand_as(v).clone() for n, v in trial.floating.items()},
        "predictions of zero": {n: torch.zeros_like(v) for n, v in trial.floating.items() if n == "prediction"},
        "perfect predictions": _perfect(trial),
    }
    for name, tensors in edges.items():
        _ensure_not(math.isinf, scores_or_refusal(lambda t=tensors: trial.scores(t)), name)  # type: ignore[misc]
        mixed = {n: torch.cat([t[:1], trial.tensors[n][1:]]) for n, t in tensors.items()}
        scores = scores_or_refusal(lambda m=mixed: trial.scores(m))  # type: ignore[misc]
        _ensure_not(_not_finite, scores, f"{name} in one of {trial.items} items")


@promise("metric")
def check_masks(subject: Subject) -> None:
    """Where it takes a mask, what is masked out may be anything, also NaN, and changes nothing; an item that is masked
    out as a whole does not spoil the score of the others."""
    trial = MetricTrial(subject)
    mask = trial.tensors.get("mask")
    if mask is None:
        raise NotApplicable("it takes no mask")
    like = {name: value for name, value in trial.floating.items() if value.shape == mask.shape}
    expected = trial.scores({name: torch.where(mask, v, 7.0 + 4 * k) for k, (name, v) in enumerate(like.items())})
    spoilt = trial.scores({name: torch.where(mask, v, float("nan")) for name, v in like.items()})
    trial.ensure_same(spoilt, expected, "with NaN where the mask is false, the score")
    first = torch.arange(len(mask)).reshape(-1, *[1] * (mask.ndim - 1)) == 0
    _ensure_not(_not_finite, trial.scores({"mask": mask & ~first}), "a mask that is false all over one item")


@promise("metric")
def check_better_is_better(subject: Subject) -> None:
    """A perfect prediction is not worse, by the direction that it reports, than another: training is stopped and the
    best checkpoint is chosen by it."""
    trial = MetricTrial(subject)
    perfect = _perfect(trial)
    if not perfect:
        raise NotApplicable("it does not compare a prediction with the truth")
    best, seen = trial.scores(perfect), trial.scores()
    slack = 1e-6
    for name, direction in trial.fresh().reports().items():
        sign = {"min": 1, "max": -1, None: 0}.get(direction, 0)
        worse = sign * (best[name] - seen[name]) > slack * max(1.0, abs(best[name]))
        if worse and trial.draws:
            raise NotApplicable("it draws random numbers, other ones for each prediction")
        said = f"is {best[name]:.6g} for a perfect prediction, {seen[name]:.6g} for another"
        ensure(not worse, f"its better direction is '{direction}', but the score{shown(name)} {said}")


@promise("metric")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It does not change the tensors that it is given: losses and other metrics get the same ones."""
    trial = MetricTrial(subject)
    given = {name: value.clone() for name, value in trial.tensors.items()}
    trial.scores(given)
    for name, value in given.items():
        same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(trial.tensors[name]))
        ensure(same, f"it changed '{name}' in place")


@promise("metric")
def check_autocast(subject: Subject) -> None:
    """Under bf16 autocast its score stays near that in float32: it may be computed within a training step."""
    trial = MetricTrial(subject)
    expected = trial.scores()
    with torch.autocast("cpu", torch.bfloat16):
        seen = trial.scores()
    for name, value in expected.items():
        near = np.isclose(seen[name], value, rtol=0.05, atol=0.02 * max(1.0, abs(value)), equal_nan=True)
        ensure(near, f"the score{shown(name)} is {value:.6g}, and {seen[name]:.6g} under autocast")


@promise("metric")
def check_device_moves(subject: Subject) -> None:
    """``to(device)`` moves whatever it computes with: tensors go through ``add_state`` or ``register_buffer``, plain
    attributes stay behind. (Without an accelerator it is tried with tensors that have shapes only.)"""
    trial = MetricTrial(subject)
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    context = {n: deepcopy(v).to(device) if isinstance(v, nn.Module) else v for n, v in trial.context.items()}
    metric = trial.fresh().to(device)
    try:
        with seeded():
            trial.update(metric, {**context, **{n: v.to(device) for n, v in trial.tensors.items()}})
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if device.type == "meta" and not _of_two_devices(str(error)):
            raise NotApplicable(f"it needs values, and there is no accelerator here: {cause_of(error)}") from error
        raise Broken(f"moved to another device it raised {cause_of(error)}") from error
    for name in metric._defaults:
        state = getattr(metric, name)
        left = [str(t.device) for t in (state if isinstance(state, list) else [state]) if t.device.type != device.type]
        ensure(not left, f"its state '{name}' stays on {', '.join(left)}")
    if device.type != "meta":
        seen, expected = scores_of(metric), trial.scores()
        for name, value in expected.items():
            near = np.isclose(seen[name], value, rtol=1e-3, atol=1e-6, equal_nan=True)
            ensure(near or trial.draws, f"the score{shown(name)} is {value:.6g}, and {seen[name]:.6g} on {device}")


def _of_two_devices(message: str) -> bool:
    return any(said in message for said in ("expected device", "same device", "different devices", "two devices"))


def _perfect(trial: MetricTrial) -> dict[str, Tensor]:
    """The prediction that equals the truth; nothing where it makes none, or it is not clear what the truth is."""
    found = trial.floating.get("prediction")
    truths = [trial.floating[name] for name in TRUTHS if name in trial.floating]
    if found is None or len(truths) != 1 or truths[0].shape != found.shape:
        return {}
    return {"prediction": truths[0].to(found.dtype)}
