"""Every promise of the contract, for each component."""

from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_models.plugin")
def test_contract(check) -> None:
    check()
