"""Groups of options: a whole section of a recipe by a name, ``model: mae_large``, which stands for a file.

The file is one that a plugin ships (hook ``stem_options``) or one of the user's own (``model: my_model.yaml``), and
holds what the section holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import Entry, catalogue
from stemcore.plugins.shipped import shipped_path
from stemcore.recipe.files import SUFFIXES, read_file
from stemcore.recipe.node import Node
from stemcore.recipe.slots import KEYED, SECTIONS, kind_at

REPLACED = (*KEYED, "loggers")
"""The sections that an option replaces; what it says of others is laid over what the recipe says."""


def options_of(section: str) -> dict[str, Entry]:
    """The options of a section by what to write: the bare name, qualified by the plugin where two offer it, or where it
    is also the name of a component."""
    entries = [entry for entry in catalogue().of_kind("option") if _split(entry)[0] == section]
    kind = kind_at((section,))
    taken = [*(_split(entry)[1] for entry in entries), *(catalogue().names(kind) if kind else ())]
    names = {entry: _split(entry)[1] for entry in entries}
    return {name if taken.count(name) == 1 else f"{e.plugin}/{name}": e for e, name in names.items()}


def names_option(section: str, text: str) -> bool:
    """Whether a text that stands for a whole section is an option's name or file."""
    return text.endswith(SUFFIXES) or bool(_found(section, text))


def with_options(root: Node, folder: Path, problems: list[Problem]) -> Node:
    """A recipe in which each section that is named stands as it is in the option's file.

    Args:
        root: the recipe, or a part of it.
        folder: where the user's own files are looked for.
        problems: takes in what is wrong in the files but does not keep the rest from being read.

    Raises:
        UserError: with every option that cannot be read, or whose name stands for several things.
    """
    sections = dict(root.value)
    fatal: list[Problem] = []
    for section, node in sections.items():
        if section not in SECTIONS or not isinstance(node.value, str) or not names_option(section, node.value):
            continue
        try:
            sections[section] = _option(section, node, folder, problems)
        except UserError as error:
            fatal += error.problems
    if fatal:
        raise UserError(*fatal)
    return replace(root, value=sections)


def hint_for(section: str, name: str, known: Iterable[str], hint: str) -> str:
    """What to say of a component that there is not, where an option may have been meant.

    Args:
        section: where it stands.
        name: its name.
        known: the components.
        hint: what would be said without options.
    """
    options = options_of(section)
    if name in options or _found(section, name):
        return f"it is an option: write {section}={name}, or {section}: {name} in a recipe"
    best = close_match(name, [*known, *options])
    if near := next((option for option in options if best == f"did you mean '{option}'?"), None):
        return f"did you mean the option '{near}'?"
    return f"{hint}; options: {', '.join(sorted(options))}" if options and hint.startswith("known") else hint


def hint_instead(section: str, name: str) -> str:
    """What to say of a text where a mapping or a list should be, which may have been meant as an option."""
    broken = "".join(f"; not loaded: {trouble}" for trouble in catalogue().troubles)
    return f"or the name of an option, which '{name}' is not: {close_match(name, options_of(section))}{broken}"


def _split(entry: Entry) -> tuple[str, str]:
    section, _, name = entry.name.partition("/")
    return section, name


def _found(section: str, text: str) -> list[Entry]:
    """The shipped options that a text may stand for."""
    plugin, slash, name = text.rpartition("/")
    entries = [entry for entry in catalogue().of_kind("option") if _split(entry) == (section, name)]
    return [entry for entry in entries if not slash or entry.plugin == plugin]


def _option(section: str, node: Node, folder: Path, problems: list[Problem]) -> Node:
    if node.value.endswith(SUFFIXES):
        path = folder / Path(node.value).expanduser()
        if not path.is_file():
            hint = f"looked in {path.parent}"
            raise UserError(f"{section}: there is no file '{node.value}'", where=node.where, hint=hint)
        return content(section, path, node.value, problems)
    entry = _only(section, node)
    return content(section, shipped_path(entry), f"{entry.name}.yaml", problems)


def _only(section: str, node: Node) -> Entry:
    found = _found(section, node.value)
    kind = kind_at((section,)) or ""
    same = [e for e in catalogue().of_kind(kind) if node.value in (e.name, e.qualified)]
    if len(found) == 1 and not same:
        return found[0]
    who = [*(f"a {kind} of {_plugin(e)}" for e in same), *(f"an option of {_plugin(e)}" for e in found)]
    ways = [*([f"{section}.type={same[0].qualified}"] if same else []), *(f"{section}={_whole(e)}" for e in found)]
    raise UserError(
        f"{section}: '{node.value}' is {' and '.join(who)}", where=node.where, hint=f"write {' or '.join(ways)}"
    )


def _whole(entry: Entry) -> str:
    return f"{entry.plugin}/{_split(entry)[1]}"


def _plugin(entry: Entry) -> str:
    return f"plugin '{entry.plugin}' ({entry.distribution})"


def content(section: str, path: Path, label: str, problems: list[Problem]) -> Node:
    """What an option's file holds.

    Args:
        section: what it is for.
        path: the file.
        label: what it is called in ``label:line``.
        problems: takes in what is wrong but does not keep the rest from being read.

    Raises:
        UserError: if it cannot be read, or holds something else than a section can be.
    """
    node = read_file(path, label, problems)
    form, name = (list, "a list of loggers") if section == "loggers" else (dict, "a mapping of keys")
    if not isinstance(node.value, form):
        what = "empty" if node.value is None else f"not {name}"
        hint = f"it holds what stands below '{section}:' in a recipe"
        raise UserError(f"the option is {what}", where=node.where, hint=hint)
    return replace(node, replaces=section in REPLACED)
