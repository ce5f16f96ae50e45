from __future__ import annotations

import pytest
import torch
from stem_models.blocks import ConvBlock, TripleResidualBlock
from stem_models.resnet_autoencoder import ResnetAutoencoder
from torch import nn
from torch.nn import functional as F

from stemcore import DataSpec, FieldSpec, UserError


def spec(*shape):
    return DataSpec({"input": FieldSpec("input", shape, unit="counts")})


@pytest.mark.parametrize(("latent_dim", "parameters"), [(32, 3_914_404), (128, 4_112_644), (256, 4_376_964)])
def test_parameters_of_the_original(latent_dim, parameters):
    with torch.device("meta"):
        model = ResnetAutoencoder(spec(1, 256, 256), latent_dim=latent_dim)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_stages_of_the_original():
    """Feature maps of 256 -> 64 -> 16 -> 4 pixels and back, through a neck of 1 x 4 x 4."""
    with torch.device("meta"):
        model = ResnetAutoencoder(spec(1, 256, 256))
        x = torch.empty(2, 1, 256, 256)
    seen = []
    for module in (*model.encoder, *model.decoder):
        x = module(x)
        seen.append(tuple(x.shape[1:]))
    assert seen == [
        *((64, 256, 256), (128, 256, 256)),
        *(s for n in (256, 64, 16) for s in ((128, n, n), (128, n, n), (128, n // 4, n // 4))),
        *((64, 4, 4), (1, 4, 4), (1, 4, 4), (16,), (128,), (128,)),
        *((2048,), (128, 4, 4), (128, 4, 4)),
        *((128, n, n) for n in (16, 64, 256) for _ in range(3)),
        (1, 256, 256),
    ]


def test_blocks_compute_what_the_definition_says():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 5)
    block = TripleResidualBlock(4)
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert [c.kernel_size for c in convs] == [(3, 3)] * 3

    def normalised(y):
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
        return (y - mean) / torch.sqrt(var + 1e-5)

    def conv(layer, y):
        return F.conv2d(y, layer.weight, layer.bias, padding=1)

    y = F.relu(normalised(conv(convs[0], x)))
    y = F.relu(normalised(conv(convs[1], y)))
    y = F.relu(normalised(conv(convs[2], y)) + x)
    torch.testing.assert_close(block(x), y, rtol=1e-4, atol=1e-5)
    one = ConvBlock(4, 6)
    torch.testing.assert_close(one(x), F.relu(normalised(conv(one[0], x))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 32, 32), (2, 20, 33), (1, 128, 96), (1, 256, 256), (1, 300, 300)])
def test_any_size_keeps_its_shape(shape):
    with torch.device("meta"):
        model = ResnetAutoencoder(spec(*shape), latent_dim=7)
        out = model(torch.empty(3, *shape))
    assert out["prediction"].shape == (3, *shape)
    assert out["latent"].shape == (3, 7)
    assert {name: field.shape for name, field in model.provides().items()} == {"prediction": shape, "latent": (7,)}
    assert model.provides()["prediction"].like == "input"


def test_latents_are_not_negative_and_encode_gives_them():
    torch.manual_seed(0)
    model = ResnetAutoencoder(spec(1, 16, 16), latent_dim=8).eval()
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        latent, out = model.encode(input=x), model(x)
        # The decoder works at 256 x 256 for any size, so run it once.
    assert torch.equal(latent, out["latent"])
    assert out["prediction"].shape == x.shape
    assert latent.min() == 0
    assert latent.max() > 0


def test_a_batch_of_one_trains():
    model = ResnetAutoencoder(spec(1, 16, 16), latent_dim=4)
    out = model(torch.randn(1, 1, 16, 16))
    out["latent"].sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.encoder.parameters())


def test_compiles_whole():
    with torch.device("meta"):
        model, x = ResnetAutoencoder(spec(1, 32, 40), latent_dim=8), torch.empty(2, 1, 32, 40)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert compiled(x)["prediction"].shape == x.shape


def test_patterns_that_are_too_small_or_no_images():
    with pytest.raises(UserError, match="at least 4 x 4, these are 3 x 64"):
        ResnetAutoencoder(spec(1, 3, 64))
    with pytest.raises(UserError, match="of one size"):
        ResnetAutoencoder(spec(64, 64))
