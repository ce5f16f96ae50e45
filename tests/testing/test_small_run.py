"""Examples of components that are given a run: contract checks of a model that uses another."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemcore import DataSpec, FieldSpec, load_run
from stemcore.testing import ModelExample, small_run
from stemcore.testing.outcome import outcome_of
from stemcore.testing.promises import checks_of
from stemcore.testing.standard import image_spec
from tests.conftest import SMALL
from tests.runs.refiners import Refiner
from tests.testing.mutation import candidate

SLOW = ("check_compile", "check_pickles_under_spawn")


def refiner(folder: Path) -> ModelExample:
    """It refines an autoencoder of 16 x 16 pixels, and refuses others."""
    base = SMALL | {"model": {"type": "conv_autoencoder", "latent_dim": 4, "channels": [8]}, "figures": {}}
    specs = [DataSpec({"input": FieldSpec("input", (1, 16, 16))})]
    return ModelExample(specs=specs, odd=image_spec(17, 13), config={"base": str(small_run(folder, base))})


@pytest.mark.parametrize(
    "name", [pytest.param(c.name, marks=pytest.mark.slow if c.name in SLOW else ()) for c in checks_of("model")]
)
def test_a_model_that_uses_a_run_keeps_every_promise(name: str, tmp_path: Path) -> None:
    whole = candidate(Refiner, "model", "refiner", lambda folder: [refiner(folder)], tmp_path)
    (check,) = (c for c in whole.checks() if c.name == name)
    seen = outcome_of(whole, check)
    assert seen.status in ("passed", "skipped"), seen


def test_each_run_is_a_copy_of_its_own(tmp_path: Path) -> None:
    first, second = small_run(tmp_path, SMALL), small_run(tmp_path, SMALL)
    assert first != second
    assert load_run(first).sha256 == load_run(second).sha256
