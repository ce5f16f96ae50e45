"""The page of public Python names."""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from typing import Any

from _reference.markup import described, docstring, signature
from stemcore.component.kinds import KINDS

MODULES = {
    "stemcore": "Everything that plugins and notebooks need. Each name is imported on first use: `import stemcore` "
    "costs neither torch nor Lightning Fabric.",
    "stemcore.testing": "The contract of plugins as checks, for their authors.",
}


def page(note: str) -> str:
    """The page."""
    bases = {kind.base for kind in KINDS.values()}
    parts = [f"# Python names\n\n{note}", "What is not named here may change at any time.\n"]
    for module, about in MODULES.items():
        parts.append(f"## {module}\n\n{about}\n")
        for name in import_module(module).__all__:
            if not name.startswith("__"):
                parts.append(_section(module, name, in_hooks=name in bases))
    return "\n".join(parts)


def _section(module: str, name: str, in_hooks: bool) -> str:
    thing = getattr(import_module(module), name)
    lines = [f"### `{module}.{name}` {{: #{module.replace('.', '-')}-{name} }}\n"]
    if in_hooks:
        return f"{lines[0]}\nThe base class of a kind of component: see [Hooks](hooks.md).\n"
    if inspect.isclass(thing):
        lines += [f"```text\n{_call(name, thing)}\n```\n", docstring(thing), described(thing)]
    elif callable(thing):
        lines += [f"```text\n{signature(name, thing)}\n```\n", docstring(thing)]
    else:
        lines.append(f"`{thing!r}`\n")
    return "\n".join(lines)


def _call(name: str, owner: Any) -> str:
    """How an instance is made; of a data class field by field, since what makes its defaults cannot be shown."""
    if not dataclasses.is_dataclass(owner):
        return signature(name, owner)
    shown = []
    for field in dataclasses.fields(owner):
        if field.default is not dataclasses.MISSING:
            shown.append(f"{field.name}={field.default!r}")
        else:
            made = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
            shown.append(field.name if made is None else f"{field.name}={made!r}")
    only = "*, " if any(field.kw_only for field in dataclasses.fields(owner)) else ""
    return f"{name}({only}{', '.join(shown)})"
