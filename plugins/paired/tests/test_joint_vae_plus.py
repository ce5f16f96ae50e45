from __future__ import annotations

import torch
from stem_paired.examples import tables
from stem_paired.joint_vae_plus import JointVaePlus
from stem_paired.posteriors import log_gaussian, log_standard
from stem_paired.spectral import SpectralLinear
from torch import nn


def small(**config: object) -> JointVaePlus:
    torch.manual_seed(0)
    model = JointVaePlus(tables(7, 5), latent_dim=3, encoder=[8], decoder=[8], dropout=0.0, **config).double()
    for x in model.flows.parameters():
        nn.init.normal_(x)
    return model


def tensors(n: int = 6) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7).double(), "input_b": torch.randn(n, 5).double()}


def test_the_posterior_is_the_gaussian_less_the_change_of_volume_of_the_jacobian():
    model = small().train()
    outputs = model(**tensors())
    flow = model.flows["a"]
    jacobians = [torch.autograd.functional.jacobian(lambda z: flow(z)[0], z) for z in outputs["base_a"].detach()]
    _, volume = torch.linalg.slogdet(torch.stack(jacobians))
    base = log_gaussian(outputs["base_a"], outputs["mu_a"], outputs["logvar_a"])
    torch.testing.assert_close(outputs["log_posterior_a"], base - volume)
    torch.testing.assert_close(outputs["log_prior_a"], log_standard(outputs["latent_a"]))
    torch.testing.assert_close(outputs["latent_a"], flow(outputs["base_a"])[0])


def test_the_posterior_integrates_to_one():
    model = JointVaePlus(tables(7, 5), latent_dim=1, encoder=[8], decoder=[8]).double().eval()
    torch.manual_seed(1)
    for x in model.flows.parameters():
        nn.init.normal_(x)
    codes = model.codes({"a": tensors(1)["input_a"], "b": None})
    draw = model.carried("a", torch.linspace(-40, 40, 200_001).double()[:, None, None])
    density = torch.exp(model.log_posterior("a", codes, draw))[:, 0]
    torch.testing.assert_close(
        torch.trapezoid(density, draw.latents[:, 0, 0]), torch.ones(()).double(), atol=1e-4, rtol=0
    )


def test_imputation_decodes_the_flow_of_the_mean():
    model, given = small().eval(), tensors()
    outputs = model(**given)
    carried, _ = model.flows["a"](outputs["mu_a"])
    torch.testing.assert_close(outputs["latent_a"], carried)
    found = model.impute(input_a=given["input_a"])["input_b"]
    torch.testing.assert_close(found, model.decoders["b"](carried))
    assert not torch.allclose(carried, outputs["mu_a"])


def test_hidden_layers_alone_are_normalised():
    model = small()
    normed = {n for n, m in model.named_modules() if isinstance(m, SpectralLinear)}
    free = {n for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    ends = {f"encoders.{p}.{head}" for p in "ab" for head in ("mu", "logvar")} | {f"decoders.{p}.1" for p in "ab"}
    assert free == ends
    assert len(normed) == 8
    assert not any(isinstance(m, SpectralLinear) for m in small(spectral_norm=False).modules())


def test_without_flows_latents_are_those_of_the_gaussian():
    outputs = small(flows=0).train()(**tensors())
    assert torch.equal(outputs["latent_b"], outputs["base_b"])
