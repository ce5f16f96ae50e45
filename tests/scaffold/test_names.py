from __future__ import annotations

import pytest

from stemcore.scaffold.names import normal, package_of, problems_of, problems_of_kinds


@pytest.mark.parametrize("name", ["my-lab", "My_Lab", "lab2", "a.b", "x"])
def test_names_that_will_do(name: str) -> None:
    assert problems_of(name) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "not the name of a distribution"),
        ("2lab", "not the name of a distribution"),
        ("my lab", "not the name of a distribution"),
        ("../lab", "not the name of a distribution"),
        ("lab-", "not the name of a distribution"),
        ("class", "a word of Python"),
        ("json", "Python's own"),
        ("torch", "is installed already, by torch"),
        ("stem-losses", "the package 'stem_losses' is installed already, by stemcore"),
        ("PyYAML", "a distribution of that name is installed already"),
        ("regularizers", "there is a plugin 'regularizers' already"),
    ],
)
def test_names_that_will_not(name: str, said: str) -> None:
    assert [said in str(problem) for problem in problems_of(name)] == [True]


def test_how_names_become_packages() -> None:
    assert (normal("My_Lab.tools"), package_of("My_Lab.tools")) == ("my-lab-tools", "my_lab_tools")


def test_unknown_kinds_are_told_with_the_nearest_one() -> None:
    said = [str(problem) for problem in problems_of_kinds(("loss", "losss", "modell"), ["loss", "model"])]
    assert said == [
        "--kind: unknown kind 'losss'; did you mean 'loss'?",
        "--kind: unknown kind 'modell'; did you mean 'model'?",
    ]
