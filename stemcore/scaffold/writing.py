"""A new plugin: rendered beside its place, then put there in one piece."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from stemcore import __version__
from stemcore.component.kinds import KINDS
from stemcore.errors import Problem, UserError
from stemcore.hookspecs import API_VERSION
from stemcore.scaffold.kinds import answers
from stemcore.scaffold.names import normal, package_of, problems_of, problems_of_kinds


def new_plugin(
    name: str,
    kinds: Sequence[str] = ("loss",),
    *,
    parent: Path = Path(),
    description: str = "",
    author: str = "",
) -> Path:
    """Writes a distribution with a component of each kind: installable, tested, with a recipe that uses it.

    Args:
        name: of the distribution, such as ``my-lab``.
        kinds: of components.
        parent: the folder in which the new one is made.
        description: one line, for its metadata and README.
        author: for its metadata.

    Returns:
        the new folder.

    Raises:
        UserError: if the name or a kind will not do, or the folder is there already.
    """
    distribution, package = normal(name), package_of(name)
    wanted = [kind for kind in KINDS if kind in kinds]
    problems = problems_of(name) + problems_of_kinds(tuple(kinds), list(KINDS))
    target = parent / distribution
    if not problems and target.exists():
        problems.append(Problem("it exists already", str(target), "move it away, or choose another name"))
    if not parent.is_dir():
        problems.append(Problem("there is no such folder", str(parent)))
    if problems:
        raise UserError(*problems)
    data = {
        **answers(distribution, package, wanted),
        **_words(description.strip() or f"Components for stemcore: {', '.join(wanted).replace('_', ' ')}", author),
        "api_version": API_VERSION,
        "stemcore_version": __version__,
    }
    with tempfile.TemporaryDirectory(prefix=f".{distribution}-", dir=parent) as scratch:
        made = Path(scratch) / distribution
        for part in ("common", *(kind for kind in wanted if kind != "recipe")):
            _render(part, made, data)
        shutil.move(made, target)
    return target


def _render(part: str, folder: Path, data: dict[str, Any]) -> None:
    # Imported here: the verb's help is printed without it.
    from copier import run_copy

    with as_file(files("stemcore.scaffold") / "template" / part) as template:
        run_copy(str(template), folder, data, defaults=True, overwrite=True, quiet=True)


def _words(description: str, author: str) -> dict[str, str]:
    """The author's own words, as they are and as they stand in TOML and in a docstring."""
    sentence, name = f"{_line(description).rstrip('.')}.", _line(author)
    return {
        "description": sentence,
        # Of what can be printed, JSON and TOML escape the same, if letters beyond ASCII stay as they are.
        "description_toml": json.dumps(sentence, ensure_ascii=False),
        "author_toml": json.dumps(name, ensure_ascii=False) if name else "",
        "docstring": sentence.replace("\\", r"\\").replace('"""', r"\"\"\""),
    }


def _line(text: str) -> str:
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
