"""YAML text as a tree of plain values, each with the file and line where it stands.

The scalars are those of YAML 1.2: ``1e-4`` is a number, ``yes``, ``no``, ``on``, ``off`` and dates are text. Tags that
name Python objects or binary data are refused, so that reading a recipe can run nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.reader import ReaderError

from stemcore.errors import Problem, UserError
from stemcore.recipe.node import Node

MAX_VALUES = 100_000
_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("", "~", "null", "Null", "NULL")


class CoreLoader(yaml.SafeLoader):
    """PyYAML's parser with the implicit scalar types of YAML 1.2's core schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]


for _name, _pattern, _first in (
    ("null", "|".join(re.escape(text) for text in _NULLS), ["", "~", "n", "N"]),
    ("bool", "|".join(_BOOLEANS), list("tTfF")),
    ("int", _INTEGER.pattern, list("-+0123456789")),
    ("float", f"{_FLOAT.pattern}|{_SPECIAL.pattern}", list("-+.0123456789")),
    ("merge", "<<", ["<"]),
):
    CoreLoader.add_implicit_resolver(f"{_CORE}{_name}", re.compile(f"(?:{_pattern})$"), _first)


def read_yaml(text: str, name: str, problems: list[Problem], *, where: str = "") -> Node:
    """The tree of a YAML text.

    Args:
        text: the text.
        name: what the file is called in ``name:line``.
        problems: takes in what is wrong but does not keep the rest from being read (a key written twice, a tag).
        where: the place of every value, instead of ``name:line``.

    Raises:
        UserError: if the text is not one YAML document.
    """
    try:
        root = _compose(text)
        if root is None:
            return Node(None, where or f"{name}:1")
        return _Walk(name, where, problems).node(root, where or f"{name}:1")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(_explained(error), where=where or f"{name}:{line}") from error
    except ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        message = f"the character {error.character!r} cannot stand in a YAML file"
        raise UserError(message, where=where or f"{name}:{line}") from error
    except RecursionError as error:
        raise UserError("it is nested too deeply", where=where or name) from error


def load_yaml(path: str | Path) -> Node:
    """A YAML file that is no recipe, with the places of its values for messages; scalars as in recipes.

    Args:
        path: the file.

    Raises:
        UserError: if there is no such file, or with everything that is wrong in it as YAML, each with ``file:line``.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UserError(f"it cannot be read: {reason}", where=str(path)) from error
    problems: list[Problem] = []
    tree = read_yaml(text, str(path), problems)
    if problems:
        raise UserError(*problems)
    return tree


def _compose(text: str) -> yaml.Node | None:
    loader = CoreLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _explained(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's message in the words of somebody who writes recipes."""
    problem = error.problem or str(error)
    if r"'\t'" in problem:
        return "a tab; YAML is indented by spaces"
    if "but found another document" in problem:
        return "a second document begins here; a recipe is one document"
    if problem.startswith("could not determine a constructor"):
        return problem
    return f"not valid YAML: {f'{error.context}, ' if error.context else ''}{problem}"


class _Walk:
    """Turns PyYAML's nodes into ours, once for every place they are referred to from."""

    def __init__(self, name: str, where: str, problems: list[Problem]) -> None:
        self.name, self.fixed, self.problems = name, where, problems
        self.open: set[int] = set()
        self.count = 0

    def node(self, node: yaml.Node, where: str) -> Node:
        self.count += 1
        if self.count > MAX_VALUES:
            raise UserError(f"more than {MAX_VALUES:,} values, aliases counted as often as used", where=where)
        if id(node) in self.open:
            self.problems.append(Problem("an alias (*) refers to the value that it stands in", where))
            return Node(None, where)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
                return Node(self._mapping(node), where)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
                return Node([self.node(item, self._at(item)) for item in node.value], where)
            return Node(self._scalar(node, where), where)
        finally:
            self.open.discard(id(node))

    def _at(self, node: yaml.Node) -> str:
        return self.fixed or f"{self.name}:{node.start_mark.line + 1}"

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self._at(key_node)
            if key_node.tag == f"{_CORE}merge":
                merged = {**self._merged(value_node, where), **merged}
                continue
            key = self._key(key_node, where)
            if key is None:
                continue
            if key in own:
                self.problems.append(Problem(f"key '{key}' stands here again, first at {own[key].where}", where))
                continue
            own[key] = self.node(value_node, where)
        return {**merged, **own}

    def _key(self, node: yaml.Node, where: str) -> str | None:
        """The text of a key, null where it is something else, which is reported."""
        if not isinstance(node, yaml.ScalarNode):
            self.problems.append(Problem("a key must be text, not a list or mapping", where))
            return None
        if node.tag != f"{_CORE}str":
            self.problems.append(
                Problem(f"a key must be text, got {node.value or 'nothing'}; write it in quotes", where)
            )
            return None
        return str(node.value)

    def _merged(self, node: yaml.Node, where: str) -> dict[str, Node]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Node] = {}
        for source in sources:
            tree = self.node(source, where)
            if not isinstance(tree.value, dict):
                self.problems.append(Problem("'<<' takes a mapping or a list of mappings", where))
                continue
            for key, value in tree.value.items():
                found.setdefault(key, value)
        return found

    def _scalar(self, node: yaml.Node, where: str) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag.startswith(_CORE):
            text, kind = node.value, node.tag.removeprefix(_CORE)
            try:
                return _value(text, kind)
            except KeyError:
                pass
            except ValueError:
                self.problems.append(Problem(f"{text!r} is not of the type !!{kind} that its tag claims", where))
                return None
        self.problems.append(
            Problem(f"the tag {node.tag.replace(_CORE, '!!')} is refused; a recipe is plain data", where)
        )
        return None


def _value(text: str, kind: str) -> Any:
    """A scalar of a core type; ``KeyError`` for another type, ``ValueError`` for text that is not of the type."""
    if kind in ("str", "merge"):
        return text
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if kind == "float" and (_FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text)):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if kind == "bool" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "null" and text in _NULLS:
        return None
    if kind in ("int", "float", "bool", "null"):
        raise ValueError(text)
    raise KeyError(kind)
