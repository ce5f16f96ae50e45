from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema
from stemcore.testing.configuration import filled_in
from stemcore.testing.promises import NotApplicable

Level = Annotated[float, Field(gt=0, lt=1)]


class Component:
    """Has required keys of every sort."""

    def __init__(
        self,
        *,
        size: Annotated[int, Field(gt=0)],
        share: Level,
        mode: Literal["first", "last"],
        flag: bool,
        pair: tuple[int, int],
        several: Annotated[list[Level], Field(min_length=2)],
        low: Annotated[float, Field(ge=3)],
        high: Annotated[float, Field(lt=-2)],
        any_number: float,
        either: int | None,
        shown: Annotated[str, Field(examples=["counts", "rates"])],
        kept: int = 7,
    ) -> None: ...


class Mysterious:
    """Has a key of which nothing is known."""

    def __init__(self, *, path: str) -> None: ...


def schema(target) -> Schema:
    return Schema(target, KINDS["loss"], "component")


def test_what_is_required_gets_a_value_that_fits() -> None:
    made = filled_in(schema(Component), {"size": 5})
    arguments, problems = schema(Component).validate(made)
    assert problems == []
    assert (made["size"], made["share"], made["mode"], made["shown"]) == (5, 0.5, "first", "counts")
    assert (made["low"], made["high"], len(made["several"])) == (4.0, -3.0, 2)
    assert arguments["kept"] == 7
    assert "kept" not in made


def test_what_cannot_be_known_is_asked_for() -> None:
    with pytest.raises(NotApplicable, match=r"no value for its required key 'path' is known.*Field\(examples"):
        filled_in(schema(Mysterious), {})


def test_paths_are_written_as_a_recipe_has_them(tmp_path) -> None:
    made = filled_in(schema(Mysterious), {"path": tmp_path / "scan.h5"})
    assert made == {"path": str(tmp_path / "scan.h5")}
