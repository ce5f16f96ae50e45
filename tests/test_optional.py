from __future__ import annotations

import sys

import pytest

from stemcore import UserError, optional_module


def test_a_module_that_is_there_is_imported():
    assert optional_module("json.decoder", "reading", install="stem-tv") is sys.modules["json.decoder"]


def test_what_is_missing_is_said_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.geometry", None)
    with pytest.raises(UserError, match=r"turning needs kornia; pip install 'stem-tv\[images\]'"):
        optional_module("kornia.geometry", "turning", install="stem-tv[images]")
