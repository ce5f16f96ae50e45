"""Chains of transforms, their spaces, and what a batch goes through."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from stemcore import Augmentation, DataSpec, FieldSpec, Transform, UserError
from stemcore.data.chain import Chain, Values
from stemcore.data.intake import Intake
from stemcore.data.pipeline import Pipeline

SHAPE = (1, 4, 6)
FIELD = FieldSpec("input", SHAPE, dtype="uint16", unit="counts", minimum=0.0)


class Log(Transform):
    def forward(self, x: Tensor) -> Tensor:
        return x.log1p()

    def inverse(self, x: Tensor) -> Tensor:
        return x.expm1()


class Scale(Transform):
    def forward(self, x: Tensor) -> Tensor:
        return x / 3 - 1

    def inverse(self, x: Tensor) -> Tensor:
        return (x + 1) * 3


class LeftHalf(Transform):
    kind = "geometry"

    def out_spec(self) -> FieldSpec:
        c, h, w = self.spec.shape
        return self.spec.with_shape((c, h, w // 2))

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : x.shape[-1] // 2]

    def mask(self, mask: Tensor) -> Tensor:
        return self.forward(mask)


class BrightestFirst(Transform):
    """Rolls every pattern so that its brightest column comes first: geometry that depends on the item."""

    kind = "geometry"

    def forward(self, x: Tensor) -> Tensor:
        return self.together(x, {}, {})[0]

    def together(self, main: Tensor, others: dict, masks: dict) -> tuple[Tensor, dict, dict]:
        shifts = main.sum(dim=(1, 2)).argmax(dim=1)

        def move(x: Tensor) -> Tensor:
            return torch.stack([t.roll(-int(s), -1) for t, s in zip(x, shifts, strict=True)])

        return move(main), {n: move(t) for n, t in others.items()}, {n: move(t) for n, t in masks.items()}


def chain(*steps: tuple[str, type[Transform]]) -> Chain:
    return Chain(FIELD, steps)


@pytest.fixture
def counts() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).poisson(4.0, (5, *SHAPE)).astype(np.float32))


def test_undo_takes_back_to_any_space(counts: Tensor) -> None:
    both = chain(("log1p", Log), ("scale", Scale))
    y = both(counts)
    for space, expected in (("physical", counts), ("log1p", counts.log1p()), ("scale", y), ("model", y)):
        torch.testing.assert_close(both.undo(y, space), expected)
    assert both.spaces == ["physical", "log1p", "scale", "model"]


def test_an_unknown_space_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="no space '@sqrt'; spaces are @physical, @log1p, @model"):
        chain(("log1p", Log)).undo_steps("sqrt")


def test_counts_stay_exact_when_geometry_comes_first(counts: Tensor) -> None:
    pipeline = Pipeline(
        Intake(DataSpec({"input": FIELD})),
        {"input": chain(("half", LeftHalf), ("log1p", Log))},
        wanted=["target@physical"],
    )
    batch = pipeline({"input": counts.to(torch.uint16), "index": torch.arange(5)})
    assert torch.equal(batch["target@physical"], counts[..., :3])
    assert pipeline.spec["input"].shape == (1, 4, 3)
    assert torch.equal(batch["target"], batch["input"])


def test_geometry_behind_values_keeps_the_shapes_of_all_spaces_alike(counts: Tensor) -> None:
    pipeline = Pipeline(
        Intake(DataSpec({"input": FIELD})),
        {"input": chain(("log1p", Log), ("half", LeftHalf))},
        wanted=["target@physical"],
    )
    batch = pipeline({"input": counts, "index": torch.arange(5)})
    torch.testing.assert_close(batch["target@physical"], counts[..., :3])


def test_everything_like_the_input_moves_with_it(counts: Tensor) -> None:
    mask, truth = counts > 2, counts * 10
    spec = DataSpec(
        {
            "input": FIELD,
            "mask": FieldSpec("mask", SHAPE, dtype="bool", like="input"),
            "expected": FieldSpec("expected", SHAPE, like="input", finite=False),
        }
    )
    pipeline = Pipeline(Intake(spec), {"input": chain(("first", BrightestFirst), ("half", LeftHalf), ("log1p", Log))})
    batch = pipeline({"input": counts, "mask": mask, "expected": truth, "index": torch.arange(5)})
    kept = torch.where(mask, counts, torch.zeros(()))
    moved, others, _ = BrightestFirst(FIELD).together(kept, {"truth": truth}, {})
    torch.testing.assert_close(batch["input"], moved[..., :3].log1p())
    torch.testing.assert_close(batch["expected"], others["truth"][..., :3])
    assert batch["mask"].shape[-1] == 3
    assert pipeline.spec["expected"].shape == pipeline.spec["mask"].shape == (1, 4, 3)


class AddOne(Augmentation):
    kind = "corrupting"

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {n: t + 1 for n, t in batch.items()}


class Mirror(Augmentation):
    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {n: t.flip(-1) for n, t in batch.items()}


def test_geometric_augmentations_move_the_target_and_corrupting_ones_do_not(counts: Tensor) -> None:
    spec = DataSpec({"input": FIELD})
    pipeline = Pipeline(Intake(spec), {"input": chain(("scale", Scale))}, [AddOne(spec), Mirror(spec)])
    stored = {"input": counts, "index": torch.arange(5)}
    batch = pipeline(stored, torch.Generator())
    torch.testing.assert_close(batch["target"], Scale(FIELD)(counts.flip(-1)))
    torch.testing.assert_close(batch["input"], Scale(FIELD)(counts.flip(-1) + 1))
    assert torch.equal(pipeline(stored)["input"], Scale(FIELD)(counts)), "no generator, no augmentation"


def test_a_target_follows_the_geometry_of_its_noisy_input(counts: Tensor) -> None:
    """Per-item geometry is decided by the input: a target centred by its own content would not lie under it."""

    class Reverse(AddOne):
        def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
            return {n: t.flip(-1) for n, t in batch.items()}

    spec = DataSpec({"input": FIELD})
    pipeline = Pipeline(Intake(spec), {"input": chain(("first", BrightestFirst))}, [Reverse(spec)])
    batch = pipeline({"input": counts, "index": torch.arange(5)}, torch.Generator())
    moved, others, _ = BrightestFirst(FIELD).together(counts.flip(-1), {"target": counts}, {})
    torch.testing.assert_close(batch["input"], moved)
    torch.testing.assert_close(batch["target"], others["target"])


def test_values_alone_skip_the_geometry(counts: Tensor) -> None:
    half = counts[..., :3]
    values = Values(chain(("half", LeftHalf), ("log1p", Log)))
    torch.testing.assert_close(values.forward(half), half.log1p())
    torch.testing.assert_close(values.inverse(half.log1p()), half)
    with pytest.raises(UserError, match="before those of values"):
        Values(chain(("log1p", Log), ("half", LeftHalf))).forward(half)


class Stained(Augmentation):
    """Adds a pattern of its own, kept in a buffer."""

    kind = "corrupting"

    def __init__(self, spec: DataSpec, *, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(spec, fields=fields)
        self.register_buffer("stain", torch.ones(()))

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {name: x + self.stain for name, x in batch.items()}


PLATFORMS = DataSpec(
    {
        **{name: FieldSpec(name, (3,), minimum=0.0) for name in ("input_a", "input_b")},
        "mask_a": FieldSpec("mask_a", (3,), dtype="bool", like="input_a"),
    }
)


def paired(*augmentations: Augmentation, wanted: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """A batch of two platforms, both of ones, after ``log1p`` of the first and the augmentations."""
    chains = {"input_a": Chain(PLATFORMS["input_a"], [("log1p", Log)]), "input_b": Chain(PLATFORMS["input_b"])}
    pipeline = Pipeline(Intake(PLATFORMS), chains, list(augmentations), wanted)
    stored = {name: torch.ones(2, 3) for name in ("input_a", "input_b")}
    return pipeline({**stored, "mask_a": torch.ones(2, 3).bool(), "index": torch.arange(2)}, torch.Generator())


def test_each_of_several_inputs_has_a_target_that_corruption_leaves_alone() -> None:
    batch = paired(Stained(PLATFORMS), wanted=("target_a@physical",))
    for name, value in {
        "input_a": math.log(3),
        "target_a": math.log(2),
        "target_a@physical": 1,
        "input_b": 2,
        "target_b": 1,
    }.items():
        torch.testing.assert_close(batch[name], torch.full((2, 3), float(value)))
    assert "target" not in batch


def test_some_of_several_inputs_are_augmented() -> None:
    batch = paired(Stained(PLATFORMS, fields=("input_b",)))
    assert (batch["input_a"] - batch["target_a"]).abs().sum() == 0
    assert torch.equal(batch["input_b"], batch["target_b"] + 1)


def test_an_augmentation_of_the_models_space_comes_after_the_transforms() -> None:
    late = Stained(PLATFORMS)
    late.space = "model"
    batch = paired(late)
    torch.testing.assert_close(batch["input_a"], torch.full((2, 3), math.log(2) + 1))
    torch.testing.assert_close(batch["target_a"], torch.full((2, 3), math.log(2)))


def test_a_platform_that_is_absent_has_no_target() -> None:
    pipeline = Pipeline(Intake(PLATFORMS), {n: Chain(PLATFORMS[n]) for n in ("input_a", "input_b")})
    batch = pipeline({"input_b": torch.ones(2, 3), "index": torch.arange(2)})
    assert set(batch) == {"input_b", "target_b", "index"}


def test_augmentations_go_to_the_device_but_not_into_the_weights() -> None:
    spec = DataSpec({"input": FIELD})
    augmentation = Stained(spec, fields=("input",))
    pipeline = Pipeline(Intake(spec, "error"), {"input": Chain(FIELD)}, [augmentation]).to("meta")
    assert augmentation.stain.device.type == "meta"
    assert not any("stain" in name for name in pipeline.state_dict())


def test_what_has_channels_of_its_own_keeps_them_where_the_field_it_is_like_moves() -> None:
    cube = FieldSpec("input", (5, 4, 6))
    labels = FieldSpec("label_map", (1, 4, 6), dtype="int64", like="input", classes=("soil", "water"))
    picture = FieldSpec("rgb", (3, 4, 6), dtype="uint8", like="input", scale=1 / 255)
    spec = DataSpec({"input": cube, "label_map": labels, "rgb": picture})
    pipeline = Pipeline(Intake(spec), {"input": Chain(cube, [("left", LeftHalf)])})
    stored = {
        "input": torch.ones(2, 5, 4, 6),
        "label_map": torch.arange(48).reshape(2, 1, 4, 6) % 3 - 1,
        "rgb": torch.full((2, 3, 4, 6), 51, dtype=torch.uint8),
        "index": torch.arange(2),
    }
    batch = pipeline(dict(stored))
    for name in ("input", "label_map", "rgb"):
        assert pipeline.spec[name].shape == tuple(batch[name].shape[1:])
    assert batch["label_map"].dtype == torch.int64
    assert torch.equal(batch["label_map"], stored["label_map"][..., :3])
    torch.testing.assert_close(batch["rgb"], torch.full((2, 3, 4, 3), 0.2))
