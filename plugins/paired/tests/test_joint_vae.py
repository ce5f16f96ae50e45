from __future__ import annotations

import numpy as np
import torch
from stem_paired.examples import tables
from stem_paired.joint_vae import JointVae

State = dict[str, np.ndarray]


def small(**config: object) -> JointVae:
    torch.manual_seed(0)
    model = JointVae(tables(7, 5), latent_dim=3, encoder=[8, 8], decoder=[6], **config).double()
    # Batch statistics that are not those of a new model.
    for _ in range(3):
        model.train()(torch.randn(20, 7).double() * 2 + 1, torch.randn(20, 5).double())
    return model.eval()


def layer(x: np.ndarray, state: State, name: str) -> np.ndarray:
    """activation(norm(W x + b) + shortcut(x)), written out."""
    y = x @ state[f"{name}.linear.weight"].T + state[f"{name}.linear.bias"]
    mean, variance = state[f"{name}.norm.running_mean"], state[f"{name}.norm.running_var"]
    y = (y - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.norm.weight"] + state[f"{name}.norm.bias"]
    shortcut = f"{name}.shortcut.weight"
    y = y + (x @ state[shortcut].T if shortcut in state else x)
    return np.where(y > 0, y, 0.2 * y)


def encoded(x: np.ndarray, state: State, p: str) -> tuple[np.ndarray, np.ndarray]:
    for i in range(2):
        x = layer(x, state, f"encoders.{p}.hidden.{i}")
    heads = [x @ state[f"encoders.{p}.{h}.weight"].T + state[f"encoders.{p}.{h}.bias"] for h in ("mu", "logvar")]
    return heads[0], np.clip(heads[1], -10, 10)


def decoded(z: np.ndarray, state: State, p: str) -> np.ndarray:
    z = layer(z, state, f"decoders.{p}.0.0")
    return z @ state[f"decoders.{p}.1.weight"].T + state[f"decoders.{p}.1.bias"]


def test_forward_is_that_of_numpy():
    model = small()
    state = {n: t.numpy() for n, t in model.state_dict().items()}
    a, b = np.random.default_rng(0).normal(size=(4, 7)), np.random.default_rng(1).normal(size=(4, 5))
    mu, logvar = {}, {}
    for p, x in (("a", a), ("b", b)):
        mu[p], logvar[p] = encoded(x, state, p)
    expected = {
        "latent": (mu["a"] + mu["b"]) / 2,
        **{f"{n}_{p}": v[p] for n, v in (("mu", mu), ("latent", mu), ("logvar", logvar)) for p in "ab"},
        "recon_a": decoded(mu["a"], state, "a"),
        "recon_b": decoded(mu["b"], state, "b"),
        "cross_a": decoded(mu["b"], state, "a"),
        "cross_b": decoded(mu["a"], state, "b"),
    }
    with torch.no_grad():
        found = model(torch.from_numpy(a), torch.from_numpy(b))
    assert set(found) == set(expected) == set(model.provides())
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_model_has_no_shortcut_where_widths_are_equal_and_none_at_all_without():
    assert {n for n in small().state_dict() if "shortcut" in n} == {
        f"{part}.shortcut.weight"
        for part in ("encoders.a.hidden.0", "encoders.b.hidden.0", "decoders.a.0.0", "decoders.b.0.0")
    }
    assert not [n for n in small(residual=False).state_dict() if "shortcut" in n]


def test_latents_are_drawn_in_training_from_the_posterior_of_the_same_pass():
    model = small(dropout=0.0).train()
    a, b = torch.randn(4000, 7).double(), torch.randn(4000, 5).double()
    outputs = model(a, b)
    deviations = (outputs["latent_a"] - outputs["mu_a"]) * torch.exp(-0.5 * outputs["logvar_a"])
    torch.testing.assert_close(deviations.mean(), torch.zeros(()).double(), atol=0.04, rtol=0)
    torch.testing.assert_close(deviations.var(), torch.ones(()).double(), atol=0.05, rtol=0)
    torch.testing.assert_close(outputs["latent"], (outputs["mu_a"] + outputs["mu_b"]) / 2)
