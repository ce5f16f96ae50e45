"""Every promise of the contract, for each component."""

from __future__ import annotations

import pytest

from stemcore.testing import contract_checks

# It goes through 256 x 256 pixels whatever it is given: a minute of checks.
SLOW = "model/resnet_autoencoder"


@contract_checks("stem_models.plugin")
def test_contract(check) -> None:
    if check.candidate.name == SLOW:
        pytest.skip("slow: run with -m slow")
    check()


@pytest.mark.slow
@contract_checks("stem_models.plugin")
def test_contract_of_what_takes_long(check) -> None:
    if check.candidate.name != SLOW:
        pytest.skip("run without -m slow")
    check()
