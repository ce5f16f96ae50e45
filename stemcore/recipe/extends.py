"""Recipes built on others: where a recipe is found, ``extends``, and the merging of trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import Entry, catalogue
from stemcore.plugins.signature import CORE_KEYS
from stemcore.recipe.node import Node, Place, dotted, from_plain
from stemcore.recipe.requires import KEY, merged, unmet
from stemcore.recipe.slots import KEYED, is_groups, kind_at
from stemcore.recipe.source import read_yaml

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Origin:
    """Where a recipe comes from: its name in messages, what tells it from others, and the file it is in."""

    label: str
    path: Path


def shipped_path(entry: Entry) -> Path:
    """The file of a shipped recipe, found without importing its package.

    Raises:
        UserError: if the package has no such file.
    """
    package, _, file = entry.target.partition(":")
    try:
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec else None
    except (ImportError, ValueError):
        folders = None
    for folder in folders or ():
        if (Path(folder) / file).is_file():
            return Path(folder) / file
    who = f"recipe '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution})"
    raise UserError(f"{who} is not where it should be: no package '{package}' with a file {file}")


def locate(source: str | Path, folder: Path, where: str = "") -> Origin:
    """Finds a recipe: a shipped one by its bare name, else a file, relative to ``folder``.

    Raises:
        UserError: if there is none; the message lists the shipped ones.
    """
    text = str(source)
    shipped = {name for entry in catalogue().of_kind("recipe") for name in (entry.name, entry.qualified)}
    if isinstance(source, str) and text in shipped:
        path = shipped_path(catalogue().find("recipe", text))
        return Origin(path.name, path)
    path = folder / Path(text).expanduser()
    if path.is_file():
        return Origin(text, path)
    if path.is_dir():
        raise UserError(f"'{text}' is a folder, not a recipe", where=where, hint="name the YAML file in it")
    is_file_name = Path(text).name != text or text.endswith(_SUFFIXES)
    hint = f"looked in {path.parent}" if is_file_name else f"shipped recipes: {close_match(text, shipped)}"
    raise UserError(f"there is no recipe '{text}'", where=where, hint=hint)


def read_tree(source: str | Path | Mapping[str, Any], problems: list[Problem]) -> tuple[Node, str]:
    """The tree of a recipe, with those it extends merged under it, and the name that it has by default.

    Raises:
        UserError: if one of them cannot be found or read as YAML.
    """
    if isinstance(source, Mapping):
        root = from_plain(source, "recipe", problems)
        return _extended(root, Path.cwd(), (), problems), "recipe"
    origin = locate(source, Path.cwd())
    return _read(origin, (), problems), origin.path.stem


def _read(origin: Origin, stack: tuple[Path, ...], problems: list[Problem]) -> Node:
    try:
        text = origin.path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError("it is not UTF-8 text", where=f"{origin.label}:{line}") from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=origin.label) from error
    root = read_yaml(text, origin.label, problems)
    if not isinstance(root.value, dict):
        what = "empty" if root.value is None else "not a mapping of keys"
        raise UserError(f"the recipe is {what}", where=root.where, hint="it begins with 'stem: 1'")
    return _extended(root, origin.path.resolve().parent, (*stack, origin.path.resolve()), problems)


def _extended(root: Node, folder: Path, stack: tuple[Path, ...], problems: list[Problem]) -> Node:
    own = dict(root.value)
    extends = own.pop("extends", None)
    below = Node({}, root.where)
    fatal: list[Problem] = []
    for parent in _parents(extends, problems):
        try:
            origin = locate(parent.value, folder, parent.where)
            if origin.path.resolve() in stack:
                chain = " -> ".join(p.name for p in (*stack, origin.path))
                raise UserError(f"recipes extend each other in a circle: {chain}", where=parent.where)
            below = merge(below, _read(origin, stack, problems), problems)
        except UserError as error:
            fatal += error.problems
    if fatal:
        needs: list[Problem] = []
        unmet(own.get(KEY), needs)  # a recipe that is not there may be in a distribution that is not
        raise UserError(*needs, *problems, *fatal)
    return merge(below, Node(own, root.where), problems)


def _parents(extends: Node | None, problems: list[Problem]) -> list[Node]:
    if extends is None or extends.value is None:
        return []
    found = extends.value if isinstance(extends.value, list) else [extends]
    for node in found:
        if not isinstance(node.value, str):
            problems.append(Problem("extends takes a recipe's name or path, or a list of them", node.where))
    return [node for node in found if isinstance(node.value, str)]


def merge(base: Node, over: Node, problems: list[Problem], place: Place = (), *, typed: bool = True) -> Node:
    """``over`` laid on ``base``: mappings merge key by key, all else replaces, null removes.

    ``requires`` lists what either requires. A component whose ``type`` changes loses the keys of the old type and keeps
    the core's (``weight``, ``inputs``, ``every_*``). A mapping whose keys are all numbers, laid on a list, changes the
    list's elements.

    Args:
        base: the tree below.
        over: the tree above.
        problems: takes in elements of lists that are not there.
        place: where both stand in the recipe.
        typed: whether a changed ``type`` drops the old one's keys.
    """
    if over.value is None:
        return Node(None, over.where, removes=True)
    if place == (KEY,) and isinstance(base.value, list) and isinstance(over.value, list):
        return merged(base, over)
    if kind_at(place) and not (isinstance(base.value, str) and isinstance(over.value, str)):
        base, over = _spelt_out(base), _spelt_out(over)
    if isinstance(base.value, list) and isinstance(over.value, dict) and over.value:
        return _elements(base, over, problems, place, typed)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    kept = dict(base.value)
    if typed and place == ("optimizer",) and base.value and over.value and is_groups(base) != is_groups(over):
        if "type" in over.value or "type" in base.value:
            return over
    elif typed:
        kept = _without_old_type(base, over, place)
    for key, child in over.value.items():
        kept[key] = merge(kept[key], child, problems, (*place, key), typed=typed) if key in kept else child
    return Node(kept, over.where if not base.value else base.where)


def _spelt_out(node: Node) -> Node:
    """``name`` as ``{type: name}``."""
    return Node({"type": node}, node.where) if isinstance(node.value, str) else node


def _without_old_type(base: Node, over: Node, place: Place) -> dict[str, Node]:
    kind = kind_at(place) or ("optimizer" if len(place) == 2 and place[0] == "optimizer" else None)
    new = over.value.get("type")
    if kind is None or new is None:
        return dict(base.value)
    key = Node(place[-1], "") if place and place[0] in KEYED and len(place) == 2 else None
    old = base.value.get("type") or key
    if old is None or str(old.value).split("/")[-1] == str(new.value).split("/")[-1]:
        return dict(base.value)
    return {name: child for name, child in base.value.items() if name in CORE_KEYS.get(kind, ())}


def _elements(base: Node, over: Node, problems: list[Problem], place: Place, typed: bool) -> Node:
    items = list(base.value)
    for key, child in over.value.items():
        if key.isdecimal() and int(key) < len(items):
            items[int(key)] = merge(items[int(key)], child, problems, (*place, int(key)), typed=typed)
            continue
        hint = f"it is a list of {len(items)}, counted from 0"
        problems.append(Problem(f"{dotted(place)} has no element '{key}'", child.where, hint))
    return Node(items, base.where)
