"""Transforms and augmentations that are right, but unlike those that the checks were written for: none is accused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stemcore import Augmentation, DataSpec, FieldSpec, Transform, UserError
from stemcore.testing import AugmentationExample, TransformExample
from stemcore.testing.outcome import outcome_of
from tests.testing.mutation import candidate

TABLE = FieldSpec("input", (6,))
COLOURS = FieldSpec("input", (3, 16, 16), "uint8")


class Whiten(Transform):
    """Principal components, from items that are wholly valid."""

    fitted = True

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(spec.size))
        self.register_buffer("there", torch.eye(spec.size))
        self.register_buffer("back", torch.eye(spec.size))
        self.count, self.sums, self.products = 0, torch.zeros(()), torch.zeros(())

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        rows = x.flatten(1).cpu().double()
        rows = rows if mask is None else rows[mask.flatten(1).all(dim=1).cpu()]
        self.count += len(rows)
        self.sums, self.products = self.sums + rows.sum(0), self.products + rows.T @ rows

    def finish(self) -> None:
        if self.count < 2:
            raise UserError("too few items are wholly valid")
        mean = self.sums / self.count
        variances, axes = torch.linalg.eigh(self.products / self.count - torch.outer(mean, mean))
        spread = (variances.clamp(min=0) + 1e-3 * variances.max() + 1e-6).sqrt()
        self.mean.copy_(mean)
        self.there.copy_(axes / spread)
        self.back.copy_((axes * spread).T)

    def forward(self, x: Tensor) -> Tensor:
        return ((x.flatten(1) - self.mean) @ self.there).reshape(x.shape)

    def inverse(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.back + self.mean).reshape(x.shape)


class WholeItemsAlone(Whiten):
    """Refuses masks."""

    def finish(self) -> None:
        if self.count < 6:
            raise UserError("needs six items that are wholly valid")
        super().finish()


class Quantiles(Transform):
    """The rank of each value among those of the training split."""

    fitted = True

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.register_buffer("edges", torch.linspace(0, 1, 101))
        self.seen: list[Tensor] = []

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        self.seen.append((x if mask is None else x[mask]).flatten())

    def finish(self) -> None:
        values = torch.cat(self.seen)
        if not len(values) or values.max() == values.min():
            raise UserError("the values are constant")
        slope = torch.linspace(0, 1e-4, 101) * (values.max() - values.min())
        self.edges.copy_(torch.quantile(values, torch.linspace(0, 1, 101)) + slope)

    def forward(self, x: Tensor) -> Tensor:
        place = torch.searchsorted(self.edges, x.contiguous()).clamp(1, 100)
        low, high = self.edges[place - 1], self.edges[place]
        return (place - 1 + (x - low) / (high - low)) / 100

    def inverse(self, x: Tensor) -> Tensor:
        place = (100 * x.detach()).floor().long().clamp(0, 99)
        low, high = self.edges[place], self.edges[place + 1]
        return low + (100 * x - place) * (high - low)


class Pad(Transform):
    """Zeros around."""

    kind = "geometry"

    def out_spec(self) -> FieldSpec:
        *others, height, width = self.spec.shape
        return self.spec.with_shape((*others, height + 4, width + 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (2, 2, 2, 2))

    def mask(self, mask: Tensor) -> Tensor:
        return self.forward(mask)


class RadialMeans(Transform):
    """Images as profiles."""

    kind = "geometry"

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        y, x = (torch.arange(n) - (n - 1) / 2 for n in spec.shape[-2:])
        radius = torch.hypot(y[:, None], x)
        rings = F.one_hot((radius / radius.max() * 7.99).long().flatten(), 8)
        self.register_buffer("rings", rings.float())

    def out_spec(self) -> FieldSpec:
        return self.spec.with_shape((self.spec.shape[0], 8))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2) @ self.rings / self.rings.sum(0)

    def mask(self, mask: Tensor) -> Tensor:
        return (~mask).float().flatten(2) @ self.rings == 0


class Gray(Transform):
    """Three channels as one."""

    kind = "geometry"

    def out_spec(self) -> FieldSpec:
        return self.spec.with_shape((1, *self.spec.shape[1:]))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=1, keepdim=True)

    def mask(self, mask: Tensor) -> Tensor:
        return mask.all(dim=1, keepdim=True)


class Medians(Transform):
    """Medians of two by two pixels."""

    kind = "geometry"

    def out_spec(self) -> FieldSpec:
        *others, height, width = self.spec.shape
        return self.spec.with_shape((*others, height // 2, width // 2))

    def forward(self, x: Tensor) -> Tensor:
        return x.unfold(-2, 2, 2).unfold(-2, 2, 2).flatten(-2).median(dim=-1).values

    def mask(self, mask: Tensor) -> Tensor:
        return mask.unfold(-2, 2, 2).unfold(-2, 2, 2).flatten(-2).all(dim=-1)


class _Moving(Augmentation):
    outside = "zeros"

    def moves(self, items: int, generator: torch.Generator, device: torch.device) -> Tensor:
        turn = 6.28 * torch.rand(items, generator=generator, device=device)
        rows = torch.stack([turn.cos(), -turn.sin()], -1), torch.stack([turn.sin(), turn.cos()], -1)
        return F.pad(torch.stack(rows, dim=1), (0, 1))

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        first = next(iter(batch.values()))
        moves = self.moves(len(first), generator, first.device)
        return {name: self.moved(x, moves) for name, x in batch.items()}

    def moved(self, x: Tensor, moves: Tensor) -> Tensor:
        grid = F.affine_grid(moves, list(x.shape), align_corners=False)
        if x.dtype == torch.bool:
            return F.grid_sample(x.float(), grid, mode="nearest", align_corners=False) > 0.5
        return F.grid_sample(x, grid, padding_mode=self.outside, align_corners=False)


class Turn(_Moving):
    """By any angle; masks from the nearest pixel."""


class Shift(_Moving):
    """By up to a quarter; what comes in is mirrored, and does not count."""

    outside = "reflection"

    def moves(self, items: int, generator: torch.Generator, device: torch.device) -> Tensor:
        by = torch.randint(-4, 5, (items, 2, 1), generator=generator, device=device) / 8
        return torch.cat([torch.eye(2, device=device).expand(items, 2, 2), by], dim=2)


class Mixture(Augmentation):
    """Each item with another one."""

    kind = "corrupting"

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        x = batch["input"]
        order = torch.randperm(len(x), generator=generator, device=x.device)
        share = torch.rand((), generator=generator, device=x.device)
        return {"input": share * x + (1 - share) * x[order]}


class Rarely(Augmentation):
    """Half of the batches are as they were."""

    kind = "corrupting"

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.rand((), generator=generator, device=batch["input"].device) < 0.5
        return {"input": 2 * batch["input"]} if chosen else batch


ITEMS = torch.linspace(-2, 3, 72).reshape(12, 6).sin() + torch.eye(12)[:, :6]
RIGHT = [
    (Whiten, TransformExample(spec=TABLE, batch=ITEMS)),
    (WholeItemsAlone, TransformExample(spec=TABLE, batch=ITEMS[:8])),
    (Quantiles, TransformExample()),
    (Quantiles, TransformExample(spec=FieldSpec("input", ()))),
    (Pad, TransformExample()),
    (RadialMeans, TransformExample()),
    (Gray, TransformExample(spec=COLOURS)),
    (Medians, TransformExample()),
    (Medians, TransformExample(spec=COLOURS)),
    (Turn, AugmentationExample()),
    (Shift, AugmentationExample()),
    (Mixture, AugmentationExample()),
    (Mixture, AugmentationExample(spec=DataSpec({"input": TABLE}))),
    (Rarely, AugmentationExample()),
]


@pytest.mark.parametrize(("component", "example"), RIGHT, ids=[f"{c.__name__}-{n}" for n, (c, _) in enumerate(RIGHT)])
def test_what_is_right_passes(component, example, tmp_path) -> None:
    kind = "transform" if issubclass(component, Transform) else "augmentation"
    whole = candidate(component, kind, "component", lambda folder: [example], tmp_path)
    seen = [outcome_of(whole, check) for check in whole.checks() if check.kind == kind]
    assert [o for o in seen if o.status == "failed"] == []
    assert len([o for o in seen if o.status == "passed"]) >= 8
