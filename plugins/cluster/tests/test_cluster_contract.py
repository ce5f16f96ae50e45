from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_cluster.plugin")
def test_contract(check):
    check()
