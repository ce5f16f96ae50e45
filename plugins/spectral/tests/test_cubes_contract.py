from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_spectral.plugin")
def test_contract(check) -> None:
    check()
