from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from stem_paired.examples import tables
from stem_paired.joint_mm import JointMm
from stem_paired.posteriors import log_standard


def small() -> JointMm:
    torch.manual_seed(0)
    return JointMm(tables(7, 5), latent_dim=4, encoder=[8], decoder=[8], dropout=0.0).double()


def tensors(n: int = 6) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7).double(), "input_b": torch.randn(n, 5).double()}


def test_the_posterior_of_both_is_half_of_each():
    outputs = {n: t.detach() for n, t in small().train()(**tensors()).items()}
    experts = {p: (outputs[f"mu_{p}"], torch.exp(0.5 * outputs[f"logvar_{p}"])) for p in "ab"}
    for p in "ab":
        densities = [stats.norm.pdf(outputs[f"latent_{p}"], mu, sigma).prod(-1) for mu, sigma in experts.values()]
        np.testing.assert_allclose(outputs[f"log_posterior_{p}"], np.log(0.5 * densities[0] + 0.5 * densities[1]))
        torch.testing.assert_close(outputs[f"log_prior_{p}"], log_standard(outputs[f"latent_{p}"]))


def test_the_posterior_of_one_is_its_expert():
    model, given = small().train(), tensors()
    outputs = {n: t.detach() for n, t in model(input_b=given["input_b"]).items()}
    expected = stats.norm.logpdf(outputs["latent_b"], outputs["mu_b"], torch.exp(0.5 * outputs["logvar_b"])).sum(-1)
    np.testing.assert_allclose(outputs["log_posterior_b"], expected)


def test_gradients_of_the_mixture_reach_both_encoders():
    model = small().train()
    model(**tensors())["log_posterior_a"].sum().backward()
    for p in "ab":
        assert model.encoders[p].logvar.weight.grad.abs().sum() > 0
