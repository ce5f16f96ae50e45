"""What stemcore relies on: one case for each component and promise, as ``stem plugins check stem-tv`` makes them."""

from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_tv.plugin")
def test_contract(check) -> None:
    check()
