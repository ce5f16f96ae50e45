from __future__ import annotations

from typing import Any

import pytest

from stemcore import Loss
from stemcore.plugins import Entry
from stemcore.testing import Example, LossExample, MetricExample
from stemcore.testing.outcome import Candidate, Outcome, outcome_of
from stemcore.testing.promises import Broken, Check, NotApplicable
from stemcore.testing.subject import Subject


class Square(Loss):
    """Mean of squares."""

    def forward(self, prediction):
        return prediction.square().mean()


class Given(Subject):
    def load(self) -> Any:
        return Square


ENTRY = Entry("loss", "square", "lab", "stem-lab", "1.0", "lab:Square")


def made(function, examples=lambda folder: [LossExample()], **options: Any) -> Outcome:
    candidate = Candidate(ENTRY, examples, options.pop("expected_failures", {}), Given)
    return outcome_of(candidate, Check("loss", "check_it", function, **options))


def by_label(subject: Subject) -> None:
    if subject.example.label == "bad":
        raise Broken("seen a bad one")
    if subject.example.label == "other":
        raise NotApplicable("it is another")


def examples(*labels: str, **failures: str):
    return lambda folder: [LossExample(label=label, expected_failures=failures) for label in labels]


@pytest.mark.parametrize(
    ("labels", "status", "message"),
    [
        (("good", "other"), "passed", ""),
        (("good", "bad", "other"), "failed", "bad: seen a bad one"),
        (("other",), "skipped", "other: it is another"),
    ],
)
def test_a_check_is_made_of_every_example(labels, status: str, message: str) -> None:
    seen = made(by_label, examples(*labels))
    assert (seen.status, seen.message) == (status, message)


def test_once_is_for_the_first_example_alone() -> None:
    assert made(by_label, examples("good", "bad"), once=True).status == "passed"


def test_an_example_announces_failures() -> None:
    assert made(by_label, examples("bad", check_it="too dark")).message == "too dark (bad: seen a bad one)"
    assert made(by_label, examples("bad", check_it="too dark")).status == "expected"
    seen = made(by_label, examples("good", check_it="too dark"))
    assert (seen.status, "it passes, though its failure is expected" in seen.message) == ("failed", True)
    assert made(by_label, examples("other", check_it="too dark")).status == "skipped"


def test_an_error_of_the_component_is_a_failure_that_says_where() -> None:
    def stumbles(subject: Subject) -> None:
        {}["key"]

    seen = made(stumbles)
    assert seen.status == "failed"
    assert "KeyError: 'key'" in seen.message
    assert "test_outcome.py:" in seen.message
    assert isinstance(seen.cause, KeyError)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(lambda folder: [1 / 0], "ZeroDivisionError"), (lambda folder: [], "the function that makes them returned none")],
)
def test_examples_that_cannot_be_made_are_one_failure(wrong, said: str) -> None:
    candidate = Candidate(ENTRY, wrong, {}, Given)
    seen = {check.name: outcome_of(candidate, check) for check in candidate.checks()}
    assert f"its examples cannot be made: {said}" in seen.pop("check_examples").message
    assert {outcome.status for outcome in seen.values()} == {"skipped"}


def test_an_example_of_another_kind_is_refused() -> None:
    seen = made(lambda subject: subject.promised(LossExample), lambda folder: [MetricExample()])
    assert "its example is a MetricExample; a loss has LossExample" in seen.message


def test_a_plain_example_is_one_of_any_kind() -> None:
    def looks(subject: Subject) -> None:
        assert subject.promised(LossExample).config == {"power": 2}

    assert made(looks, lambda folder: [Example(config={"power": 2})]).status == "passed"


def test_a_configuration_that_is_refused_says_so() -> None:
    seen = made(lambda subject: subject.build(), lambda folder: [LossExample(config={"powr": 2})])
    assert "the configuration {'powr': 2} is refused" in seen.message
    assert "unknown key 'powr'" in seen.message


def test_each_check_has_an_empty_folder_beside_that_of_its_examples() -> None:
    def looks(subject: Subject) -> None:
        assert list(subject.folder.iterdir()) == []
        assert subject.folder != subject.example.config["folder"]
        (subject.folder / "left").touch()

    def here(folder):
        (folder / "scan.h5").touch()
        return [LossExample(config={"folder": folder}), LossExample(config={"folder": folder})]

    assert made(looks, here).status == "passed"
