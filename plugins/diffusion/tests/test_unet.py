from __future__ import annotations

import pytest
import torch
from stem_diffusion.unet import DiffusionUnet, Unet

from stemcore import DataSpec, FieldSpec, UserError

SMALL = {"channels": [8, 16], "blocks_per_level": 1, "groups": 4, "head_dim": 4}


def images(*shape: int) -> DataSpec:
    fields = FieldSpec("input", shape), FieldSpec("label", (), "int64", classes=("a", "b"))
    return DataSpec({f.name: f for f in fields})


@pytest.mark.parametrize("attention", [[], [1, 2]])
def test_it_is_the_network_of_diffusers(attention) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    ours = Unet(3, [8, 16], blocks=2, attention=attention, head_dim=4, groups=4, dropout=0.0)
    torch.manual_seed(0)
    down, up = ("AttnDownBlock2D", "AttnUpBlock2D") if attention else ("DownBlock2D", "UpBlock2D")
    theirs = diffusers.UNet2DModel(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 16),
        down_block_types=(down, down),
        up_block_types=(up, up),
        layers_per_block=2,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    x, t = torch.randn(4, 3, 8, 12), torch.tensor([0, 3, 250, 499])
    torch.testing.assert_close(ours(x, t), theirs(x, t).sample)


@pytest.mark.parametrize("shape", [(3, 7, 13), (4, 8, 8), (1, 1, 1)])
def test_sizes_that_do_not_halve_are_filled_up_inside(shape) -> None:
    torch.manual_seed(0)
    model = DiffusionUnet(images(*shape), **{**SMALL, "channels": [8, 8, 16]}).eval()
    x, t = torch.randn(2, *shape), torch.tensor([5, 400])
    found = model.unet(x, t)
    assert found.shape == x.shape
    whole = model.unet.padded(x)
    assert all(s % 4 == 0 for s in whole.shape[-2:])
    torch.testing.assert_close(model.unet(whole, t)[..., : shape[1], : shape[2]], found)
    model.steps = 2
    assert model.sample(3).shape == (3, *shape)


def test_what_stands_between_its_parts_comes_into_effect() -> None:
    torch.manual_seed(0)
    unet = DiffusionUnet(images(3, 8, 8), **SMALL).unet.eval()
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([5, 400])
    told = unet.told(t)
    middle, skips = unet.down(x, told)
    torch.testing.assert_close(unet.up(middle, skips, told), unet(x, t))
    for k in range(len(skips)):
        changed = [skip + (j == k) for j, skip in enumerate(skips)]
        assert not torch.allclose(unet.up(middle, changed, told), unet(x, t), atol=1e-5)


def test_steps_stay_whole_numbers_in_half_precision() -> None:
    unet = DiffusionUnet(images(3, 8, 8), **SMALL).unet.eval()
    with torch.autocast("cpu", torch.bfloat16):
        sines = unet.time_proj(torch.tensor([498, 499]))
    assert sines.dtype == torch.float32
    angles = torch.tensor([498.0, 499.0])
    torch.testing.assert_close(sines[:, sines.shape[1] // 2], angles.sin(), atol=1e-3, rtol=0)  # cosines come first


def test_it_learns_what_a_class_looks_like() -> None:
    torch.manual_seed(0)
    model = DiffusionUnet(
        images(1, 4, 4), channels=[8], blocks_per_level=1, groups=4, head_dim=4, timesteps=50, prediction="v",
        conditions=["label"], steps=10, guidance=1.0,
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    sides = torch.zeros(2, 1, 4, 4)
    sides[0, ..., :2], sides[1, ..., 2:] = 1.0, 1.0
    sides = 2 * sides - 1
    for _ in range(60):
        label = torch.randint(2, (32,))
        outputs = model(sides[label], label)
        optimizer.zero_grad()
        (outputs["estimate"] - outputs["wanted"]).square().mean().backward()
        optimizer.step()
    model.eval()
    label = torch.arange(40) % 2
    samples = model.sample(40, label=label)
    nearest = (samples[:, None] - sides[None]).square().flatten(2).sum(2).argmin(1)
    assert (nearest == label).float().mean() > 0.9


def test_what_does_not_fit_is_said() -> None:
    for settings, says in (
        ({"groups": 3}, r"model\.groups 3 does not divide \[8, 16\] channels"),
        ({"attention": [3]}, r"model\.attention names levels \[3\], there are 2"),
        ({"head_dim": 5}, r"model\.head_dim 5 does not divide \[16\] channels"),
    ):
        with pytest.raises(UserError, match=says):
            DiffusionUnet(images(3, 8, 8), **{**SMALL, **settings})
    with pytest.raises(UserError, match=r"is for images \(C, H, W\)"):
        DiffusionUnet(DataSpec({"input": FieldSpec("input", (5,))}), **SMALL)
    with pytest.raises(UserError, match="eta is for the sampler ddim, not for ddpm"):
        DiffusionUnet(images(3, 8, 8), **SMALL, sampler="ddpm", eta=0.5)
