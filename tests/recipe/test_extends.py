from __future__ import annotations

from pathlib import Path

import pytest

from stemcore.errors import Problem, UserError
from stemcore.recipe.extends import locate, merge, read_tree
from stemcore.recipe.source import read_yaml


def merged(base: str, over: str) -> object:
    problems: list[Problem] = []
    tree = merge(read_yaml(base, "base", problems), read_yaml(over, "over", problems), problems)
    assert problems == []
    return tree.plain()


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {c: 3, d: 4}}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: {b: 1}}", "{a: 2}", {"a": 2}),
        ("{a: 1, b: 2}", "{a: null}", {"a": None, "b": 2}),
        # a changed type drops the old one's keys
        ("{model: {type: x, w: 1}}", "{model: {type: y, v: 2}}", {"model": {"type": "y", "v": 2}}),
        ("{model: {type: x, w: 1}}", "{model: {type: p/x, v: 2}}", {"model": {"type": "p/x", "w": 1, "v": 2}}),
        ("{model: {type: x, w: 1}}", "{model: {v: 2}}", {"model": {"type": "x", "w": 1, "v": 2}}),
        ("{model: {type: x, w: 1}}", "{model: y}", {"model": {"type": "y"}}),
        ("{model: x}", "{model: {w: 1}}", {"model": {"type": "x", "w": 1}}),
        ("{model: x}", "{model: y}", {"model": "y"}),
        ("{data: {train: {type: x, w: 1}}}", "{data: {train: {type: y}}}", {"data": {"train": {"type": "y"}}}),
        ("{data: {val: {type: x, w: 1}}}", "{data: {val: 0.1}}", {"data": {"val": 0.1}}),
        # the core's keys stay, and the type of a keyed component is its key
        (
            "{losses: {l: {p: 1, weight: 2, inputs: {a: b}}}}",
            "{losses: {l: {type: other, q: 3}}}",
            {"losses": {"l": {"weight": 2, "inputs": {"a": "b"}, "type": "other", "q": 3}}},
        ),
        ("{losses: {l: {p: 1}}}", "{losses: {l: {type: l, q: 3}}}", {"losses": {"l": {"p": 1, "type": "l", "q": 3}}}),
        (
            "{metrics: {m: {p: 1, every_n_steps: 5}}}",
            "{metrics: {m: {type: n}}}",
            {"metrics": {"m": {"every_n_steps": 5, "type": "n"}}},
        ),
        (
            "{losses: {l: {weight: {type: a, x: 1}}}}",
            "{losses: {l: {weight: {type: b}}}}",
            {"losses": {"l": {"weight": {"type": "b"}}}},
        ),
        # one optimizer and groups of optimizers replace one another
        ("{optimizer: {type: a, lr: 1}}", "{optimizer: {g: {type: b}}}", {"optimizer": {"g": {"type": "b"}}}),
        ("{optimizer: {g: {type: b}}}", "{optimizer: {type: a}}", {"optimizer": {"type": "a"}}),
        (
            "{optimizer: {g: {type: b, lr: 1, losses: [x]}, c: {type: d}}}",
            "{optimizer: {g: {type: e}}}",
            {"optimizer": {"g": {"losses": ["x"], "type": "e"}, "c": {"type": "d"}}},
        ),
        # numbers as keys are places in a list
        (
            "{data: {augment: [flip, {type: noise, std: 1}]}}",
            "{data: {augment: {'0': {p: 0.3}, '1': {std: 2}}}}",
            {"data": {"augment": [{"type": "flip", "p": 0.3}, {"type": "noise", "std": 2}]}},
        ),
        # the names of components are, too, where each is there once
        (
            "{loggers: [csv, {type: lab/mlflow, tags: {a: b}}], data: {transforms: {input: [bin, log, bin]}}}",
            "{loggers: {mlflow: {tags: {version: v1}}, '0': {x: 1}}, data: {transforms: {input: {log: {base: 2}}}}}",
            {
                "loggers": [
                    {"type": "csv", "x": 1},
                    {"type": "lab/mlflow", "tags": {"a": "b", "version": "v1"}},
                ],
                "data": {"transforms": {"input": ["bin", {"type": "log", "base": 2}, "bin"]}},
            },
        ),
    ],
)
def test_merging(base: str, over: str, result: object) -> None:
    assert merged(base, over) == result


def test_an_element_that_is_not_there() -> None:
    problems: list[Problem] = []
    merge(read_yaml("{a: [1]}", "b", []), read_yaml("{a: {'1': 2, x: 3}}", "o", []), problems)
    assert [p.message for p in problems] == ["a has no element '1'", "a has no element 'x'"]
    assert problems[0].hint == "it is a list of 1, counted from 0"


def test_a_component_that_a_list_does_not_have_or_has_twice() -> None:
    problems: list[Problem] = []
    base = read_yaml("{loggers: [csv], data: {augment: [flip, {type: tv/flip}]}}", "b", [])
    over = "{loggers: {mlflow: {tags: {}}, '7': {}}, data: {augment: {flip: {p: 1}, tv/flip: {p: 1}}}}"
    tree = merge(base, read_yaml(over, "o", []), problems)
    assert [str(p) for p in problems] == [
        "o:1: loggers has no element 'mlflow'; it is [csv]; to add it: loggers=[csv, mlflow]",
        "o:1: loggers has no element '7'; it is a list of 1, counted from 0",
        "o:1: data.augment has 2 elements 'flip'; write data.augment.0 or data.augment.1",
    ]
    assert tree.plain()["data"]["augment"] == ["flip", {"type": "tv/flip", "p": 1}]


def test_files_in_turn_with_their_places(tmp_path: Path, toy: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text("extends: ../b.yaml\nx: 1\n")
    (tmp_path / "b.yaml").write_text("stem: 1\nx: 0\ny: 2\nz: 2\n")
    (tmp_path / "c.yaml").write_text("z: 3\n")
    (tmp_path / "top.yaml").write_text("extends: [sub/a.yaml, c.yaml]\nw: 4\n")
    tree, name = read_tree(tmp_path / "top.yaml", [])
    assert tree.plain() == {"stem": 1, "x": 1, "y": 2, "z": 3, "w": 4}
    assert name == "top"
    assert tree.nearest(("x",)).where == "sub/a.yaml:2"
    assert tree.nearest(("y",)).where == "../b.yaml:3"


def test_shipped_recipes_by_name(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: toy_recipe\nname: mine\n")
    tree, _ = read_tree("mine.yaml", [])
    assert tree.plain()["model"] == {"type": "toy_net", "latent_dim": 8}
    assert tree.nearest(("model",)).where == "toy_recipe.yaml:6"
    assert read_tree("toy/toy_recipe", [])[0].plain()["name"] == "toy"
    assert read_tree({"extends": "toy_recipe", "seed": 1}, [])[0].plain()["seed"] == 1


def test_a_circle_is_named(tmp_path: Path, toy: Path) -> None:
    (tmp_path / "a.yaml").write_text("stem: 1\nextends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UserError, match=r"b\.yaml:1: .*circle: a\.yaml -> b\.yaml -> a\.yaml"):
        read_tree(tmp_path / "a.yaml", [])


def test_a_diamond_is_no_circle(tmp_path: Path, toy: Path) -> None:
    (tmp_path / "root.yaml").write_text("a: 1\n")
    (tmp_path / "l.yaml").write_text("extends: root.yaml\nb: 2\n")
    (tmp_path / "r.yaml").write_text("extends: root.yaml\nc: 3\n")
    (tmp_path / "top.yaml").write_text("extends: [l.yaml, r.yaml]\n")
    assert read_tree(tmp_path / "top.yaml", [])[0].plain() == {"a": 1, "b": 2, "c": 3}


def test_every_missing_parent_is_reported(tmp_path: Path, toy: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    (tmp_path / "top.yaml").write_text("extends:\n- toy_recipy\n- gone.yaml\n- bad.yaml\n- 3\n")
    with pytest.raises(UserError) as caught:
        read_tree(tmp_path / "top.yaml", [])
    lines = [str(p) for p in caught.value.problems]
    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in lines] == [
        *("top.yaml:5", "top.yaml:2", "top.yaml:3", "bad.yaml:2")
    ]
    assert "did you mean 'toy_recipe'?" in lines[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"# only a comment\n", "empty"),
        (b"- a\n", "not a mapping"),
        (b"text", "not a mapping"),
        (b"a: 1\nb: \xff\n", "not UTF-8"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, toy: Path, content: bytes, words: str) -> None:
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_tree(tmp_path / "r.yaml", [])


def test_a_byte_order_mark_is_fine(tmp_path: Path, toy: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_tree(tmp_path / "r.yaml", [])[0].plain() == {"a": 1}


def test_where_recipes_are_looked_for(tmp_path: Path, toy: Path) -> None:
    with pytest.raises(UserError, match="shipped recipes: did you mean 'toy_recipe'"):
        locate("toy_recip", tmp_path)
    with pytest.raises(UserError, match=f"looked in {tmp_path}"):
        locate("no.yaml", tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        locate("folder", tmp_path)
    with pytest.raises(UserError, match=r"'toy_lost' of plugin 'toy' \(stem-toy\)"):
        locate("toy_lost", tmp_path)
    (tmp_path / "toy_recipe").write_text("a: 1")
    assert locate("toy_recipe", tmp_path).path != tmp_path / "toy_recipe"
    assert locate("./toy_recipe", tmp_path).path == tmp_path / "toy_recipe"
