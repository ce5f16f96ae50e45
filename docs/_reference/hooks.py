"""The page of hooks: what each returns, and the base class of what it lists."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from _reference.markup import described, docstring, signature, table
from stemcore import hookspecs
from stemcore.component.kinds import KINDS, Kind

INTRODUCTION = """A plugin is a module behind an entry point of the group `stemcore`. Its functions marked with
`@hookimpl` are hooks: each takes nothing and returns a mapping. The guides under *How to* show one
of each at work."""


def hooks() -> Iterator[tuple[str, Any]]:
    """The hooks in the order in which the core lists them."""
    for name, value in vars(hookspecs).items():
        if name.startswith("stem_"):
            yield name, value


def page(note: str) -> str:
    """The page."""
    of_hook = {kind.hook: kind for kind in KINDS.values()}
    rows = [
        (
            f"[`{name}`](#{name})",
            of_hook[name].name if name in of_hook else "",
            _given(of_hook.get(name)),
            _base(of_hook.get(name)),
        )
        for name, _ in hooks()
    ]
    parts = [f"# Hooks\n\n{note}", INTRODUCTION + "\n", table(("hook", "kind", "by position", "base class"), rows)]
    parts += [_section(name, function, of_hook.get(name)) for name, function in hooks()]
    return "\n".join(parts)


def _given(kind: Kind | None) -> str:
    if kind is None:
        return ""
    return ", ".join(f"`{name}`" for name in kind.given) or "nothing"


def _base(kind: Kind | None) -> str:
    return f"`{kind.base}`" if kind and kind.base else ""


def _section(name: str, function: Any, kind: Kind | None) -> str:
    lines = [f"## `{name}` {{: #{name} }}\n", f"```text\n{signature(name, function)}\n```\n", docstring(function)]
    if kind is None or not kind.base:
        return "\n".join(lines)
    owner = getattr(import_module("stemcore"), kind.base)
    lines += [f"### `stemcore.{kind.base}`\n", docstring(owner)]
    attributes = _attributes(owner)
    if attributes:
        lines.append(table(("class attribute", "default", "about"), attributes))
    lines.append(described(owner))
    return "\n".join(lines)


def _attributes(owner: type) -> list[tuple[str, str, str]]:
    """Annotated class attributes, with the text that stands below each in the source."""
    source = inspect.getsource(owner)
    found = []
    for name, annotation in vars(owner).get("__annotations__", {}).items():
        if "ClassVar" in str(annotation):
            about = source.partition(f"    {name}:")[2].partition("\n")[2].lstrip()
            text = about[3:].partition('"""')[0] if about.startswith('"""') else ""
            found.append((f"`{name}`", f"`{getattr(owner, name, '')!r}`", text.replace("``", "`")))
    return found
