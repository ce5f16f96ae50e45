from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from stemcore import load_yaml
from stemcore.errors import Problem, UserError
from stemcore.recipe.source import MAX_VALUES, read_yaml


def read(text: str) -> object:
    problems: list[Problem] = []
    tree = read_yaml(text, "r.yaml", problems)
    assert problems == []
    return tree.plain()


def complaints(text: str) -> list[str]:
    problems: list[Problem] = []
    read_yaml(text, "r.yaml", problems)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-4", 1e-4), ("1e5", 1e5), ("1.0E-3", 1e-3), ("-.5", -0.5), ("1.", 1.0), ("+2e+3", 2000.0)],
        *[("12", 12), ("-3", -3), ("007", 7), ("0x1F", 31), ("0o17", 15), ("1_000", "1_000"), ("12:30:45", "12:30:45")],
        *[("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y")],
        *[("null", None), ("~", None), ("", None), ("Null", None), ("none", "none")],
        *[("2026-11-01", "2026-11-01"), ("1.2.3", "1.2.3"), ("e5", "e5"), ("'1e-4'", "1e-4"), ('"true"', "true")],
        *[("!!str 12", "12"), ("!!float 3", 3.0), (".inf", math.inf), ("-.Inf", -math.inf), ("=", "=")],
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}")["key"]  # type: ignore[index]
    assert found == value
    assert type(found) is type(value)


def test_nan() -> None:
    assert math.isnan(read("a: .nan")["a"])  # type: ignore[index]


def test_every_value_knows_its_line() -> None:
    tree = read_yaml("a:\n  b: 1\n\n  c:\n    - x\n    -\n      d: 2\n", "r.yaml", [])
    places = {("a",): 1, ("a", "b"): 2, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 7, ("a", "c", 1, "d"): 7}
    assert {place: tree.nearest(place).where for place in places} == {p: f"r.yaml:{n}" for p, n in places.items()}
    assert tree.nearest(("a", "zzz", "y")).where == "r.yaml:1"


def test_agrees_with_pyyaml_on_structure() -> None:
    text = "a: {b: [1, two, {c: 3.5}]}\nf: >\n  x\n  y\n"
    assert read(text) == yaml.safe_load(text)


def test_merge_keys_and_aliases() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 5, z: 6}\nuse: {<<: [*b, *o], x: 9}\nsame: *b\n"
    assert read(text) == yaml.safe_load(text)
    assert complaints("a: 1\nuse: {<<: 3}") == ["r.yaml:2: '<<' takes a mapping or a list of mappings"]


def test_keys_written_twice_keep_the_first() -> None:
    problems: list[Problem] = []
    tree = read_yaml("a: 1\nb: {c: 1,\n c: 2}\na: 3\n", "r.yaml", problems)
    assert [p.where for p in problems] == ["r.yaml:3", "r.yaml:4"]
    assert "'a' stands here again, first at r.yaml:1" in problems[1].message
    assert tree.plain() == {"a": 1, "b": {"c": 1}}


def test_keys_must_be_text() -> None:
    found = complaints("1: a\ntrue: b\n? [x, y]\n: c\nok: d\n'2': e\n")
    assert [line.split(":")[1] for line in found] == ["1", "2", "3"]
    assert "write it in quotes" in found[0]


@pytest.mark.parametrize(
    "value",
    ["!!python/object/apply:os.system ['true']", "!!binary aGk=", "!mine 3", "!!set {a}", "!!timestamp 2026-01-01"],
)
def test_tags_are_refused(value: str) -> None:
    (found,) = complaints(f"a: 1\nb: {value}")
    assert found.startswith("r.yaml:2: the tag !")
    assert "refused" in found


def test_a_tag_that_does_not_fit() -> None:
    assert complaints("a: !!int twelve") == ["r.yaml:1: 'twelve' is not of the type !!int that its tag claims"]


def test_alias_within_itself() -> None:
    (found,) = complaints("a:\n  b: &x\n    c: *x\n")
    assert found == "r.yaml:3: an alias (*) refers to the value that it stands in"


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(UserError, match=f"more than {MAX_VALUES:,} values"):
        read_yaml("\n".join(lines), "r.yaml", [])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "a tab"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: 1\nb: *nobody\n", 2, "nobody"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a: 1\nb: \x07\n", 2, "cannot stand in a YAML file"),
        ("a: 'open\n", 2, "not valid YAML"),
    ],
)
def test_syntax_errors_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_yaml(text, "r.yaml", [])
    (problem,) = caught.value.problems
    assert problem.where == f"r.yaml:{line}"


def test_nesting_without_end() -> None:
    with pytest.raises(UserError, match="nested too deeply"):
        read_yaml("[" * 5000, "r.yaml", [])


def test_places_of_an_override() -> None:
    tree = read_yaml("{a: [1]}", "x", [], where="k={a: [1]} on the command line")
    assert tree.nearest(("a", 0)).where == "k={a: [1]} on the command line"


def test_a_file_that_is_no_recipe_is_read_with_its_places(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("a: 1e-4\nb:\n  - yes\n  - {c: null}\n")
    tree = load_yaml(path)
    assert tree.plain() == {"a": 1e-4, "b": ["yes", {"c": None}]}
    assert tree.nearest(("b", 1, "c")).where == f"{path}:4"


def test_a_file_that_cannot_be_read_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    with pytest.raises(UserError, match=r"space.yaml: it cannot be read: No such file"):
        load_yaml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"space.yaml: it cannot be read: it is not text in UTF-8"):
        load_yaml(path)
    path.write_text("a: 1\na: 2\nb: !!python/name:os.system x\n")
    with pytest.raises(UserError) as caught:
        load_yaml(path)
    assert [problem.where for problem in caught.value.problems] == [f"{path}:2", f"{path}:3"]
