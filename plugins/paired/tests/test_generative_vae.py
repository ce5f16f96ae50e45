"""The joint autoencoder that draws."""

from __future__ import annotations

import pytest
import torch
from stem_paired.examples import tables
from stem_paired.generative_vae import GenerativeVae
from stem_paired.joint_vae import JointVae
from torch import Tensor
from torch.nn import functional

from stemcore import UserError

SMALL = {"latent_dim": 4, "encoder": [16], "decoder": [10]}
DIFFUSION = {**SMALL, "decoder_type": "diffusion", "steps": 8, "draws": 3, "denoiser": [9, 6], "time_dim": 4}
GAN = {**SMALL, "decoder_type": "gan", "noise_dim": 3, "critic": [8, 5]}
A, B = 12, 7


def made(config: dict[str, object]) -> tuple[GenerativeVae, Tensor, Tensor]:
    torch.manual_seed(0)
    return GenerativeVae(tables(A, B), **config), torch.randn(6, A), torch.randn(6, B)


def weights(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_the_number_of_parameters() -> None:
    base = weights(JointVae(tables(A, B), **SMALL))

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    predictors = sum(
        linear(n + 4 + 4, 9) + (n + 8) * 9 + linear(9, 6) + 9 * 6 + linear(6, n) for n in (A, B)
    )  # with shortcuts, whose widths differ here
    assert weights(made(DIFFUSION)[0]) == base + predictors
    noisy = 2 * (3 * 10 + 3 * 10)  # wider first layers of two decoders, their shortcuts too
    critics = sum(linear(n, 8) + linear(8, 5) + linear(5, 1) for n in (A, B))
    assert weights(made(GAN)[0]) == base + noisy + critics


@pytest.mark.parametrize("config", [DIFFUSION, GAN], ids=["diffusion", "gan"])
def test_imputing_is_the_mean_unless_draws_are_asked_for(config: dict[str, object]) -> None:
    model, a, b = made(config)
    model.eval()
    found = model.impute(input_a=a)["input_b"]
    assert torch.equal(found, model.impute(input_a=a)["input_b"])
    assert torch.equal(found, model(input_a=a, input_b=b)["cross_b"])
    draws = [model.impute(True, input_b=b)["input_a"] for _ in range(2)]
    assert draws[0].shape == (6, A)
    assert not torch.equal(draws[0], draws[1])
    with pytest.raises(UserError, match="imputing starts from one platform"):
        model.impute(True, input_a=a, input_b=b)


def test_draws_of_a_diffusion_depend_on_what_was_measured() -> None:
    model, a, _ = made(DIFFUSION)
    model.eval()
    torch.manual_seed(1)
    first = model.impute(True, input_a=a)["input_b"]
    torch.manual_seed(1)
    other = model.impute(True, input_a=a + 1)["input_b"]
    assert not torch.allclose(first, other, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "alone"),
    [
        (DIFFUSION, {"noise_a", "noise_prediction_a"}),
        (GAN, {"real_score_a", "fake_score_b", "fake_score_detached_b"}),
    ],
    ids=["diffusion", "gan"],
)
def test_one_platform_alone_gives_what_it_can(config: dict[str, object], alone: set[str]) -> None:
    model, a, _ = made(config)
    assert model(input_a=a).keys() == {"mu_a", "logvar_a", "latent_a", "latent", "recon_a", "cross_b"} | alone


def test_the_noise_of_a_platform_is_seen_from_its_own_latents_and_from_those_of_the_other() -> None:
    model, a, b = made(DIFFUSION)
    model.eval()
    out = model(input_a=a, input_b=b)
    xt, t, noise = model.diffusions["a"].noised(a)
    assert torch.equal(out["noise_a"], noise)
    torch.testing.assert_close(out["noise_prediction_a"], model.diffusions["a"](xt, t, out["latent_a"]))
    torch.testing.assert_close(out["noise_cross_a"], model.diffusions["a"](xt, t, out["latent_b"]))
    assert not torch.allclose(out["noise_cross_a"], out["noise_prediction_a"])


def reached(model: GenerativeVae, score: Tensor) -> set[str]:
    model.zero_grad()
    functional.softplus(score).mean().backward(retain_graph=True)
    return {n.split(".")[0] + "." + n.split(".")[1] for n, p in model.named_parameters() if p.grad is not None}


def test_each_score_reaches_the_rival_that_it_is_for() -> None:
    """So that also one optimizer for both would not mix them up."""
    model, a, b = made(GAN)
    out = model(input_a=a, input_b=b)
    torch.testing.assert_close(out["fake_score_a"], out["fake_score_detached_a"])
    torch.testing.assert_close(out["fake_score_a"], model.critics["a"](out["cross_a"]))
    torch.testing.assert_close(out["real_score_a"], model.critics["a"](a))
    assert reached(model, out["fake_score_a"]) == {"encoders.b", "decoders.a"}
    assert reached(model, out["fake_score_detached_a"]) == {"critics.a"}
    assert reached(model, out["real_score_a"]) == {"critics.a"}


def test_what_follows_from_the_configuration_is_not_stored() -> None:
    state = made(DIFFUSION)[0].state_dict()
    assert not [n for n in state if n.endswith(("beta", "alpha_bar", "alpha_bar_before", ".noise"))]
    assert any(n.endswith("noise.weight") for n in state)
