"""What a geometric augmentation promises of fields on the same pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from stemcore.testing.promises import NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_augmentation import SEEDS, AugmentationTrial, augmented

HALF = 0.5
MEETING = 0.7
"""The part of a moved spot's pixels that a mask of it has to share: nearest pixels differ from interpolated ones along
an edge. A spot that was not moved with it, or otherwise, shares a third at most."""


@promise("augmentation")
def check_moves_together(subject: Subject) -> None:
    """A geometric augmentation moves all its fields alike: the same picture in each of them comes out as the same
    picture, also as a mask or in whole numbers. A mask that stays behind would say of the wrong pixels that they
    count."""
    trial = AugmentationTrial(subject)
    augmentation = trial.of_kind("geometric")
    main, shape, others = _sharing_pixels(trial)
    picture = _spot(len(trial.batch[main]), shape)
    batch = dict(trial.batch)
    for name in (main, *others):
        leading = trial.batch[name].dim() - 1 - len(shape)
        spread = picture.reshape(len(picture), *[1] * leading, *shape).expand(trial.batch[name].shape)
        # Of whole numbers nothing but the very middle of a spot would be left.
        values = spread if batch[name].is_floating_point() else spread > HALF
        batch[name] = values.to(batch[name].dtype, copy=True)
    moved: dict[str, list[Tensor]] = {name: [] for name in (main, *others)}
    for seed in SEEDS:
        found = augmented(augmentation, batch, seed)
        changed = torch.stack([(found[name] != batch[name]).flatten(1).any(dim=1) for name in moved]).any(dim=0)
        for name, parts in moved.items():
            parts.append(found[name].reshape(len(picture), -1, *shape)[:, 0][changed])
    whole = {name: torch.cat(parts) for name, parts in moved.items()}
    if not len(whole[main]):
        raise NotApplicable(f"it moved nothing with {len(SEEDS)} seeds")
    for name in others:
        numbers = "float" in trial.spec[name].dtype
        _ensure_alike(whole[main], whole[name], f"'{name}' does not move with '{main}'", numbers)


def _sharing_pixels(trial: AugmentationTrial) -> tuple[str, tuple[int, ...], list[str]]:
    """A field of numbers, the shape of its pixels, and the other fields on pixels of that shape."""
    numbers = [name for name, x in trial.batch.items() if x.is_floating_point() and x.dim() > 1]
    if not numbers:
        raise NotApplicable("it moves no field of numbers")
    main = "input" if "input" in numbers else numbers[0]
    shape = tuple(trial.batch[main].shape[1:][-2:])
    others = [n for n, x in trial.batch.items() if n != main and tuple(x.shape[1:][-2:]) == shape]
    if not others:
        raise NotApplicable(f"it has no other field on the pixels of '{main}'")
    return main, shape, others


def _spot(items: int, shape: tuple[int, ...]) -> Tensor:
    """A spot beside the middle (n, *shape), 1 to 0, above a half in a quarter of the pixels: mirrored, turned or
    transposed it lies elsewhere."""
    axes = [torch.linspace(0, 1, n) if n > 1 else torch.zeros(n) for n in shape]
    grid = torch.meshgrid(*axes, indexing="ij")
    centre = [0.3, 0.65][-len(shape) :]
    apart = sum((a - (c if n > 1 else 0)).square() for a, c, n in zip(grid, centre, shape, strict=True))
    return torch.exp2(-apart / 0.27**2 * torch.ones(items, *[1] * len(shape)))


def _ensure_alike(main: Tensor, other: Tensor, what: str, numbers: bool) -> None:
    if numbers:
        apart = float((main - other).abs().max())
        ensure(apart < 1e-5, f"{what}: given the same values, 0 to 1, they come out different by up to {apart:.2g}")
        return
    spot, seen = main > HALF, other > HALF if other.dtype != torch.bool else other
    meeting = int((spot & seen).sum())
    for part, of in {"the spot": spot, "its mask": seen}.items():
        share = meeting / max(1, int(of.sum()))
        ensure(share >= MEETING, f"{what}: after it {share:.0%} of the pixels of {part} are in both")
