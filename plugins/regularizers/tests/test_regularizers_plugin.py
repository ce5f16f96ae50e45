from __future__ import annotations

import inspect

import pytest
import torch
from stem_regularizers.plugin import stem_losses
from torch import nn

from stemcore import Loss
from stemcore.plugins.catalogue import catalogue

CONFIGURATION = {
    "lp": ({"p": 1.0, "reduction": "sum"}, ["latent"]),
    "contrastive": ({"mode": "infonce", "temperature": 0.1, "margin": 0.5}, ["latent"]),
    "divergence": ({"mode": "inverse_variance", "eps": 1e-8}, ["latent"]),
    "l2": ({"target": "weights"}, ["model", "latent"]),
    "kl": ({"reduction": "sum"}, ["latent", "mu", "logvar"]),
    "kl_monte_carlo": ({"free_bits": 0.0}, ["log_posterior", "log_prior"]),
    "alignment_kl": ({"reduction": "sum"}, ["mu_a", "logvar_a", "mu_b", "logvar_b"]),
    "mmd": ({"bandwidth": 1.0, "unbiased": True}, ["first", "second"]),
    "total_correlation": ({"dataset_size": None}, ["latent", "mu", "logvar"]),
    "vq_commitment": ({}, ["encoded", "quantized"]),
    "vq_codebook": ({}, ["encoded", "quantized"]),
}


def test_the_plugin_offers_these():
    assert stem_losses().keys() == CONFIGURATION.keys()


@pytest.mark.parametrize("name", CONFIGURATION)
def test_schema_and_signature(name):
    schema = catalogue().schema(catalogue().find("loss", f"regularizers/{name}"))
    configuration, wanted = CONFIGURATION[name]
    arguments, problems = schema.validate({})
    assert not problems
    assert arguments == configuration
    loss = schema.build(**arguments)
    assert isinstance(loss, Loss)
    assert list(inspect.signature(loss.forward).parameters) == wanted
    assert schema.summary
    assert all(f.description for f in schema.model.model_fields.values())


@pytest.mark.parametrize("name", CONFIGURATION)
def test_runs_on_meta_tensors(name):
    loss = catalogue().schema(catalogue().find("loss", f"regularizers/{name}")).build()
    rows = torch.empty(4, 8, device="meta")
    wanted = CONFIGURATION[name][1]
    given = [nn.Linear(8, 8, device="meta") if argument == "model" else rows for argument in wanted]
    assert loss(*given).shape == ()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("lp", {"p": 0}),
        ("lp", {"p": True}),
        ("lp", {"reduction": "none"}),
        ("contrastive", {"mode": "triplet"}),
        ("contrastive", {"temperature": 0.0}),
        ("contrastive", {"margin": 1.0}),
        ("divergence", {"eps": 0}),
        ("l2", {"target": "biases"}),
        ("kl", {"beta": 4}),
        ("kl", {"reduction": "none"}),
        ("kl_monte_carlo", {"free_bits": -1.0}),
        ("mmd", {"bandwidth": 0.0}),
        ("mmd", {"bandwidth": []}),
        ("mmd", {"bandwidth": [1.0, -1.0]}),
        ("mmd", {"bandwidth": "mean"}),
        ("mmd", {"unbiased": 1}),
        ("total_correlation", {"dataset_size": 0}),
    ],
)
def test_wrong_configuration_is_refused(name, wrong):
    _, problems = catalogue().schema(catalogue().find("loss", f"regularizers/{name}")).validate(wrong)
    assert problems
