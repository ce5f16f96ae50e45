from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from stem_metrics import plugin

from stemcore import Metric
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema

OFFERS = plugin.stem_metrics()


@pytest.mark.parametrize("name", OFFERS)
def test_every_name_is_a_metric_built_from_its_defaults(name):
    module, _, attribute = OFFERS[name].partition(":")
    schema = Schema(getattr(import_module(module), attribute), KINDS["metric"], name)
    arguments, problems = schema.validate({})
    assert not problems
    metric = schema.build(**arguments)
    assert isinstance(metric, Metric)
    assert {"min", "max"} & set(metric.reports().values())
    assert schema.summary
    assert all(field.description for field in schema.model.model_fields.values())


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("center_mse", {"size": 0}),
        ("psnr", {"cap": -1}),
        ("split_half", {"score": "mse"}),
        ("ssim", {"sigma": 0}),
        ("r2", {"by": "pixel"}),
        ("perplexity", {"size": 0}),
        ("perplexity", {"shared": 1}),
    ],
)
def test_wrong_values_are_refused(name, config):
    module, _, attribute = OFFERS[name].partition(":")
    schema = Schema(getattr(import_module(module), attribute), KINDS["metric"], name)
    assert len(schema.validate(config)[1]) == 1


def test_listing_metrics_does_not_import_torch():
    code = "import sys, stem_metrics.plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
