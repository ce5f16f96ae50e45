from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from stem_paired.examples import tables
from stem_paired.joint_iwae import JointIwae
from torch.distributions import Normal, kl_divergence


def small(samples: int = 3, **config: object) -> JointIwae:
    torch.manual_seed(0)
    style = {"latent_dim": 3, "encoder": [8], "decoder": [8], "dropout": 0.0, "batch_norm": False}
    model = JointIwae(tables(7, 5), samples=samples, **{**style, **config}).double()
    with torch.no_grad():
        for scale in model.log_scales.values():
            scale.normal_(std=0.5)
    return model


def tensors(n: int = 6) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7).double(), "input_b": torch.randn(n, 5).double()}


def bound(log_weights: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])


def weights_by_hand(model: JointIwae, given: dict[str, torch.Tensor], p: str) -> np.ndarray:
    """log p(a | z) + log p(b | z) + log p(z) - log q(z | p) at the kept deviations, item by item."""
    mu, logvar = (t.detach().numpy() for t in model.encoders[p](given[f"input_{p}"]))
    found = np.empty((len(mu), model.samples))
    for k, deviation in enumerate(model.deviations[:, 0].numpy()):
        for i, (m, s) in enumerate(zip(mu, np.exp(0.5 * logvar), strict=True)):
            z = m + s * deviation
            found[i, k] = stats.norm.logpdf(z).sum() - stats.norm.logpdf(z, m, s).sum()
            for o in "ab":
                mean = model.decoders[o](torch.from_numpy(z)[None])[0].detach().numpy()
                scale = np.exp(model.log_scales[o].detach().numpy())
                found[i, k] += stats.norm.logpdf(given[f"input_{o}"][i].numpy(), mean, scale).sum()
    return found


def test_log_weights_are_those_of_scipy():
    model, given = small().eval(), tensors()
    outputs = model(**given)
    for p in "ab":
        assert outputs[f"log_weights_{p}"].shape == (6, 3)
        np.testing.assert_allclose(outputs[f"log_weights_{p}"].detach(), weights_by_hand(model, given, p), rtol=1e-10)


def test_one_sample_is_the_evidence_lower_bound():
    """E log w = E log p(a | z) + E log p(b | z) - KL(q || N(0, 1)), the divergence in closed form."""
    model, one = small(1).train(), tensors(1)
    n = 40_000
    outputs = {k: t.detach() for k, t in model(**{k: t.expand(n, -1) for k, t in one.items()}).items()}
    posterior = Normal(outputs["mu_a"][:1], torch.exp(0.5 * outputs["logvar_a"][:1]))
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum()
    likelihood = sum(
        stats.norm.logpdf(one[f"input_{p}"], outputs[name], torch.exp(model.log_scales[p]).detach()).sum(-1)
        for p, name in (("a", "recon_a"), ("b", "cross_b"))
    )
    found = bound(outputs["log_weights_a"])
    assert torch.equal(found, outputs["log_weights_a"][:, 0])
    difference = found.numpy() - likelihood  # log p(z) - log q(z | a) at the same draws
    assert abs(difference.mean() + divergence.item()) < 4.0 * difference.std() / n**0.5


def linear(samples: int) -> tuple[JointIwae, np.ndarray, np.ndarray]:
    """A probabilistic PCA of platform a, whose encoder is its exact posterior; b does not depend on the latents."""
    model = JointIwae(tables(7, 5), latent_dim=2, encoder=[], decoder=[], samples=samples).double()
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(7, 2)))[0] * [1.5, 0.7]  # orthogonal: the posterior is diagonal
    offset, variance = rng.normal(size=7), 0.3
    precision = 1.0 + (loadings**2).sum(0) / variance
    weight = loadings.T / variance / precision[:, None]
    values = {
        "decoders.a.1.weight": loadings,
        "decoders.a.1.bias": offset,
        "decoders.b.1.weight": np.zeros((5, 2)),
        "decoders.b.1.bias": np.zeros(5),
        "encoders.a.mu.weight": weight,
        "encoders.a.mu.bias": -weight @ offset,
        "encoders.a.logvar.weight": np.zeros((2, 7)),
        "encoders.a.logvar.bias": -np.log(precision),
        "log_scales.a": np.full(7, 0.5 * np.log(variance)),
    }
    model.load_state_dict({**model.state_dict(), **{n: torch.tensor(v) for n, v in values.items()}})
    return model, offset, loadings @ loadings.T + variance * np.eye(7)


@pytest.mark.parametrize("samples", [1, 4])
def test_with_the_exact_posterior_every_weight_is_the_marginal_likelihood(samples: int):
    model, mean, covariance = linear(samples)
    given = tensors()
    marginal = stats.multivariate_normal.logpdf(given["input_a"], mean, covariance)
    alone = model.train()(input_a=given["input_a"])["log_weights_a"].detach()
    np.testing.assert_allclose(alone, np.repeat(marginal[:, None], samples, axis=1), rtol=1e-9)
    both = model(**given)["log_weights_a"].detach()
    joint = marginal + stats.norm.logpdf(given["input_b"]).sum(-1)
    np.testing.assert_allclose(bound(both), joint, rtol=1e-9)


def test_more_samples_tighten_the_bound_and_never_pass_the_likelihood():
    model, mean, covariance = linear(64)
    with torch.no_grad():
        model.encoders["a"].mu.bias += 0.6
        model.encoders["a"].logvar.bias += 0.5
    x = tensors(3000)["input_a"]
    weights = model.train()(input_a=x)["log_weights_a"].detach()
    bounds = [float(bound(weights[:, :k]).mean()) for k in (1, 4, 16, 64)]
    marginal = float(stats.multivariate_normal.logpdf(x, mean, covariance).mean())
    assert bounds == sorted(bounds)
    assert bounds[0] < marginal - 0.1
    assert abs(bounds[-1] - marginal) < 0.05


def test_likelihoods_are_of_targets_and_of_measured_values():
    model, given = small().eval(), tensors()
    clean = {"target_a": tensors()["input_a"], "target_b": tensors()["input_b"]}
    mask = torch.rand(6, 7) > 0.4
    outputs = model(**given, **clean, mask_a=mask)
    z = model.several(model.encoders["b"](given["input_b"]))
    mean = model.decoders["a"](z.flatten(0, 1)).unflatten(0, (3, 6)).detach().numpy()
    each = stats.norm.logpdf(clean["target_a"].numpy(), mean, np.exp(model.log_scales["a"].detach().numpy()))
    without = model(**{**given, "mask_a": torch.zeros(6, 7, dtype=torch.bool)}, **clean)
    difference = (outputs["log_weights_b"] - without["log_weights_b"]).detach()
    np.testing.assert_allclose(difference, (each * mask.numpy()).sum(-1).T, rtol=1e-8)


def test_values_that_were_not_measured_pass_no_gradient():
    model, given = small().train(), tensors()
    mask = torch.ones(6, 7, dtype=torch.bool)
    mask[:, 2] = False
    model(**given, mask_a=mask)["log_weights_b"].sum().backward()
    gradient = model.log_scales["a"].grad
    assert gradient[2] == 0
    assert (gradient[[0, 1, 3, 4, 5, 6]] != 0).all()


def test_in_training_the_other_outputs_are_of_the_first_draw():
    model, given = small(dropout=0.0).train(), tensors()
    outputs = model(**given)
    torch.testing.assert_close(outputs["recon_a"], model.decoders["a"](outputs["latent_a"]))
    torch.testing.assert_close(outputs["cross_b"], model.decoders["b"](outputs["latent_a"]))
    assert not torch.allclose(outputs["latent_a"], outputs["mu_a"])


def test_scales_are_learned_unless_fixed():
    def gradients(**config: object) -> list[bool]:
        model = small(**config).train()
        model(**tensors())["log_weights_a"].sum().backward()
        return [scale.grad is not None for scale in model.log_scales.values()]

    assert gradients() == [True, True]
    assert gradients(learn_scale=False) == [False, False]


def test_the_bound_learns_the_scale_of_the_residuals():
    model, _, _ = linear(2)
    model.log_scales["a"].data.zero_()
    optimizer = torch.optim.Adam(model.log_scales.parameters(), lr=0.05)
    x = tensors(500)["input_a"]
    for _ in range(150):
        optimizer.zero_grad()
        (-bound(model.train()(input_a=x)["log_weights_a"]).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model.eval()(input_a=x)
        z = outputs["mu_a"][None] + torch.exp(0.5 * outputs["logvar_a"]) * torch.randn(50, 500, 2).double()
        expected = (x - model.decoders["a"](z.flatten(0, 1)).unflatten(0, (50, 500))).square().mean((0, 1)).sqrt()
    torch.testing.assert_close(model.log_scales["a"].exp().detach(), expected, rtol=0.1, atol=0)


def test_scipys_mean_weight_is_the_bound():
    weights = small().eval()(**tensors())["log_weights_b"].detach()
    np.testing.assert_allclose(bound(weights), special.logsumexp(weights.numpy(), axis=1, b=1 / 3), rtol=1e-12)
