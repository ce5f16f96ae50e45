from __future__ import annotations

import pytest
import torch
from stem_paired.autoencoder import PairedAutoencoder
from stem_paired.examples import tables
from stem_paired.generative_vae import GenerativeVae
from stem_paired.joint_iwae import JointIwae
from stem_paired.joint_mm import JointMm
from stem_paired.joint_vae import JointVae
from stem_paired.joint_vae_plus import JointVaePlus
from stem_paired.joint_vae_vampprior import JointVaeVampPrior
from stem_paired.joint_vq import JointVq

from stemcore import UserError

A, B, LATENT, HIDDEN = 11, 6, 4, 16
EXTRA = {
    JointVae: {},
    JointVaePlus: {"flows": 3},
    JointVaeVampPrior: {"pseudo_inputs": 7},
    JointIwae: {"samples": 3},
    JointVq: {"codes": 8, "groups": 2},
    JointMm: {},
}
DRAWN = [m for m in EXTRA if m is not JointVq]
Kind = type[PairedAutoencoder]


def model(kind: Kind, **config: object) -> PairedAutoencoder:
    torch.manual_seed(0)
    small = {"latent_dim": LATENT, "encoder": [HIDDEN], "decoder": [HIDDEN], **EXTRA.get(kind, {}), **config}
    return kind(tables(A, B), **small)


def fields(n: int = 9) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(1)
    return {"input_a": torch.randn(n, A, generator=made), "input_b": torch.randn(n, B, generator=made)}


def linear(i: int, o: int) -> int:
    return i * o + o


def layer(i: int, o: int) -> int:
    """A linear layer, a norm of two numbers a value, and a shortcut where widths differ."""
    return linear(i, o) + 2 * o + (i * o if i != o else 0)


def decoders(a: int, b: int, latent: int, hidden: int) -> int:
    return sum(layer(latent, hidden) + linear(hidden, n) for n in (a, b))


def counted(kind: Kind, a: int, b: int, latent: int, wide: int, narrow: int, **extra: int) -> int:
    heads = 1 if kind is JointVq else 2
    shared = sum(layer(n, wide) + heads * linear(wide, latent) for n in (a, b)) + decoders(a, b, latent, narrow)
    return shared + {
        JointVaePlus: 2 * extra.get("flows", 0) * (2 * latent + 1),
        JointVaeVampPrior: extra.get("pseudo_inputs", 0) * (a + b),
        JointIwae: a + b,
        JointVq: extra.get("codes", 0) * latent,
    }.get(kind, 0)


DEFAULTS = {JointVaePlus: {"flows": 4}, JointVaeVampPrior: {"pseudo_inputs": 500}, JointVq: {"codes": 512}}


@pytest.mark.parametrize("kind", EXTRA)
def test_parameters_by_default_and_small(kind: Kind):
    with torch.device("meta"):
        default = kind(tables(645, 423))
    wanted = counted(kind, 645, 423, 128, 1024, 512, **DEFAULTS.get(kind, {}))
    assert sum(p.numel() for p in default.parameters()) == wanted
    small = sum(p.numel() for p in model(kind).parameters())
    assert small == counted(kind, A, B, LATENT, HIDDEN, HIDDEN, **EXTRA[kind])


def test_joint_vae_by_default_on_the_platforms_of_the_shared_tumours():
    # Worked out by hand: encoders 1,586,432 and 1,131,776, decoders 463,493 and 349,607.
    with torch.device("meta"):
        found = {
            f"{name}_{p}": sum(x.numel() for x in part[p].parameters()) for name, part in parts().items() for p in part
        }
    assert found == {"encoder_a": 1_586_432, "encoder_b": 1_131_776, "decoder_a": 463_493, "decoder_b": 349_607}


def parts() -> dict[str, torch.nn.ModuleDict]:
    whole = JointVae(tables(645, 423))
    return {"encoder": whole.encoders, "decoder": whole.decoders}


@pytest.mark.parametrize("kind", EXTRA)
def test_one_platform_alone_gives_what_both_give_of_it(kind: Kind):
    trial = model(kind).eval()
    both, alone = trial(**fields()), trial(input_a=fields()["input_a"])
    for name in ("latent_a", "recon_a", "cross_b"):
        torch.testing.assert_close(alone[name], both[name])
    torch.testing.assert_close(alone["latent"], both["latent_a"])
    torch.testing.assert_close(both["latent"], (both["latent_a"] + both["latent_b"]) / 2)
    assert not {"recon_b", "cross_a", "latent_b"} & set(alone)


@pytest.mark.parametrize("kind", EXTRA)
def test_no_platform_is_refused(kind: Kind):
    with pytest.raises(UserError, match="neither input_a nor input_b"):
        model(kind)()


@pytest.mark.parametrize("kind", EXTRA)
def test_imputing_is_the_cross_decoding_of_forward_and_the_same_every_time(kind: Kind):
    trial, given = model(kind).eval(), fields()
    outputs = trial(**given)
    for p, other in (("a", "b"), ("b", "a")):
        found = trial.impute(**{f"input_{p}": given[f"input_{p}"]})
        assert list(found) == [f"input_{other}"]
        torch.testing.assert_close(found[f"input_{other}"], outputs[f"cross_{other}"])


@pytest.mark.parametrize("kind", DRAWN)
def test_draws_differ_and_their_latents_lie_about_the_mean(kind: Kind):
    trial, given = model(kind).eval(), {"input_a": fields()["input_a"]}
    torch.manual_seed(0)
    first, second = (trial.impute(True, **given)["input_b"] for _ in range(2))
    assert not torch.allclose(first, second)
    torch.manual_seed(0)
    torch.testing.assert_close(trial.impute(True, **given)["input_b"], first)
    with torch.no_grad():
        trial.encoders["a"].logvar.weight.zero_()
        trial.encoders["a"].logvar.bias.fill_(-10.0)
    torch.testing.assert_close(trial.impute(True, **given), trial.impute(**given), atol=0.05, rtol=0)


@pytest.mark.parametrize("given", [("input_a", "input_b"), ()])
def test_imputing_starts_from_one_platform(given: tuple[str, ...]):
    with pytest.raises(UserError, match="starts from one platform"):
        model(JointVae).eval().impute(**{n: fields()[n] for n in given})


def test_there_is_no_single_reconstruction():
    with pytest.raises(UserError, match="two platforms"):
        model(JointVae).reconstruct(**fields())


@pytest.mark.parametrize("kind", [*EXTRA, GenerativeVae])
def test_every_parameter_learns_from_what_losses_use(kind: Kind):
    trial = model(kind).train()
    outputs = trial(**fields())
    # What is left are the parameters that only terms of their own reach.
    names = ["recon_a", "recon_b", "cross_a", "cross_b"]
    sum(outputs[n].square().sum() for n in names).backward()
    lost = {n.split(".")[0] for n, x in trial.named_parameters() if x.grad is None}
    own = {JointVaeVampPrior: {"pseudo_inputs"}, JointIwae: {"log_scales"}, JointVq: {"quantizer"}}
    assert lost - {"diffusions"} == own.get(kind, set())


@pytest.mark.parametrize("kind", EXTRA)
def test_cross_decoding_trains_the_encoder_of_one_platform_and_the_decoder_of_the_other(kind: Kind):
    trial = model(kind).train()
    trial(**fields())["cross_b"].square().sum().backward()

    def learns(module: torch.nn.Module) -> bool:
        return any(x.grad is not None and x.grad.abs().sum() > 0 for x in module.parameters())

    assert {p for p in "ab" if learns(trial.encoders[p])} == {"a"}
    assert {p for p in "ab" if learns(trial.decoders[p])} == {"b"}


@pytest.mark.parametrize("kind", EXTRA)
def test_a_batch_of_one_in_training_is_finite_and_leaves_the_statistics_alone(kind: Kind):
    trial = model(kind).train()
    statistics = {n: t.clone() for n, t in trial.state_dict().items() if "running_mean" in n and "encoders" in n}
    outputs = trial(**fields(1))
    assert all(torch.isfinite(t).all() for t in outputs.values())
    assert all(torch.equal(trial.state_dict()[n], t) for n, t in statistics.items())


@pytest.mark.parametrize("kind", EXTRA)
def test_half_precision_leaves_posteriors_single(kind: Kind):
    trial = model(kind).train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = trial(**fields())
    decoded = {n for n, t in outputs.items() if t.dtype == torch.bfloat16}
    assert decoded == {"recon_a", "recon_b", "cross_a", "cross_b"}
