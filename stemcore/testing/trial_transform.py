"""Trying out a transform as the core uses it: fitted in batches, then given the field and what moves with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from stemcore.component.fields import FieldSpec, Shape
from stemcore.component.transform import Transform
from stemcore.data.intake import physical
from stemcore.errors import UserError
from stemcore.testing.building import given
from stemcore.testing.examples import TransformExample
from stemcore.testing.promises import NotApplicable, ensure
from stemcore.testing.standard import ITEMS, field_values, patterns
from stemcore.testing.subject import Subject

FEWEST = 6

Batches = Sequence[tuple[Tensor, "Tensor | None"]]


class TransformTrial:
    """A transform, the field it is built for, and values of that field.

    Attributes:
        example: what its author promises.
        spec: the field.
        batch: physical values (n, *shape), float32.
        mask: which of them count, for fits and masks, (n, *shape): a connected part of each item does not.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.example = subject.promised(TransformExample)
        self.spec: FieldSpec = given(subject)[0]
        self.batch = self._values()
        self.mask = some_mask(self.batch)

    def _values(self) -> Tensor:
        if self.example.batch is None:
            return values_of(self.spec)
        stored = self.example.batch
        values = physical(self.spec, torch.from_numpy(stored) if isinstance(stored, np.ndarray) else stored)
        fits = agrees(tuple(values.shape[1:]), self.spec.shape)
        ensure(fits, f"its example has items of shape {tuple(values.shape[1:])}, its spec says {self.spec.shape}")
        ensure(len(values) >= FEWEST, f"its example has {len(values)} items: at least {FEWEST} are needed")
        return values

    def built(self, spec: FieldSpec | None = None) -> Transform:
        """The transform for a field, not fitted."""
        made: Transform = self.subject.build(spec or self.spec)
        return made

    def fitted(self, batches: Batches = (), spec: FieldSpec | None = None) -> Transform:
        """The transform, fitted if it has to be, by default on all values as one batch."""
        return fit(self.built(spec), batches or [(self.batch, None)])

    def of_kind(self, kind: str) -> Transform:
        """The fitted transform, for what concerns transforms of a kind only."""
        transform = self.fitted()
        if transform.kind != kind:
            raise NotApplicable(f"it is a {transform.kind} transform")
        return transform

    def sizes(self) -> list[FieldSpec]:
        """The field in a larger size, and in an odd one; a leading axis of images (channels) stays what it is."""
        if any(n is None for n in self.spec.shape) or not any(n != 1 for n in self.spec.shape[-2:]):
            raise NotApplicable(f"there is no other size than {self.spec.shape} to try")
        return [self.spec.with_shape(_grown(self.spec.shape, odd)) for odd in (False, True)]

    def refuses(self, spec: FieldSpec) -> bool:
        """Whether it says when it is built that it is not for such a field."""
        schema = self.subject.schema
        try:
            schema.build(spec, **schema.validate(self.subject.config)[0])
        except UserError:
            return True
        return False


def fit(transform: Transform, batches: Batches) -> Transform:
    """Fits a transform on batches of values and masks, if it is one to be fitted."""
    if transform.fitted:
        with torch.no_grad():
            for x, mask in batches:
                transform.update(x, mask)
            transform.finish()
    return transform


def moved(
    transform: Transform, x: Tensor, masks: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """A field and masks that are like it after a transform: what content decides is decided by the field."""
    masks = masks or {}
    if transform.kind != "geometry":
        return transform(x), dict(masks)
    if not hasattr(transform, "together"):
        return transform(x), {name: transform.mask(mask) for name, mask in masks.items()}
    main, _, moved_masks = transform.together(x, {}, dict(masks))  # type: ignore[operator]
    return main, moved_masks


def some_mask(x: Tensor) -> Tensor:
    """Which values (n, *shape) count: a connected fifth of each item does not, where an item has several values."""
    shape = tuple(x.shape[1:])
    if x[0].numel() < 5:
        kept = torch.arange(len(x)) % 3 != 0
        return kept.reshape(-1, *[1] * len(shape)).expand(x.shape).clone()
    made = patterns(len(x), shape, 5.0).flatten(1)
    return (made <= made.quantile(0.8, dim=1, keepdim=True)).reshape(x.shape)


def values_of(spec: FieldSpec) -> Tensor:
    """Physical values of a field, smooth and positive."""
    return physical(spec, field_values(spec, ITEMS))


def agrees(seen: tuple[int, ...], declared: Shape) -> bool:
    """Whether a shape is the declared one, of which an axis that varies may have any length."""
    return len(seen) == len(declared) and all(d in (None, s) for s, d in zip(seen, declared, strict=True))


def ensure_close(seen: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """Values are finite and the expected ones, to a part ``tolerance`` of the largest."""
    same = seen.shape == expected.shape
    ensure(same, f"{what}: the shape is {tuple(seen.shape)}, where {tuple(expected.shape)} was expected")
    ensure(torch.isfinite(seen).all(), f"{what}: {int((~torch.isfinite(seen)).sum())} values are not finite")
    if seen.numel():
        apart, most = float((seen - expected).abs().max()), float(expected.abs().max())
        ensure(apart <= tolerance * most, f"{what}: the largest difference is {apart:.3g}, of values up to {most:.3g}")


def _grown(shape: Shape, odd: bool) -> Shape:
    """A shape whose last two axes are longer, by half and twice as long or by one and three; those of one stay."""
    last = [n for n in shape[-2:] if n is not None]
    longer = [n + 1 if odd else n + n // 2 for n in last[:-1]] + [n + 3 if odd else 2 * n for n in last[-1:]]
    return (*shape[: -len(last)], *(new if n > 1 else n for n, new in zip(last, longer, strict=True)))
