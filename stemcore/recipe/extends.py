"""Recipes built on others: where a recipe is found, ``extends``, and the merging of trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import catalogue
from stemcore.plugins.shipped import shipped_path
from stemcore.plugins.signature import CORE_KEYS
from stemcore.recipe.elements import element
from stemcore.recipe.files import SUFFIXES, read_file
from stemcore.recipe.node import Node, Place, from_plain
from stemcore.recipe.options import with_options
from stemcore.recipe.requires import KEY, merged, unmet
from stemcore.recipe.slots import EXTENDS, KEYED, SECTIONS, STAGES, VERB, is_groups, kind_at


@dataclass(frozen=True)
class Origin:
    """Where a recipe comes from: its name in messages, what tells it from others, and the file it is in."""

    label: str
    path: Path


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
    is_file_name = Path(text).name != text or text.endswith(SUFFIXES)
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
    root = read_file(origin.path, origin.label, problems)
    if not isinstance(root.value, dict):
        what = "empty" if root.value is None else "not a mapping of keys"
        raise UserError(f"the recipe is {what}", where=root.where, hint="it begins with 'stem: 1'")
    return _extended(root, origin.path.resolve().parent, (*stack, origin.path.resolve()), problems)


def _extended(root: Node, folder: Path, stack: tuple[Path, ...], problems: list[Problem]) -> Node:
    own = dict(root.value)
    extends = own.pop(EXTENDS, None)
    below = Node({}, root.where)
    fatal: list[Problem] = []
    try:
        own = with_options(Node(own, root.where), folder, problems).value
    except UserError as error:
        fatal += error.problems
    if STAGES in own:
        own[STAGES] = _stages(own[STAGES], folder, stack, problems, fatal)
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


def _stages(root: Node, folder: Path, stack: tuple[Path, ...], problems: list[Problem], fatal: list[Problem]) -> Node:
    """The stages of a ladder, each with what it extends merged under it. It keeps the name of that, and not the name
    and the seed in it: those are the ladder's to give."""
    stages = dict(root.value) if isinstance(root.value, dict) else {}
    for name, stage in stages.items():
        if not isinstance(stage.value, dict) or VERB in stage.value:
            continue
        try:
            tree = _extended(stage, folder, stack, problems)
        except UserError as error:
            fatal += error.problems
            continue
        kept = {key: child for key, child in tree.value.items() if key in stage.value or key not in ("name", "seed")}
        below = {EXTENDS: stage.value[EXTENDS]} if EXTENDS in stage.value else {}
        stages[name] = Node({**kept, **below}, stage.where)
    return Node(stages, root.where) if isinstance(root.value, dict) else root


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
    the core's (``weight``, ``inputs``, ``every_*``). A mapping laid on a list changes the list's elements: its keys are
    their places, or, where they are components, the types of those whose type no other has.

    Args:
        base: the tree below.
        over: the tree above.
        problems: takes in elements of lists that are not there.
        place: where both stand in the recipe.
        typed: whether a changed ``type`` drops the old one's keys.
    """
    if over.value is None:
        return Node(None, over.where, removes=True)
    if over.replaces:
        return over
    if place == (KEY,) and isinstance(base.value, list) and isinstance(over.value, list):
        return merged(base, over)
    if kind_at(place) and not (isinstance(base.value, str) and isinstance(over.value, str)):
        base, over = _spelt_out(base), _spelt_out(over)
    if isinstance(base.value, list) and isinstance(over.value, dict) and over.value:
        return _elements(base, over, problems, place, typed)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        # Text for a section is an option that there is not: what is laid over it must not hide that.
        misspelt = len(place) == 1 and place[0] in SECTIONS and isinstance(base.value, str)
        return base if misspelt and isinstance(over.value, dict) else over
    kept = dict(base.value)
    if typed and place == ("optimizer",) and base.value and over.value and is_groups(base) != is_groups(over):
        if "type" in over.value or "type" in base.value:
            return over
    elif typed:
        kept = _without_old_type(base, over, place)
    for key, child in over.value.items():
        # Below its name, a stage is a recipe with places of its own.
        inside = () if place == (STAGES,) else (*place, key)
        if key in kept and not (place == (STAGES,) and _another(kept[key], child)):
            kept[key] = merge(kept[key], child, problems, inside, typed=typed)
        else:
            kept[key] = child
    return Node(kept, over.where if not base.value else base.where, replaces=base.replaces)


def _another(base: Node, over: Node) -> bool:
    """Whether a stage does something else than that of the same name below it."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return False
    old, new = base.value.get(VERB), over.value.get(VERB)
    if new is None:  # what is laid over a verb changes its arguments and options, unless it is a recipe
        return old is not None and any(key in over.value for key in (EXTENDS, *SECTIONS))
    return old is None or old.value != new.value


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
        try:
            i = element(base, key, place)
        except UserError as error:
            problems += (Problem(p.message, child.where, p.hint) for p in error.problems)
            continue
        items[i] = merge(items[i], child, problems, (*place, i), typed=typed)
    return Node(items, base.where)
