from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from stem_figures import plugin

from stemcore import Figure
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema

OFFERS = plugin.stem_figures()


@pytest.mark.parametrize("name", OFFERS)
def test_every_name_is_a_figure_built_from_its_defaults(name):
    module, _, attribute = OFFERS[name].partition(":")
    schema = Schema(getattr(import_module(module), attribute), KINDS["figure"], name)
    arguments, problems = schema.validate({})
    assert not problems
    figure = schema.build(**arguments)
    assert isinstance(figure, Figure)
    assert callable(figure.draw)
    assert schema.summary


def test_no_picture_touches_pyplot():
    modules = ", ".join(target.partition(":")[0] for target in OFFERS.values())
    code = f"import sys, {modules}; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_listing_figures_does_not_import_matplotlib():
    code = "import sys, stem_figures.plugin; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
