"""``contract_checks`` as a plugin's author uses it: in a test session of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stemcore import UserError
from stemcore.testing import contract_checks
from stemcore.testing.spawned import end_spawned_process

PLUGIN = """
from stemcore import hookimpl

@hookimpl
def stem_losses():
    return {"square": "lab_square:Square", "summed": "lab_square:Summed"}

@hookimpl
def stem_examples():
    return {"loss/square": "lab_square:square", "loss/summed": "lab_square:summed"}
"""
LOSSES = '''
from stemcore import Loss
from stemcore.testing import LossExample

class Square(Loss):
    """Mean of squares."""

    def forward(self, prediction):
        return prediction.square().mean()

class Summed(Loss):
    """Sum of squares."""

    def forward(self, prediction):
        return prediction.square().sum()

def square(folder):
    return LossExample(mean=True, zero={"prediction": 0 * __import__("torch").ones(2, 3)})

def summed(folder):
    return [LossExample(label="claims too much", mean=True), LossExample(mean=False)]
'''
TEST = """
from stemcore.testing import contract_checks

@contract_checks("lab_plugin", expected_failures={expected})
def test_contract(check):
    check()
"""


class Ended(NamedTuple):
    """A session that has ended: its exit code, and what it wrote."""

    returncode: int
    stdout: str


Session = Callable[..., Ended]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "lab_plugin.py").write_text(PLUGIN)
    (tmp_path / "lab_square.py").write_text(LOSSES)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    before = list(sys.path)
    end_spawned_process()  # one that other tests have started does not find the lab
    yield tmp_path
    end_spawned_process()
    sys.path[:] = before
    for name in ("lab_plugin", "lab_square", "test_lab"):
        sys.modules.pop(name, None)


@pytest.fixture
def session(lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Session:
    """Runs a session whose only test is the contract checks of the lab, in this process: starting one takes longer
    than all of its checks (tests/acceptance starts those of the examples)."""
    monkeypatch.chdir(lab)

    def run(expected: str = "None") -> Ended:
        (lab / "test_lab.py").write_text(TEST.replace("{expected}", expected))
        capsys.readouterr()
        code = pytest.main(["-p", "no:cacheprovider", "-rA", "test_lab.py"])
        return Ended(int(code), capsys.readouterr().out)

    return run


def results(done: Ended) -> dict[str, str]:
    found = re.findall(r"^(PASSED|FAILED|XFAIL|ERROR) test_lab.py::test_contract\[(\S+)\]", done.stdout, re.M)
    return {case: status for status, case in found}


def test_each_check_of_each_component_is_a_case(session: Session) -> None:
    done = session()
    found = results(done)
    assert done.returncode == 1, done.stdout
    failed = [case for case, status in found.items() if status == "FAILED"]
    assert failed == ["loss/summed-check_mean_over_items"]
    assert found["loss/square-check_gradient"] == found["plugin/lab_plugin-check_loads"] == "PASSED"
    assert "claims too much: a batch gives" in done.stdout
    assert "promised: Where its example says that it is a mean over items" in done.stdout
    assert "pytest_cases.py" not in done.stdout  # the author sees what was seen, not our frames
    assert "its example gives no reference" in done.stdout  # a skip says why


def test_an_expected_failure_is_shown_with_its_reason(session: Session) -> None:
    done = session('{"summed": {"check_mean_over_items": "it is a sum"}}')
    assert done.returncode == 0, done.stdout
    assert results(done)["loss/summed-check_mean_over_items"] == "XFAIL"
    assert "it is a sum (claims too much: a batch gives" in done.stdout


def test_one_that_passes_after_all_fails(session: Session) -> None:
    known = '{"summed": {"check_mean_over_items": "it is a sum"}, "loss/square": {"check_scalar": "it is not"}}'
    done = session(known)
    assert [case for case, status in results(done).items() if status == "FAILED"] == ["loss/square-check_scalar"]
    assert "it passes, though its failure is expected (it is not): take that out" in done.stdout


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"sqare": {}}, "no component 'sqare'; did you mean 'square'"),
        ({"square": {"check_scaler": "?"}}, "no check 'check_scaler'; did you mean 'check_scalar'"),
    ],
)
def test_misspelt_expectations_are_refused(lab: Path, monkeypatch, expected, said: str) -> None:
    monkeypatch.syspath_prepend(lab)
    with pytest.raises(UserError, match=re.escape(said)):
        contract_checks("lab_plugin", expected_failures=expected)


def test_a_plugin_that_cannot_be_imported_is_a_failing_case(lab: Path, session: Session) -> None:
    (lab / "lab_plugin.py").write_text("import detector_driver\n")
    done = session()
    assert results(done)["plugin/lab_plugin-check_loads"] == "FAILED"
    assert "No module named 'detector_driver'" in done.stdout


def test_built_in_plugins_are_found_by_their_module() -> None:
    cases = contract_checks("stem_losses.plugin").args[1]
    assert {"loss/mse-check_gradient", "plugin/losses-check_loads"} <= {repr(case) for case in cases}
