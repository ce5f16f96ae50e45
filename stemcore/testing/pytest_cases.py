"""The checks as test cases of pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import pytest

from stemcore.testing.candidates import ExpectedFailures, of_module
from stemcore.testing.outcome import Candidate, outcome_of
from stemcore.testing.promises import Broken, Check

if TYPE_CHECKING:
    from _pytest.mark import MarkDecorator

F = TypeVar("F", bound=Callable[..., object])


class Case:
    """One check of one component; call it in a test."""

    def __init__(self, candidate: Candidate, check: Check) -> None:
        self.candidate, self.check = candidate, check

    def __repr__(self) -> str:
        return f"{self.candidate.name}-{self.check.name}"

    def __call__(self) -> None:
        """Makes the check: the test fails with what was seen, is skipped where it does not apply, or is an expected
        failure."""
        __tracebackhide__ = True
        outcome = outcome_of(self.candidate, self.check)
        if outcome.status == "skipped":
            pytest.skip(outcome.message)
        if outcome.status == "expected":
            pytest.xfail(outcome.message)
        if outcome.status == "failed":
            promised = self.check.promise.replace("\n", " ")
            raise Broken(f"{outcome.message}\npromised: {promised}") from outcome.cause


def contract_checks(plugin: str, expected_failures: ExpectedFailures | None = None) -> MarkDecorator:
    """Parametrizes a test with every check of every component of a plugin::

        @contract_checks("stem_tv.plugin")
        def test_contract(check):
            check()

    Args:
        plugin: the module behind the entry point, which need not be installed.
        expected_failures: ``{component: {check: reason}}``, component as ``name`` or ``kind/name``. One that passes
            all the same is a failure.

    Raises:
        UserError: if ``expected_failures`` names a component or a check that there is not.
    """
    cases = [
        Case(candidate, check)
        for candidate in of_module(plugin, expected_failures or {})
        for check in candidate.checks()
    ]
    return pytest.mark.parametrize("check", cases, ids=repr)
