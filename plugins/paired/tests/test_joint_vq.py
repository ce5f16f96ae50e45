from __future__ import annotations

import pytest
import torch
from stem_paired.examples import tables
from stem_paired.joint_vq import JointVq

from stemcore import UserError


def small(**config: object) -> JointVq:
    torch.manual_seed(0)
    given = {"latent_dim": 6, "encoder": [8], "decoder": [8], "dropout": 0.0, "codes": 5, "groups": 3, **config}
    return JointVq(tables(7, 5), **given)


def tensors(n: int = 30) -> dict[str, torch.Tensor]:
    return {"input_a": torch.randn(n, 7), "input_b": torch.randn(n, 5)}


def test_latents_are_entries_of_the_codebooks_that_both_platforms_share():
    model = small().train()
    outputs = model(**tensors())
    for p in "ab":
        codes = outputs[f"codes_{p}"]
        assert codes.shape == (30, 3)
        assert codes.dtype == torch.int64
        entries = torch.stack([model.quantizer.codebook[g, codes[:, g]] for g in range(3)], dim=1).flatten(1)
        assert torch.equal(outputs[f"quantized_{p}"], entries)
        torch.testing.assert_close(outputs[f"latent_{p}"], entries)
    torch.testing.assert_close(outputs["latent"], (outputs["latent_a"] + outputs["latent_b"]) / 2)


def test_reconstruction_reaches_the_encoder_and_the_codebook_loss_the_codebook_alone():
    model, given = small().train(), tensors()
    model(**given)["cross_b"].square().sum().backward()
    assert model.encoders["a"][1].weight.grad.abs().sum() > 0
    assert model.quantizer.codebook.grad is None or not model.quantizer.codebook.grad.any()
    model.zero_grad()
    outputs = model(**given)
    (outputs["quantized_a"] - outputs["encoded_a"].detach()).square().mean().backward()
    assert model.quantizer.codebook.grad.abs().sum() > 0
    assert all(x.grad is None for x in model.encoders.parameters())


def test_moving_means_are_buffers_that_follow_once_for_each_platform_in_a_pass():
    model, given = small(ema=True, ema_decay=0.5).train(), tensors()
    assert "quantizer.codebook" not in dict(model.named_parameters())
    outputs = model(**given)
    expected = 1.0
    for p in "ab":
        chosen = torch.nn.functional.one_hot(outputs[f"codes_{p}"], 5).sum(0).float()
        expected = 0.5 * expected + 0.5 * chosen
    torch.testing.assert_close(model.quantizer.counts, expected)
    assert not outputs["quantized_a"].requires_grad
    state = model.eval().quantizer.codebook.clone()
    model(**given)
    assert torch.equal(model.quantizer.codebook, state)


def test_one_group_is_one_code_for_an_item():
    assert small(groups=1).train()(**tensors())["codes_b"].shape == (30, 1)


def test_groups_that_do_not_divide_the_latents_are_refused():
    with pytest.raises(UserError, match="latent_dim 6 cannot be cut into 4 equal groups"):
        small(groups=4)


def test_draws_are_refused():
    with pytest.raises(UserError, match="nothing to draw from"):
        small().eval().impute(True, input_a=tensors()["input_a"])
