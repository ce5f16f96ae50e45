from __future__ import annotations

import pytest
import torch
from stem_models.conv_autoencoder import ConvAutoencoder, stage_sizes
from stem_models.heads import CodeToMaps, MapsToCode
from stem_models.plugin import stem_models

from stemcore import DataSpec, FieldSpec, UserError
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema


def spec(*shape):
    return DataSpec({"input": FieldSpec("input", shape, unit="counts")})


def built(*shape, seed=0, **config):
    torch.manual_seed(seed)
    schema = Schema(ConvAutoencoder, KINDS["model"], "conv_autoencoder")
    arguments, problems = schema.validate({"latent_dim": 6, "channels": [4, 8], **config})
    assert not problems
    return schema.build(spec(*shape), **arguments)


VARIANTS = [
    {},
    {"head": "conv"},
    {"variational": True},
    {"head": "conv", "variational": True, "norm": "none", "activation": "gelu"},
    {"norm": "batch", "activation": "relu", "blocks": 2},
    {"blocks": 0, "dropout": 0.3, "activation": "leaky_relu", "output": "softplus"},
    {"channels": [5]},
]


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 17, 31)])
def test_outputs_are_as_declared(config, shape):
    model = built(*shape, **config)
    out = model(torch.randn(3, *shape))
    assert {name: tuple(t.shape[1:]) for name, t in out.items()} == {
        name: field.shape for name, field in model.provides().items()
    }
    assert set(out) == {"prediction", "latent"} | ({"mu", "logvar"} if config.get("variational") else set())
    assert model.provides()["prediction"].like == "input"
    assert model.provides()["prediction"].unit == "counts"


@pytest.mark.parametrize("config", VARIANTS)
def test_every_parameter_gets_a_gradient(config):
    model = built(1, 20, 20, **config)
    for p in model.parameters():  # residual branches start at zero, which hides gradients before them
        if p.abs().sum() == 0:
            torch.nn.init.normal_(p, std=0.1)
    out = model(torch.randn(4, 1, 20, 20))
    (out["prediction"].square().mean() + out["latent"].sum()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name
        # A bias before a batch normalisation has none by construction.
        assert p.grad.abs().sum() > 0 or config.get("norm") == "batch", name


@pytest.mark.parametrize("config", [c for c in VARIANTS if c.get("norm") != "batch"])
def test_a_batch_of_one_trains_like_any_other(config):
    model = built(1, 16, 16, **config)
    out = model(torch.randn(1, 1, 16, 16))
    out["prediction"].square().mean().backward()
    if not config.get("dropout") and not config.get("variational"):
        x = torch.randn(3, 1, 16, 16)
        alone = torch.cat([model(x[i : i + 1])["prediction"] for i in range(3)])
        torch.testing.assert_close(model(x)["prediction"], alone, rtol=1e-4, atol=1e-5)


def test_first_prediction_is_near_the_mean_of_standardised_data():
    model = built(1, 64, 64, channels=[16, 32, 64, 128])
    assert model(torch.randn(4, 1, 64, 64))["prediction"].std() < 0.2


def test_variational_draws_in_training_and_is_the_mean_in_evaluation():
    model, x = built(1, 16, 16, variational=True), torch.randn(2, 1, 16, 16)
    out = model(x)
    torch.manual_seed(3)
    drawn = model(x)
    torch.manual_seed(3)
    expected = drawn["mu"] + torch.exp(drawn["logvar"] / 2) * torch.randn_like(drawn["mu"])
    assert torch.equal(drawn["latent"], expected)
    assert not torch.equal(out["latent"], drawn["latent"])
    assert torch.equal(model.encode(input=x), out["mu"])
    model.eval()
    out = model(x)
    assert torch.equal(out["latent"], out["mu"])
    assert torch.equal(model.reconstruct(input=x), model.reconstruct(input=x))


def test_draws_have_the_declared_spread():
    model = built(1, 16, 16, variational=True)
    x = torch.randn(1, 1, 16, 16).expand(4000, -1, -1, -1)
    out = model(x)
    std = torch.exp(out["logvar"][0] / 2)
    torch.testing.assert_close(out["latent"].std(0), std, rtol=0.05, atol=0)
    assert ((out["latent"].mean(0) - out["mu"][0]).abs() < 4 * std / 4000**0.5).all()


def test_encode_runs_the_encoder_alone(monkeypatch):
    model, x = built(1, 16, 16).eval(), torch.randn(2, 1, 16, 16)
    expected = model(x)["latent"]
    monkeypatch.setattr(model, "decoder", None)
    assert torch.equal(model.encode(input=x), expected)


def test_conv_head_against_einsum():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 4)
    head = MapsToCode((5, 3, 4), 6)
    weight, bias = head.mix.weight[:, :, 0, 0], head.mix.bias
    expected = torch.einsum("nchw,dc,dhw->nd", x, weight, head.place) + torch.einsum("d,dhw->d", bias, head.place)
    torch.testing.assert_close(head(x), expected)
    neck = CodeToMaps(6, (5, 3, 4))
    code = torch.randn(2, 6)
    expected = torch.einsum("nd,dhw,cd->nchw", code, neck.place, neck.mix.weight[:, :, 0, 0])
    torch.testing.assert_close(neck(code), expected + neck.mix.bias[:, None, None])


def test_conv_head_is_light_for_large_patterns():
    with torch.device("meta"):
        sizes = [
            sum(p.numel() for p in built(1, 512, 512, channels=[4, 8, 16], head=head).parameters())
            for head in ("linear", "conv")
        ]
    assert sizes[1] < sizes[0] / 10


@pytest.mark.parametrize(
    ("config", "training"),
    [
        ({"head": "conv", "variational": True, "blocks": 0}, True),
        ({"norm": "batch", "dropout": 0.3}, True),
        ({}, False),
    ],
)
def test_compiles_whole(config, training):
    torch.compiler.reset()  # each model is a new graph, and there is a limit to how many one function may have
    model, x = built(1, 17, 18, **config).train(training), torch.randn(2, 1, 17, 18)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    out = compiled(x)
    assert torch.isfinite(out["prediction"]).all()
    if not training:
        torch.testing.assert_close(out["prediction"], model(x)["prediction"])


@pytest.mark.parametrize("config", VARIANTS)
def test_channels_last_computes_the_same(config):
    model, x = built(1, 16, 16, **config).eval(), torch.randn(2, 1, 16, 16)
    expected = model(x)["prediction"]
    model.to(memory_format=torch.channels_last)
    got = model(x.to(memory_format=torch.channels_last))["prediction"]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", VARIANTS)
def test_runs_on_meta_tensors(config):
    with torch.device("meta"):
        model = built(1, 63, 64, **config)
        assert model(torch.empty(2, 1, 63, 64))["prediction"].shape == (2, 1, 63, 64)


def test_bfloat16_autocast():
    model = built(1, 16, 16, variational=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(torch.randn(2, 1, 16, 16))
    assert all(torch.isfinite(t).all() for t in out.values())


def test_stage_sizes_round_up():
    assert stage_sizes(17, 8, 3) == [(17, 8), (9, 4), (5, 2), (3, 1)]


def test_softplus_output_is_positive():
    assert (built(1, 16, 16, output="softplus")(100 * torch.randn(2, 1, 16, 16))["prediction"] >= 0).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 15, 64), "at least 16 x 16, these are 15 x 64"),
        ((64, 64), "of one size"),
        ((1, None, 64), "of one size"),
    ],
)
def test_patterns_that_do_not_fit(shape, message):
    with pytest.raises(UserError, match=message):
        built(*shape, channels=[4, 4, 4, 4])


def test_a_data_set_without_input():
    with pytest.raises(UserError, match="input_a, input_b"):
        ConvAutoencoder(DataSpec({n: FieldSpec(n, (1, 8, 8)) for n in ("input_a", "input_b")}))


@pytest.mark.parametrize("config", [{"latent_dim": 0}, {"channels": []}, {"channels": [0]}, {"head": "dense"}])
def test_wrong_configuration(config):
    _, problems = Schema(ConvAutoencoder, KINDS["model"], "conv_autoencoder").validate(config)
    assert len(problems) == 1


def test_learns_two_kinds_of_patterns():
    """A few steps on noisy discs and rings: the error falls to the noise and the latents tell them apart."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.linspace(-1, 1, 16)
    r = torch.hypot(grid[:, None], grid[None, :])
    kinds = torch.stack([(r < 0.5).float(), ((r > 0.5) & (r < 0.9)).float()])
    label = torch.randint(0, 2, (64,), generator=generator)
    clean = kinds[label][:, None] * 2 - 1
    x = clean + 0.3 * torch.randn(clean.shape, generator=generator)
    model = built(1, 16, 16, channels=[8, 16])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(100):
        loss = (model(x)["prediction"] - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        error = (model.reconstruct(input=x) - clean).square().mean()
        latent = model.encode(input=x)
    assert error < 0.3**2 / 2
    means = torch.stack([latent[label == k].mean(0) for k in (0, 1)])
    assert torch.equal(torch.cdist(latent, means).argmin(1), label)


def test_hook_lists_both_models():
    assert set(stem_models()) == {"conv_autoencoder", "resnet_autoencoder"}
