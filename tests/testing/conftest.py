from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from stemcore.plugins.catalogue import catalogue


@pytest.fixture(autouse=True)
def _path_as_before() -> Iterator[None]:
    """Plugins that a test writes and puts on the path are gone after it."""
    before, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        if name.startswith("mutant_"):
            del sys.modules[name]
    catalogue.cache_clear()
