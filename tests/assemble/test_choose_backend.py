"""Which backend a recipe gets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stemcore import UserError, load_recipe
from stemcore.assemble.backend import choose_backend
from stemcore.plugins.catalogue import catalogue

BACKENDS = '''
from stemcore import Backend, hookimpl

class Cracked(Backend):
    """Raises when it is asked."""

    priority = 1000

    @classmethod
    def available(cls):
        raise OSError("no driver")

    @classmethod
    def describe(cls):
        return "never said"

    def accelerator(self):
        return "cpu"

class Away(Cracked):
    """Says why it is not there."""

    @classmethod
    def available(cls):
        return False

    @classmethod
    def describe(cls):
        return "it is unplugged"

@hookimpl
def stem_backends():
    return {"cracked": "own_backends:Cracked", "away": "own_backends:Away"}
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_backends.py").write_text(BACKENDS)
    information = tmp_path / "own-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[stemcore]\nown = own_backends\n")
    monkeypatch.syspath_prepend(tmp_path)
    catalogue.cache_clear()
    yield
    sys.modules.pop("own_backends", None)
    catalogue.cache_clear()


def chosen(recipe: dict[str, Any], backend: str) -> str:
    return type(choose_backend(load_recipe({**recipe, "backend": backend}))).__name__


def test_one_that_cannot_say_stops_nobody_else(small: Callable[..., dict[str, Any]], own: None) -> None:
    assert chosen(small(), "cpu") == "CpuBackend"
    assert chosen(small(), "auto") != "Cracked"


@pytest.mark.parametrize(("name", "why"), [("cracked", "OSError: no driver"), ("away", "it is unplugged")])
def test_one_that_is_asked_for_says_why_not(
    small: Callable[..., dict[str, Any]], own: None, name: str, why: str
) -> None:
    with pytest.raises(UserError, match=f"backend '{name}' is not available: {why}.*available here: cpu"):
        chosen(small(), name)
