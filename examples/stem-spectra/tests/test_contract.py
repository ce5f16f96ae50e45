"""The promises on which stemcore relies, a case for each component and promise."""

from __future__ import annotations

from stemcore.testing import contract_checks


@contract_checks("stem_spectra.plugin")
def test_contract(check):
    check()
