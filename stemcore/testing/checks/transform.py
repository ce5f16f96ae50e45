"""What a transform promises."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stemcore.component.fields import FieldSpec
from stemcore.component.transform import Transform
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.checks import transform_fit, transform_geometry, transform_inverse  # noqa: F401  promises too
from stemcore.testing.placement import META, on_device, other_devices, with_gaps
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.randomness import without_global_randomness
from stemcore.testing.subject import Subject
from stemcore.testing.trial_transform import TransformTrial, agrees, ensure_close, fit, moved, values_of

EXACT = 1e-5
"""Of what differs by rounding only."""


@promise("transform")
def check_declares_its_output(subject: Subject) -> None:
    """``out_spec`` is the field as it goes out, known before anything is read or fitted: the next transform and the
    model are built from it. The name stays, and where ``kind`` is ``value`` the shape too."""
    trial = TransformTrial(subject)
    transform = trial.built()
    ensure(transform.kind in ("value", "geometry"), f"kind is {transform.kind!r}: right are 'value' and 'geometry'")
    declared = transform.out_spec()
    ensure(isinstance(declared, FieldSpec), f"out_spec returned {type(declared).__name__}, not FieldSpec")
    ensure(declared.name == trial.spec.name, f"the field '{trial.spec.name}' goes out under the name '{declared.name}'")
    if transform.kind == "value":
        shapes = f"{trial.spec.shape} to {declared.shape}"
        ensure(declared.shape == trial.spec.shape, f"it is a value transform, but takes {shapes}")
    fitted = trial.fitted().out_spec()
    ensure(fitted == declared, f"out_spec is {declared} before the fit and {fitted} after it")


@promise("transform")
def check_output(subject: Subject) -> None:
    """``forward`` gives finite float32 values of the declared shape, without a fit unless ``fitted`` is true."""
    trial = TransformTrial(subject)
    _ensure_output(trial.fitted(), trial.batch, "")


@promise("transform")
def check_other_sizes(subject: Subject) -> None:
    """Fields of other sizes come out as declared, or are refused by ``UserError`` when it is built: the user learns of
    it before anything is read."""
    trial = TransformTrial(subject)
    for spec in trial.sizes():
        if trial.refuses(spec):
            continue
        x = values_of(spec)
        about = f"for fields of shape {spec.shape} "
        try:
            transform = trial.fitted([(x, None)], spec)
            _ensure_output(transform, x, about)
        except Broken:
            raise
        except Exception as error:
            said = f"{about}it can be built, but raised {cause_of(error)}"
            raise Broken(f"{said}: refuse them by UserError in __init__") from error


def _ensure_output(transform: Transform, x: Tensor, about: str) -> None:
    y, declared = transform(x), transform.out_spec().shape
    ensure(isinstance(y, Tensor), f"{about}forward returned {type(y).__name__}, not a tensor")
    seen = tuple(y.shape[1:])
    ensure(agrees(seen, declared), f"{about}forward gives items of shape {seen}, out_spec declares {declared}")
    ensure(len(y) == len(x), f"{about}forward makes {len(y)} items of {len(x)}")
    ensure(y.dtype == torch.float32, f"{about}forward turns float32 into {str(y.dtype).removeprefix('torch.')}")
    wrong = int((~torch.isfinite(y)).sum())
    hint = "" if transform.fitted else " (it is not fitted, since its attribute 'fitted' is false)"
    ensure(not wrong, f"{about}forward gives {wrong} values that are not finite{hint}")


@promise("transform")
def check_batch_of_one(subject: Subject) -> None:
    """An item comes out the same by itself as in a batch, both ways: what an item is does not depend on what it was
    read with."""
    trial = TransformTrial(subject)
    transform = trial.fitted()
    for name, whole in _calls(transform, trial).items():
        alone = [_calls(transform, trial, slice(i, i + 1))[name] for i in range(len(trial.batch))]
        what = f"{name} of single items and of a batch"
        ensure_close(torch.cat(alone).float(), whole.float(), EXACT, what)


def _calls(transform: Transform, trial: TransformTrial, items: slice = slice(None)) -> dict[str, Tensor]:
    """What its methods return for some of the items."""
    x, mask = trial.batch[items], trial.mask[items]
    y, masks = moved(transform, x, {"mask": mask} if transform.kind == "geometry" else {})
    return {"forward": transform(x), **masks, "inverse": transform.inverse(y), **({"together": y} if masks else {})}


@promise("transform")
def check_memory_layout(subject: Subject) -> None:
    """It takes tensors of any memory layout: the pixels that a crop leaves do not lie side by side. ``reshape`` serves
    where ``view`` fails."""
    trial = TransformTrial(subject)
    expected = _calls(trial.fitted(), trial)
    trial.batch, trial.mask = with_gaps(trial.batch), with_gaps(trial.mask)
    try:
        seen = _calls(trial.fitted(), trial)
    except RuntimeError as error:
        raise Broken(f"given a tensor that is not contiguous it raised {cause_of(error)}") from error
    for name, value in expected.items():
        ensure_close(seen[name].float(), value.float(), EXACT, f"{name} of a tensor that is not contiguous")


@promise("transform")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It changes no tensor that it is given, neither in a fit: ``target`` is the same tensor as ``input``."""
    trial = TransformTrial(subject)
    transform = trial.built()
    x, mask = trial.batch.clone(), trial.mask.clone()
    try:
        fit(transform, [(x, mask)])
    except UserError:  # It takes whole items only, and says so.
        transform = fit(trial.built(), [(x, None)])
    ensure(torch.equal(x, trial.batch) and torch.equal(mask, trial.mask), "update changes its input in place")
    y, _ = moved(transform, x, {"mask": mask} if transform.kind == "geometry" else {})
    ensure(torch.equal(x, trial.batch), "forward changes its input in place")
    ensure(torch.equal(mask, trial.mask), "mask changes its input in place")
    kept = y.clone()
    transform.inverse(y)
    ensure(torch.equal(y, kept), "inverse changes its input in place")


@promise("transform")
def check_deterministic(subject: Subject) -> None:
    """The same values come out the same every time, in training and in evaluation, whatever the seeds, and without
    changing what was fitted: what is random is an augmentation."""
    trial = TransformTrial(subject)
    transform = trial.fitted()
    before = copy.deepcopy(transform.state_dict())
    first, second = without_global_randomness(lambda: _calls(transform, trial))
    in_evaluation = _calls(transform.eval(), trial)
    for name, value in first.items():
        ensure(torch.equal(value, second[name]), f"{name} gives something else the second time")
        ensure(torch.equal(value, in_evaluation[name]), f"{name} gives something else in evaluation than in training")
    after = transform.state_dict()
    changed = [name for name, value in before.items() if not _same(value, after[name])]
    ensure(not changed, f"{', '.join(changed)} changed though nothing was fitted")


@promise("transform")
def check_state_dict(subject: Subject) -> None:
    """A checkpoint restores it without a fit: all that was fitted is in buffers, which are registered with their shape
    when it is built (those named in ``resized`` without rows). Whatever is encoded later goes through the same
    numbers."""
    trial = TransformTrial(subject)
    fitted, fresh = trial.fitted(), trial.built()
    _ensure_registered(fresh.state_dict(), fitted.state_dict(), fresh.resized)
    file = io.BytesIO()
    torch.save(fitted.state_dict(), file)
    file.seek(0)
    try:
        fresh.load_state_dict(torch.load(file, weights_only=True))
    except Exception as error:
        raise Broken(f"its state cannot be loaded from a checkpoint: {cause_of(error)}") from error
    seen = _calls(fresh, trial)
    for name, value in _calls(fitted, trial).items():
        ensure(_same(seen[name], value), f"restored from its state_dict, {name} gives something else")


def _ensure_registered(before: Mapping[str, Tensor], after: Mapping[str, Tensor], resized: Sequence[str]) -> None:
    for name in before.keys() ^ after.keys():
        said = "appears in" if name in after else "disappears from"
        raise Broken(f"'{name}' {said} its state_dict by the fit: register it when it is built")
    for name, value in after.items():
        axes = slice(1 if name in resized else 0, None)
        if isinstance(value, Tensor) and value.shape[axes] != before[name].shape[axes]:
            shapes = f"{tuple(before[name].shape)} to {tuple(value.shape)}"
            raise Broken(f"the shape of '{name}' changes in the fit, from {shapes}")


def _same(one: Tensor, other: Tensor) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return bool(one == other)
    return one.shape == other.shape and bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())


@promise("transform")
def check_device(subject: Subject) -> None:
    """It works where its input is, fits included: whatever tensor it holds is a buffer, and new ones are made on the
    device of the input. On a machine without an accelerator, tensors without data stand for it."""
    trial = TransformTrial(subject)
    expected = _calls(trial.fitted(), trial)
    tried = []
    for device in other_devices():
        with on_device(device):
            _ensure_same(_on(device, trial), expected, device)
            tried.append(device)
    if not tried:
        raise NotApplicable("it looks at values, and no accelerator is here to try it on")


def _on(device: torch.device, trial: TransformTrial) -> dict[str, Tensor]:
    there = copy.copy(trial)
    there.batch, there.mask = trial.batch.to(device), trial.mask.to(device)
    if device.type == META:  # A fit looks at values.
        return _calls(trial.fitted().to(device), there)
    return _calls(fit(trial.built().to(device), [(there.batch, None)]), there)


def _ensure_same(seen: Mapping[str, Tensor], expected: Mapping[str, Tensor], device: torch.device) -> None:
    for name, value in seen.items():
        ensure(value.device.type == device.type, f"{name} of a tensor on {device} is on {value.device}")
        shapes = f"{tuple(value.shape)}, on the CPU {tuple(expected[name].shape)}"
        ensure(value.shape == expected[name].shape, f"{name} of a tensor on {device} has shape {shapes}")
        if device.type != META:
            ensure_close(value.cpu().float(), expected[name].float(), 1e-3, f"{name} on {device}")


@promise("transform")
def check_no_parameters(subject: Subject) -> None:
    """It has no trainable parameters: these live in the model, where optimizers find them. What is fitted is a
    buffer."""
    names = [name for name, _ in TransformTrial(subject).built().named_parameters()]
    ensure(not names, f"it has trainable parameters: {', '.join(names)}; register_buffer makes buffers")
