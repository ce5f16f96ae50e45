"""The page of contract checks: what each promises, and the components that were broken to show it failing."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from _reference.markup import paragraphs
from stemcore.testing.promises import MODULES, every_check

ROOT = Path(__file__).resolve().parents[2]
INTRODUCTION = """What `stem plugins check DIST` and `stemcore.testing.contract_checks` look at, by kind of component.
Below each promise stand components that were broken in just one way, with what the check says of
them: the tests of `stemcore` make each of these and see that it fails for that reason, while the
sound component that it was made from passes."""
TITLES = {"plugin": "The plugin as a whole", "every": "Every component"}


def page(note: str) -> str:
    """The page."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tests.testing.mutation import table as mutation_table

    mutants = mutation_table()
    modules = {kind: import_module(f"tests.testing.mutants.{kind}") for kind in MODULES}
    parts = [f"# Contract checks\n\n{note}", INTRODUCTION + "\n"]
    for kind in MODULES:
        parts.append(f"## {TITLES.get(kind, kind)}\n")
        for check in (check for check in every_check() if check.kind == kind):
            parts.append(f"### `{check.name}` {{: #{kind}-{check.name} }}\n\n{paragraphs(check.promise)}")
            broken = [m for m in mutants[kind] if m.check == check.name]
            parts.append("".join(f"- {_what(m.broken, modules[kind])}: *{_text(m.says)}*\n" for m in broken))
    return "\n".join(parts)


def _what(broken: Any, module: ModuleType) -> str:
    """A broken component by its name in the module of mutants, with what its docstring adds."""
    if isinstance(broken, str) and re.fullmatch(r"[\w.]+:\w+", broken):
        return f"`{broken.rpartition('.')[2]}`"
    name = next((n for n, v in vars(module).items() if v is broken and broken is not None), "")
    name = name or getattr(broken, "__name__", None) or ("no file" if broken is None else "a file")
    about = (vars(broken).get("__doc__") or "").strip().partition("\n")[0] if inspect.isclass(broken) else ""
    return f"`{name.lower() if name.isupper() else name}`" + (f" ({about.rstrip('.')})" if about else "")


def _text(pattern: str) -> str:
    """A regular expression as the text that it stands for."""
    text = re.sub(r"\\([^\w])", r"\1", pattern.split("|")[0].replace(".*", " ... "))
    return re.sub(r"\\[dwSs][+*]?", "...", text).replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")
