from __future__ import annotations

import numpy as np
import torch
from scipy import special, stats
from stem_paired.examples import tables
from stem_paired.joint_vae_vampprior import JointVaeVampPrior


def small(pseudo_inputs: int = 9) -> JointVaeVampPrior:
    torch.manual_seed(0)
    return JointVaeVampPrior(
        tables(7, 5), latent_dim=4, encoder=[8], decoder=[8], dropout=0.3, pseudo_inputs=pseudo_inputs
    )


def tensors(n: int = 6) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7), "input_b": torch.randn(n, 5)}


def test_the_prior_is_the_mixture_of_the_posteriors_in_use():
    model = small()
    for _ in range(3):
        model.train()(**tensors(20))
    outputs = model(**tensors())
    seen = outputs["log_prior_b"].detach()
    model.eval()
    with torch.no_grad():
        mu, logvar = model.encoders["b"](model.pseudo_inputs["b"])
    z = outputs["latent_b"].detach()
    each = stats.norm.logpdf(z.numpy()[:, None], mu.numpy(), np.exp(0.5 * logvar.numpy())).sum(-1)
    np.testing.assert_allclose(seen, special.logsumexp(each, axis=1) - np.log(9), rtol=1e-4)


def test_gradients_reach_every_pseudo_input():
    model = small().train()
    outputs = model(**tensors(30))
    (
        outputs["log_posterior_a"] - outputs["log_prior_a"] + outputs["log_posterior_b"] - outputs["log_prior_b"]
    ).mean().backward()
    for p in "ab":
        gradient = model.pseudo_inputs[p].grad
        assert torch.isfinite(gradient).all()
        assert (gradient.abs().sum(dim=1) > 0).all()


def test_a_step_on_the_prior_alone_brings_it_nearer_to_the_latents():
    model = small().train()
    latents = torch.randn(40, 4) + 2.0
    optimizer = torch.optim.Adam(model.pseudo_inputs.parameters(), lr=0.05)
    before = model.log_prior("a", latents).mean()
    for _ in range(20):
        optimizer.zero_grad()
        (-model.log_prior("a", latents).mean()).backward()
        optimizer.step()
    assert model.log_prior("a", latents).mean() > before + 0.5


def test_pseudo_inputs_leave_no_trace_in_the_statistics_of_the_data_nor_in_chance():
    model = small().train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    first, second = (model.log_prior("a", torch.zeros(3, 4)) for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(m.training for m in model.modules())


def test_pseudo_inputs_begin_on_the_scale_of_standardised_data():
    values = small(200).pseudo_inputs["a"].detach()
    assert values.shape == (200, 7)
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1.0) < 0.1
