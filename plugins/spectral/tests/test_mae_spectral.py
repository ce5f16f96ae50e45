from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.special import erf
from stem_spectral.mae_spectral import SIZES, MaeSpectral
from stem_spectral.model_examples import cubes
from stem_spectral.patches import from_patches, to_patches
from torch.utils.flop_counter import FlopCounterMode

from stemcore import UserError
from stemcore.trainer.checkpoint import load_weights

SCENE = Path(__file__).resolve().parents[3].parent / "shared/data/hyperspectral/jasper_ridge.h5"
PATCH = [3, 4, 4]
SMALL = {
    **{"patch": PATCH, "embed_dim": 12, "depth": 1, "heads": 3},
    **{"decoder_dim": 8, "decoder_depth": 1, "decoder_heads": 2, "mask_ratio": 0.5},
}


def small(*extent, **config):
    torch.manual_seed(0)
    return MaeSpectral(cubes(*(extent or (6, 8, 12))), **{**SMALL, **config}).eval()


def original(**config):
    """For the original's cubes, without memory for its weights."""
    with torch.device("meta"):
        return MaeSpectral(cubes(30, 500, 500), **config)


@pytest.mark.parametrize(
    ("size", "millions"),
    [("tiny", 6.02), ("small", 22.65), ("base", 87.77), ("medium", 52.25), ("large", 305.93), ("huge", 634.20)],
)
def test_parameters_of_the_encoders(size, millions):
    d, depth, _, decoder_heads = SIZES[size]
    model = original(size=size)
    count = sum(p.numel() for p in model.encoder.parameters())
    patches, positions, norm = (3125 + 1) * d, (20 * 20 + 6) * d, 2 * d
    assert count == patches + positions + depth * (12 * d * d + 13 * d) + norm
    assert round(count / 1e6, 2) == millions
    w = -(-256 // decoder_heads) * decoder_heads
    decoder = sum(p.numel() for p in model.decoder.parameters())
    inside = (d + 1) * w + w + (20 * 20 + 6) * w + 8 * (12 * w * w + 13 * w) + 2 * w + (w + 1) * 3125
    assert decoder == inside
    assert sum(p.numel() for p in model.parameters()) == count + decoder


@pytest.mark.parametrize(("size", "width"), [("tiny", 258), ("small", 258), ("base", 264), ("huge", 256)])
def test_decoders_are_256_wide_or_the_next_multiple_of_their_heads(size, width):
    assert original(size=size, depth=1, decoder_depth=0).decoder.embed.out_features == width


def test_work_grows_with_what_is_shown():
    work = {}
    for ratio in (0.0, 0.8):
        model = original(size="base", mask_ratio=ratio)
        counter = FlopCounterMode(display=False)
        with counter:
            model(torch.empty(1, 30, 500, 500, device="meta"))
        flops = counter.get_flop_counts()
        work[ratio] = sum(flops["MaeSpectral.encoder"].values()), sum(flops["Global"].values())
    assert work[0.8][0] <= 0.2 * work[0.0][0]
    assert work[0.8][1] <= 0.35 * work[0.0][1]


def test_one_block_is_what_numpy_computes():
    model = small(depth=1, pooling="tokens").double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 6, 8, 12, dtype=torch.float64)
    with torch.no_grad():
        outputs = model(x, index=torch.arange(2))
        everything = model.encode(input=x)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    for i in range(2):
        cube = x[i].numpy()
        hidden = outputs["hidden"][i].numpy()[::3, ::4, ::4].ravel()
        assert hidden.sum() == 6
        prediction, features = reference(state, cube, ~hidden)
        np.testing.assert_allclose(outputs["prediction"][i].numpy(), prediction, rtol=1e-9, atol=1e-9)
        places, groups = np.flatnonzero(~hidden) % 6, np.zeros((12, 2, 3))
        for place in set(places):
            groups[:, place // 3, place % 3] = features[places == place].mean(0)
        np.testing.assert_allclose(outputs["latent"][i].numpy(), groups, rtol=1e-9, atol=1e-9)
        _, features = reference(state, cube, np.ones(12, bool))
        means = features.reshape(2, 2, 3, 12).mean(0).transpose(2, 0, 1)
        np.testing.assert_allclose(everything[i].numpy(), means, rtol=1e-9, atol=1e-9)


def reference(state, cube, shown):
    """Prediction (6, 8, 12) and features (tokens shown, 12), by loops over patches and heads."""
    blocks = [(g, r, c) for g in range(2) for r in range(2) for c in range(3)]
    patches = np.stack([cube[3 * g : 3 * g + 3, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].ravel() for g, r, c in blocks])

    def linear(name, v):
        return v @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, v):
        centred = v - v.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-6)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def positions(name):
        spatial, spectral = state[f"{name}.positions.spatial"], state[f"{name}.positions.spectral"]
        return np.stack([spatial[3 * r + c] + spectral[g] for g, r, c in blocks])

    def block(name, v, heads):
        q, k, w = np.split(linear(f"{name}.attention.qkv", norm(f"{name}.norm1", v)), 3, axis=1)
        size, mixed = v.shape[1] // heads, np.empty_like(v)
        for h in range(heads):
            part = slice(h * size, h * size + size)
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(size))
            mixed[:, part] = scores / scores.sum(1, keepdims=True) @ w[:, part]
        v = v + linear(f"{name}.attention.project", mixed)
        wide = linear(f"{name}.mlp.0", norm(f"{name}.norm2", v))
        return v + linear(f"{name}.mlp.2", wide * (1 + erf(wide / np.sqrt(2))) / 2)

    features = linear("encoder.embed", patches[shown]) + positions("encoder")[shown]
    features = norm("encoder.blocks.norm", block("encoder.blocks.blocks.0", features, 3))
    whole = np.repeat(state["decoder.mask_token"][None], 12, 0)
    whole[shown] = linear("decoder.embed", features)
    whole = norm("decoder.blocks.norm", block("decoder.blocks.blocks.0", whole + positions("decoder"), 2))
    values, prediction = linear("decoder.head", whole), np.empty_like(cube)
    for (g, r, c), patch in zip(blocks, values, strict=True):
        prediction[3 * g : 3 * g + 3, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = patch.reshape(3, 4, 4)
    return prediction, features


@pytest.mark.parametrize("masking", ["random", "tube", "spectral_block"])
def test_nothing_of_what_is_hidden_is_seen(masking):
    model = small(7, 9, 10, masking=masking)
    x = torch.randn(2, 7, 9, 10, requires_grad=True)
    outputs = model(x)
    for name in ("prediction", "latent"):
        (seen,) = torch.autograd.grad(outputs[name].square().sum(), x, retain_graph=True)
        assert (seen[outputs["hidden"]] == 0).all()
        assert (seen[~outputs["hidden"]] != 0).all()
    hidden, inpainted = outputs["hidden"], outputs["inpainted"]
    assert torch.equal(inpainted[~hidden], x[~hidden])
    assert torch.equal(inpainted[hidden], outputs["prediction"][hidden])


def test_masks_differ_between_steps_and_items_in_training_and_follow_the_seed():
    model, x = small(12, 16, 16).train(), torch.randn(2, 12, 16, 16)
    torch.manual_seed(5)
    first, second = model(x)["hidden"], model(x)["hidden"]
    torch.manual_seed(5)
    assert torch.equal(first, model(x)["hidden"])
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_masks_belong_to_the_index_in_evaluation():
    model, x = small(12, 16, 16), torch.randn(3, 12, 16, 16)
    hidden = model(x, index=torch.tensor([7, 8, 0]))["hidden"]
    assert torch.equal(hidden, model(x.flip(0), index=torch.tensor([0, 8, 7]))["hidden"].flip(0))
    assert not torch.equal(hidden[0], hidden[1])
    assert torch.equal(model(x)["hidden"], hidden[2:].expand_as(hidden))


def test_values_that_do_not_count_change_nothing():
    model, x = small(), torch.randn(2, 6, 8, 12)
    mask = torch.rand_like(x) > 0.2
    spoilt = torch.where(mask, x, torch.nan)
    zeros = torch.where(mask, x, 0.0)
    for seen, expected in (
        (model(spoilt, mask)["inpainted"], model(zeros)["inpainted"]),
        (model.encode(input=spoilt, mask=mask), model.encode(input=zeros)),
        (model.reconstruct(input=spoilt, mask=mask), model.reconstruct(input=zeros)),
    ):
        torch.testing.assert_close(seen, expected)


@pytest.mark.parametrize(
    ("masking", "ratio", "shown"), [("random", 0.75, 3), ("tube", 0.6, 6), ("spectral_block", 0.5, 8)]
)
def test_every_patch_is_reconstructed_from_others(masking, ratio, shown):
    model = small(9, 8, 8, masking=masking, mask_ratio=ratio)
    x = torch.randn(1, 9, 8, 8, requires_grad=True)
    whole = to_patches(model.reconstruct(input=x), (3, 4, 4))
    for token in range(whole.shape[1]):
        (seen,) = torch.autograd.grad(whole[0, token].square().sum(), x, retain_graph=True)
        seen = to_patches(seen, (3, 4, 4))[0]
        assert (seen[token] == 0).all()
        assert (seen != 0).any(1).sum() == shown
    assert torch.equal(whole, to_patches(model.reconstruct(input=x), (3, 4, 4)))


def test_where_nothing_is_hidden_the_reconstruction_is_the_prediction():
    model, x = small(mask_ratio=0.0), torch.randn(2, 6, 8, 12)
    outputs = model(x)
    assert not outputs["hidden"].any()
    torch.testing.assert_close(model.reconstruct(input=x), outputs["prediction"])
    torch.testing.assert_close(model.encode(input=x), outputs["latent"])
    outputs["prediction"].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())  # several devices wait for each of them


def test_cubes_of_another_size_are_taken_with_interpolated_positions():
    model, x = small(6, 8, 12, pooling="tokens"), torch.randn(1, 7, 15, 20)
    outputs = model(x)
    assert outputs["prediction"].shape == x.shape
    assert outputs["latent"].shape == (1, 12, 4, 5)
    assert model.encode(input=x).shape == (1, 12, 4, 5)
    assert model.reconstruct(input=x).shape == x.shape


def test_weights_serve_cubes_of_another_size():
    given, own = small(6, 8, 12), small(9, 16, 16)
    torch.nn.init.normal_(given.encoder.positions.spatial)
    load_weights({f"model.{n}": v for n, v in given.state_dict().items()}, "model.", own, "best.ckpt")
    x = torch.randn(1, 9, 16, 16)
    torch.testing.assert_close(own(x)["prediction"], given(x)["prediction"])


def test_a_training_step_is_one_graph():
    model, x = small(7, 9, 10, pooling="tokens").train(), torch.randn(2, 7, 9, 10)
    step = torch.compile(lambda: model(x)["prediction"].square().mean(), backend="eager", fullgraph=True)
    step().backward()
    assert model.decoder.mask_token.grad.abs().sum() > 0


def test_heads_divide_widths():
    with pytest.raises(UserError) as raised:
        small(embed_dim=10, decoder_dim=9)
    assert [p.message for p in raised.value.problems] == [
        "embed_dim 10 is no multiple of its 3 heads",
        "decoder_dim 9 is no multiple of its 2 heads",
    ]


def test_what_cannot_be_masked_is_refused_when_it_is_built():
    with pytest.raises(UserError, match="single unit"):
        small(3, 8, 8, masking="spectral_block")


def test_patches_are_put_back_where_they_were():
    x = torch.randn(2, 7, 9, 10)
    assert torch.equal(from_patches(to_patches(x, (3, 4, 4)), (3, 4, 4), (7, 9, 10)), x)


def test_hidden_places_of_a_real_scene_are_predicted_better_than_by_the_mean_spectrum():
    if not SCENE.exists():
        pytest.skip("needs ../shared/data/hyperspectral")
    with h5py.File(SCENE) as file:
        scene = torch.from_numpy(file["Cube/Images"][:])
    train, held = scene[:, :, :80], torch.stack(scene[:, :, 80:].split(20, 1))
    mean, std = train.mean((1, 2), keepdim=True), train.std((1, 2), keepdim=True)
    torch.manual_seed(0)
    sizes = {"embed_dim": 48, "depth": 2, "heads": 4, "decoder_dim": 48, "decoder_depth": 1, "decoder_heads": 4}
    model = MaeSpectral(cubes(198, 20, 20), patch=[66, 5, 5], mask_ratio=0.75, masking="tube", **sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(40):
        corners = torch.randint(0, 61, (8, 2)).tolist()
        tiles = (torch.stack([train[:, r : r + 20, c : c + 20] for r, c in corners]) - mean) / std
        outputs = model(tiles)
        loss = (outputs["prediction"] - tiles)[outputs["hidden"]].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model.eval()((held - mean) / std, index=torch.arange(len(held)))
    hidden, prediction = outputs["hidden"], outputs["prediction"] * std + mean
    psnr = [-10 * (guess - held)[hidden].square().mean().log10() for guess in (prediction, mean.expand_as(held))]
    assert psnr[0] > psnr[1] + 2
