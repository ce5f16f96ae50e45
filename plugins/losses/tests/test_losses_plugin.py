from __future__ import annotations

import inspect

import pytest
from stem_losses.plugin import stem_losses

from stemcore import Loss
from stemcore.plugins.catalogue import catalogue

CONFIGURATION = {
    "mse": {},
    "l1": {},
    "huber": {"delta": 1.0},
    "ssim": {"data_range": "pattern"},
    "scale_aligned": {},
    "poisson_nll": {"eps": 0.1, "full": False},
    "iwae": {},
    "adversarial_generator": {"mode": "nonsaturating"},
    "adversarial_critic": {"mode": "nonsaturating"},
}
WANTED = {
    "iwae": ["log_weights"],
    "adversarial_generator": ["fake_score"],
    "adversarial_critic": ["real_score", "fake_score_detached"],
}


def test_the_plugin_offers_these():
    assert stem_losses().keys() == CONFIGURATION.keys()


@pytest.mark.parametrize("name", CONFIGURATION)
def test_schema_and_signature(name):
    schema = catalogue().schema(catalogue().find("loss", f"losses/{name}"))
    arguments, problems = schema.validate({})
    assert not problems
    assert arguments == CONFIGURATION[name]
    loss = schema.build(**arguments)
    assert isinstance(loss, Loss)
    assert list(inspect.signature(loss.forward).parameters) == WANTED.get(name, ["prediction", "target", "mask"])
    assert not list(loss.parameters())
    assert schema.summary


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("huber", {"delta": 0}),
        ("huber", {"delta": "1"}),
        ("ssim", {"data_range": "image"}),
        ("ssim", {"data_range": -1.0}),
        ("ssim", {"data_range": True}),
        ("poisson_nll", {"eps": 0.0}),
        ("poisson_nll", {"full": 1}),
        ("mse", {"reduction": "sum"}),
        ("adversarial_critic", {"mode": "wasserstein"}),
    ],
)
def test_wrong_configuration_is_refused(name, wrong):
    _, problems = catalogue().schema(catalogue().find("loss", f"losses/{name}")).validate(wrong)
    assert problems


def test_each_parameter_is_described():
    for name in CONFIGURATION:
        schema = catalogue().schema(catalogue().find("loss", f"losses/{name}"))
        assert all(f.description for f in schema.model.model_fields.values())
