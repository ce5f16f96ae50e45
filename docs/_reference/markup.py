"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import docstring_parser

import stemcore


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(columns)]
    lines += [["---"] * len(lines[0]), *([" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def paragraphs(text: str) -> str:
    """Text with one line for each paragraph, code in single backticks; lists and indented blocks are left as they
    are."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")
    parts = text.split("\n\n")
    return "\n\n".join(p if re.match(r"\s{4}|- ", p) else " ".join(p.split()) for p in parts) + "\n"


def docstring(thing: Any) -> str:
    """The docstring of a class or function as Markdown, what it says of arguments as a list."""
    parsed = docstring_parser.parse(inspect.getdoc(thing) or "", style=docstring_parser.DocstringStyle.GOOGLE)
    between = "\n\n" if parsed.blank_after_short_description else " "
    about = between.join(part for part in (parsed.short_description, parsed.long_description) if part)
    lines = [paragraphs(about)] if about else []
    named = [(p.arg_name, p.description) for p in parsed.params]
    if named:
        lines.append("".join(f"- `{name}`: {paragraphs(about or '')}" for name, about in named))
    if parsed.returns and parsed.returns.description:
        lines.append(f"Returns: {paragraphs(parsed.returns.description)}")
    for raised in parsed.raises:
        lines.append(f"Raises `{raised.type_name}` {paragraphs(raised.description or '')}")
    return "\n".join(lines)


def signature(name: str, thing: Any) -> str:
    """How a function is called, as one line of Python."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    shown = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in found.parameters.values()
        if p.name not in ("self", "cls")
    ]
    return f"{name}{found.replace(parameters=shown, return_annotation=inspect.Signature.empty)}"


def members(owner: type) -> list[tuple[str, Any]]:
    """What a class adds for its users, itself and by bases beside it that are not public: methods, properties and class
    attributes, in the order of the source."""
    found = []
    for name, value in _own(owner).items():
        if name.startswith("_") and name != "__len__":
            continue
        if isinstance(value, (classmethod, staticmethod)):
            found.append((name, value.__func__))
        elif isinstance(value, property) or inspect.isfunction(value):
            found.append((name, value))
    return found


def _own(owner: type) -> dict[str, Any]:
    package = _package(owner)
    public = stemcore.__all__
    levels = [c for c in owner.__mro__ if c is owner or (_package(c) == package and c.__name__ not in public)]
    return {name: value for level in reversed(levels) for name, value in vars(level).items()}


def _package(thing: type) -> str:
    return thing.__module__.rpartition(".")[0]


def described(owner: type) -> str:
    """The members of a class, each with its signature and docstring."""
    lines = []
    for name, value in members(owner):
        shown = f"{name} (property)" if isinstance(value, property) else signature(name, value)
        about = docstring(value)
        lines.append(f"`{shown}`\n\n{_indented(about)}" if about else f"`{shown}`\n")
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines()) + "\n"
