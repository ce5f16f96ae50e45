"""A diffusion model trained on a mixture of normal distributions: its samples are those of the mixture."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from stem_diffusion.denoising import Denoising
from stem_diffusion.mlp import DiffusionMlp

from plugins.diffusion.tests.diffusion_mixture import MEANS, SHARES, drawn, energy_distance, shares_of
from stemcore import DataSpec, FieldSpec, UserError

FIELDS = DataSpec(
    {"input": FieldSpec("input", (2,)), "label": FieldSpec("label", (), "int64", classes=("a", "b", "c"))}
)
HELD_OUT = drawn(1000, seed=9)


@pytest.fixture(scope="module")
def model() -> DiffusionMlp:
    """Trained for a second or two."""
    torch.manual_seed(0)
    model = DiffusionMlp(FIELDS, hidden=32, layers=2, timesteps=200, prediction="v", conditions=["label"])
    points = torch.from_numpy(drawn(4000)).float()
    labels = torch.cdist(points, MEANS).argmin(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    steps, loss = 500, Denoising()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(points), (256,))
        outputs = model(points[chosen], labels[chosen])
        optimizer.zero_grad()
        loss(outputs["estimate"], outputs["wanted"], outputs["loss_weight"]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def samples_of(model: DiffusionMlp, sampler: str, steps: int, seed: int = 0) -> np.ndarray:
    torch.manual_seed(seed)
    model.sampler, model.steps = sampler, steps
    return model.sample(1000).double().numpy()


@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 200), ("ddim", 50), ("dpm++", 20)])
def test_samples_have_the_statistics_of_held_out_points(model, sampler, steps) -> None:
    samples = samples_of(model, sampler, steps)
    np.testing.assert_allclose(shares_of(samples), SHARES, atol=0.05)
    np.testing.assert_allclose(samples.mean(0), HELD_OUT.mean(0), atol=0.2)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(HELD_OUT.T), atol=0.35)
    rng = np.random.default_rng(0)
    normal = rng.multivariate_normal(HELD_OUT.mean(0), np.cov(HELD_OUT.T), len(HELD_OUT))
    assert energy_distance(samples, HELD_OUT) < energy_distance(normal, HELD_OUT) / 10


def test_samplers_agree(model) -> None:
    drawn_by = [samples_of(model, *how, seed=k) for k, how in enumerate((("ddpm", 200), ("ddim", 50), ("dpm++", 20)))]
    wrong = HELD_OUT * [1.15, 1.0]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert energy_distance(drawn_by[a], drawn_by[b]) < energy_distance(wrong, HELD_OUT)


def test_conditions_and_guidance_choose_the_class(model) -> None:
    model.sampler, model.steps, label = "ddim", 25, torch.arange(900) % 3

    def right(guidance: float, **conditions: torch.Tensor) -> float:
        torch.manual_seed(0)
        model.guidance = guidance
        try:
            nearest = torch.cdist(model.sample(900, **conditions), MEANS).argmin(1)
        finally:
            model.guidance = 1.0
        return float((nearest == label).float().mean())

    assert right(1.0) < 0.5
    assert right(0.0, label=label) < 0.5
    assert right(1.0, label=label) > 0.95
    assert right(2.0, label=label) > 0.99


def test_evaluation_is_the_same_every_time_whatever_the_order(model) -> None:
    points = torch.from_numpy(HELD_OUT).float()
    index = torch.arange(len(points))
    first, again = (model(points, index=index) for _ in range(2))
    assert torch.equal(first["estimate"], again["estimate"])
    order = torch.randperm(len(points))
    shuffled = model(points[order], index=index[order])
    torch.testing.assert_close(shuffled["wanted"], first["wanted"][order])


def test_what_it_cannot_do_is_said() -> None:
    images = DataSpec({"input": FieldSpec("input", (1, 4, 4))})
    with pytest.raises(UserError, match="diffusion_mlp is for vectors"):
        DiffusionMlp(images)
    vectors = DataSpec({"input": FieldSpec("input", (2,)), "label": FieldSpec("label", (), "int64")})
    with pytest.raises(UserError, match=r"do not name the classes of 'label'; give their number by model\.classes"):
        DiffusionMlp(vectors, conditions=["label"])
    assert DiffusionMlp(vectors, conditions=["label"], classes=4).conditions.classes == 4
    with pytest.raises(UserError, match="the data have no field 'vector'"):
        DiffusionMlp(vectors, conditions=["vector"])
    with pytest.raises(UserError, match="provides no 'latent'"):
        DiffusionMlp(vectors).encode(input=torch.zeros(1, 2))
    with pytest.raises(UserError, match="the model knows no condition 'label'"):
        DiffusionMlp(vectors).sample(2, label=torch.zeros(2, dtype=torch.long))


def test_items_on_the_way_to_samples_are_not_kept() -> None:
    seen: list[weakref.ref] = []
    most = 0

    class Watched(DiffusionMlp):
        def sampling(self, *args):
            nonlocal most
            for items in super().sampling(*args):
                seen.append(weakref.ref(items))
                most = max(most, sum(there() is not None for there in seen))
                yield items

    Watched(FIELDS, hidden=8, layers=1, timesteps=20).eval().sample(3)
    assert len(seen) > 15
    assert most <= 3
