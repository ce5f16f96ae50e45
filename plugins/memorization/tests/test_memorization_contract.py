from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_memorization.plugin")
def test_contract(check) -> None:
    check()
