"""Noise after the transforms, through the pipeline of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from stem_transforms.corrupting_augmentations import Noise
from stem_transforms.fitted_transforms import ZScore
from stem_transforms.impute import Impute
from torch import Tensor

from stemcore import Augmentation, DataSpec, FieldSpec
from stemcore.data.chain import Chain
from stemcore.data.intake import Intake
from stemcore.data.pipeline import Pipeline

ITEMS = 4000
SPEC = DataSpec(
    {
        "input_a": FieldSpec("input_a", (3,), finite=False, minimum=0.0),
        "input_b": FieldSpec("input_b", (2,), finite=False),
    }
)


@pytest.fixture
def stored() -> dict[str, Tensor]:
    """Two platforms of other scales, one with missing values."""
    random = torch.Generator().manual_seed(0)
    a = torch.rand(ITEMS, 3, generator=random) * torch.tensor([1.0, 100.0, 0.01])
    b = torch.randn(ITEMS, 2, generator=random) * 50 - 1000
    a[::7, 1] = torch.nan
    return {"input_a": a, "input_b": b, "index": torch.arange(ITEMS)}


@pytest.fixture
def pipeline(stored: dict[str, Tensor]) -> Callable[..., Pipeline]:
    """The transforms fitted, with augmentations and names that are asked for."""

    def make(*augmentations: Augmentation, wanted: tuple[str, ...] = ()) -> Pipeline:
        made = Pipeline(Intake(SPEC), {n: _chain(stored[n], SPEC[n]) for n in SPEC}, augmentations, wanted)
        return made

    return make


def _chain(x: Tensor, spec: FieldSpec) -> Chain:
    chain = Chain(spec, [("impute", partial(Impute)), ("zscore", partial(ZScore))])
    for number, step in enumerate(chain.transforms()):
        before = x
        for earlier in chain.transforms()[:number]:
            before = earlier(before)
        step.update(before)
        step.finish()
    return chain


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_inputs_get_noise_of_that_size_in_standard_deviations_and_targets_none(
    pipeline: Callable[..., Pipeline], stored: dict[str, Tensor]
) -> None:
    clean = pipeline()(stored)
    noisy = pipeline(Noise(SPEC, std=0.4, space="model"))(stored, generator())
    for name in ("a", "b"):
        added = noisy[f"input_{name}"] - clean[f"input_{name}"]
        torch.testing.assert_close(added.std(dim=0), torch.full(added.shape[1:], 0.4), rtol=0.05, atol=0)
        assert added.mean(dim=0).abs().max() < 0.03
        assert torch.equal(noisy[f"target_{name}"], clean[f"target_{name}"])
    assert torch.isfinite(noisy["input_a"]).all()


def test_nothing_is_clipped_there(pipeline: Callable[..., Pipeline], stored: dict[str, Tensor]) -> None:
    noisy = pipeline(Noise(SPEC, std=3.0, space="model", clip=True))(stored, generator())
    assert noisy["input_a"].min() < -5
    physical = pipeline(Noise(SPEC, std=3.0, clip=True), wanted=("input_a@physical",))(stored, generator())
    assert torch.nan_to_num(physical["input_a@physical"], nan=1.0).min() == 0


def test_validation_sees_no_noise(pipeline: Callable[..., Pipeline], stored: dict[str, Tensor]) -> None:
    seen = pipeline(Noise(SPEC, std=0.4, space="model"))(stored)
    for name, expected in pipeline()(stored).items():
        assert torch.equal(seen[name], expected)


def test_one_field_alone_and_the_same_noise_for_the_same_seed(
    pipeline: Callable[..., Pipeline], stored: dict[str, Tensor]
) -> None:
    noise = Noise(SPEC, std=0.4, space="model", fields=("input_b",))
    first, again, other = (pipeline(noise)(stored, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first["input_a"], pipeline()(stored)["input_a"])
    assert torch.equal(first["input_b"], again["input_b"])
    assert not torch.equal(first["input_b"], other["input_b"])
