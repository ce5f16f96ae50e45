"""Every check fails for its reason, and for that alone: the component that a mutant was made from passes."""

from __future__ import annotations

import re

import pytest

from stemcore.testing.outcome import outcome_of
from stemcore.testing.promises import EVERY, MODULES, every_check
from tests.testing.mutation import Mutant, candidate, outcome, sound, table

MUTANTS = [(kind, mutant) for kind, mutants in table().items() for mutant in mutants]


@pytest.mark.parametrize(("kind", "mutant"), MUTANTS, ids=[f"{k}-{m.check}-{n}" for n, (k, m) in enumerate(MUTANTS)])
def test_the_check_fails_for_its_reason(kind: str, mutant: Mutant, tmp_path) -> None:
    seen = outcome(mutant, kind, tmp_path)
    assert seen.status == "failed", seen
    assert re.search(mutant.says, seen.message), seen.message


@pytest.mark.parametrize("kind", MODULES)
def test_what_the_mutants_were_made_from_passes_and_every_check_has_a_mutant(kind: str, tmp_path) -> None:
    failed, passed = {}, set()
    for number, (component, examples) in enumerate(sound()[kind]):
        folder = tmp_path / str(number)
        folder.mkdir()
        whole = candidate(component, "loss" if kind == EVERY else kind, "component", examples, folder)
        seen = {check.name: outcome_of(whole, check) for check in whole.checks()}
        failed.update({(number, name): o for name, o in seen.items() if o.status in ("failed", "expected")})
        passed |= {name for name, o in seen.items() if o.status == "passed"}
    assert failed == {}
    checks = {check.name for check in every_check() if check.kind == kind}
    assert {mutant.check for mutant in table()[kind]} == checks
    assert checks <= passed


def test_every_check_says_what_is_promised() -> None:
    for check in every_check():
        assert len(check.promise.split()) > 8, check
        assert check.name.startswith("check_"), check
