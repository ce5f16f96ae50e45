from __future__ import annotations

from pathlib import Path

import pytest

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics"


@pytest.fixture
def omics() -> Path:
    if not OMICS.is_dir():
        pytest.skip("needs ../shared/data/omics")
    return OMICS
