"""What a transform of the pixel grid promises of all that shares the grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stemcore.testing.promises import NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_transform import TransformTrial, agrees, moved

PART = 0.01
"""The least part that a pixel which does not count must have in another for that one not to count, either."""


@promise("transform")
def check_mask(subject: Subject) -> None:
    """A mask comes out as bool in the shape of ``out_spec``, and follows the pixels: one to which a masked-out pixel
    contributes does not count, all others count as before. What does not count is zero or worse."""
    trial = TransformTrial(subject)
    transform = trial.of_kind("geometry")
    x, mask = _without_equal_values(trial.batch), trial.mask
    masks = {"mask": mask, "all": torch.ones_like(mask)}
    y, after = moved(transform, x, masks)
    _ensure_mask(after["mask"], transform.out_spec().shape, len(x))
    ensure(after["all"].any(), "a mask that is true everywhere comes out false everywhere")
    height = 2 * float(x.abs().max()) + 1
    # Higher and lower, since a median or maximum lets one of the two pass.
    spoilt = [moved(transform, torch.where(mask, x, x + way * height), masks)[0] for way in (1, -1)]
    reached = torch.stack([(z - y).abs() for z in spoilt]).amax(dim=0)
    wrong = int((after["mask"] & (reached > PART * height)).sum())
    ensure(not wrong, f"{wrong} pixels of {reached.numel()} count although masked-out ones contribute to them")
    lost = int((after["all"] & ~after["mask"] & (reached == 0)).sum())
    ensure(not lost, f"{lost} pixels of {reached.numel()} do not count although no masked-out one contributes to them")


def _without_equal_values(x: Tensor) -> Tensor:
    """The same pictures with values that all differ: where two are equal, a median may follow either."""
    order = torch.arange(x.numel(), device=x.device).reshape(x.shape)
    return x + 1e-3 * float(x.abs().max()) * (0.5 + 0.5 * torch.sin(order * 1.7))


def _ensure_mask(mask: Any, shape: tuple[int | None, ...], items: int) -> None:
    ensure(isinstance(mask, Tensor), f"mask returned {type(mask).__name__}, not a tensor")
    ensure(mask.dtype == torch.bool, f"mask turns bool into {str(mask.dtype).removeprefix('torch.')}")
    fits = len(mask) == items and agrees(tuple(mask.shape[1:]), shape)
    ensure(fits, f"{items} masks come out in shape {tuple(mask.shape)}, out_spec declares items of {shape}")


@promise("transform")
def check_moves_together(subject: Subject) -> None:
    """``together`` moves other fields and masks as it moves the field itself, whose content alone decides: ``target``
    and masks stay on the pixels of ``input``. Without masks the field comes out as by ``forward``."""
    trial = TransformTrial(subject)
    transform: Any = trial.of_kind("geometry")
    if not hasattr(transform, "together"):
        raise NotApplicable("it has no 'together': it moves every item alike")
    x, mask = trial.batch, trial.mask
    main, _, _ = transform.together(x, {}, {})
    ensure(torch.equal(main, transform(x)), "without masks, the field comes out otherwise than by forward")
    others = {"copy": x.clone(), "ones": torch.ones_like(x), "counted": mask.to(x.dtype)}
    main, fields, masks = transform.together(x, others, {"mask": mask})
    for what, seen, names in (("others", fields, {*others}), ("masks", masks, {"mask"})):
        ensure(set(seen) == names, f"together was given {what} {sorted(names)} and returned {sorted(seen)}")
    ensure(torch.equal(fields["copy"], main), "a field of the same values comes out otherwise than the field itself")
    _ensure_mask(masks["mask"], transform.out_spec().shape, len(x))
    apart = (fields["ones"] - fields["counted"]).abs() > PART
    wrong = int((apart & masks["mask"]).sum())
    ensure(not wrong, f"{wrong} of the pixels that count are others in a field than in the mask like it")
