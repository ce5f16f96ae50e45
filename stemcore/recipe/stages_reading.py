"""Reading a ladder: its keys, the overrides of each stage, and what the stages read of one another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins import Entry, catalogue
from stemcore.recipe.defaults import with_defaults
from stemcore.recipe.inspection import Inspection
from stemcore.recipe.node import Node
from stemcore.recipe.overrides import read_overrides
from stemcore.recipe.requires import KEY, recorded, unmet
from stemcore.recipe.resolve import resolve
from stemcore.recipe.sections import Header
from stemcore.recipe.slots import EXTENDS, STAGES, VERB
from stemcore.recipe.stages import (
    MARK,
    NOWHERE,
    OUT,
    LadderRecipe,
    RecipeStage,
    Stage,
    VerbStage,
    is_inside,
    named,
    on,
    texts,
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
KEYS = (*Header.model_fields, STAGES)
TAKEN = (*KEYS, EXTENDS, "checkpoints", "figures", "job")
"""Names of other keys, and of what is in a run directory."""
OF_VERB = (VERB, "arguments", "options")


def read_stages(tree: Node, default_name: str, overrides: Sequence[str], problems: list[Problem]) -> LadderRecipe:
    """Checks the tree of a ladder, of whose stages those that train have what they extend merged under them.

    Args:
        tree: the whole ladder.
        default_name: its name where it gives none.
        overrides: ``stages.STAGE.KEY=VALUE``, or ``STAGE.KEY=VALUE``, or keys of the ladder itself.
        problems: what was found wrong on the way here; reported together with what is found here.

    Raises:
        UserError: with every problem of all stages.
    """
    return _Reading(tree, overrides, problems).ladder(default_name)


class _Reading:
    def __init__(self, tree: Node, overrides: Sequence[str], problems: list[Problem]) -> None:
        self.problems = problems
        stages = tree.get(STAGES)
        known = [*stages.value] if stages is not None and isinstance(stages.value, dict) else []
        own, self.overrides = _sorted_out(overrides, known, problems)
        self.root = read_overrides(own, problems).laid_over(tree, problems)
        self.stages: dict[str, Stage] = {}
        self.verbs: list[Entry] = []

    def ladder(self, default_name: str) -> LadderRecipe:
        look = Inspection(self.root, self.problems)
        for key in self.root.value:
            if key not in KEYS:
                look.report((key,), f"unknown key '{key}' of a ladder", close_match(key, KEYS))
        self.lacking = unmet(self.root.get(KEY), self.problems)
        header = {"name": default_name, **look.plain_children((), Header.model_fields)}
        self.header = look.section(Header, (), header)
        written = {name: node for name, node in look.children((STAGES,)).items() if node.value is not None}
        if not written and not self.problems:
            look.report((STAGES,), "stages: at least one is required")
        for name, node in written.items():
            self._stage(name, node, [*written])
        if self.problems or self.header is None:
            raise UserError(*dict.fromkeys(self.problems))
        recipes = [stage.recipe for stage in self.stages.values() if isinstance(stage, RecipeStage)]
        return LadderRecipe(
            **{name: getattr(self.header, name) for name in ("stem", "name", "seed")},
            requires=recorded(self.root.get(KEY), self.verbs),
            stages=self.stages,
            tree=self.root,
            deprecations=tuple(dict.fromkeys(d for recipe in recipes for d in recipe.deprecations)),
        )

    def _stage(self, name: str, node: Node, order: list[str]) -> None:
        found: list[Problem] = []
        if not NAME.fullmatch(name) or name in TAKEN:
            found.append(Problem("cannot be the name of a stage", node.where, "use letters, digits, _ and -"))
        if not isinstance(node.value, dict):
            found.append(Problem("should be a recipe, or a verb with arguments and options", node.where))
        else:
            earlier = order[: order.index(name)]
            try:
                stage = self._read(name, node, order, earlier, found)
                if stage is not None and not found:
                    self.stages[name] = stage
            except UserError as error:
                found += error.problems
        self.problems += (replace(p, message=f"stages.{name}: {p.message}") for p in dict.fromkeys(found))

    def _read(self, name: str, node: Node, order: list[str], earlier: list[str], found: list[Problem]) -> Stage | None:
        changes = read_overrides(self.overrides.get(name, ()), found, below=f"{STAGES}.{name}.")
        tree = changes.laid_over(node, found)
        if STAGES in tree.value:
            found.append(Problem("a stage is one recipe, not a ladder", tree.value[STAGES].where))
            return None
        reads = _reads(tree, order, earlier, found)
        if VERB in tree.value:
            return self._verb(name, tree, reads, found)
        below = tree.get(EXTENDS)
        own = {key: child for key, child in tree.value.items() if key != EXTENDS}
        if self.header is not None:
            own.setdefault("name", Node(f"{self.header.name}-{name}", node.where))
            own.setdefault("seed", Node(self.header.seed, self.root.nearest(("seed",)).where))
        whole = with_defaults(Node(own, node.where), found)
        lacking = [*self.lacking, *unmet(whole.get(KEY), found)]
        nowhere = {other: Path(NOWHERE) / f"{MARK}{other}" for other in order}
        recipe = resolve(on(whole, nowhere) if not found else whole, name, found, lacking)
        return RecipeStage(name, recipe, whole, reads, _text(below))

    def _verb(self, name: str, tree: Node, reads: tuple[str, ...], found: list[Problem]) -> VerbStage | None:
        for key, child in tree.value.items():
            if key not in OF_VERB:
                found.append(Problem(f"unknown key '{key}' of a verb", child.where, close_match(key, OF_VERB)))
        verb = tree.value[VERB]
        if not isinstance(verb.value, str) or not verb.value.split():
            found.append(Problem("verb should be the name of one: encode", verb.where))
            return None
        look = Inspection(tree, found)
        arguments = tree.get("arguments") or Node([], tree.where)
        listed = arguments.value if isinstance(arguments.value, list) else [arguments]
        listed = [item for item in listed if item is not arguments or item.value is not None]
        options = {key: child for key, child in look.children(("options",)).items() if child.value is not None}
        for key, child in [*((f"arguments.{i}", item) for i, item in enumerate(listed)), *options.items()]:
            items = child.value if isinstance(child.value, list) and not key.startswith("arguments.") else [child]
            if any(isinstance(item.value, (dict, list)) or item.value is None for item in items):
                found.append(Problem(f"{key} should be text, a number or true or false", child.where))
        out = options.get(OUT)
        if out is not None and (not isinstance(out.value, str) or not is_inside(out.value)):
            message = "options.out should be a path within the stage's folder"
            found.append(Problem(message, out.where, "write a name, such as latents.h5"))
        plain = {key: child.plain() for key, child in options.items()}
        words = " ".join(verb.value.split())
        self.verbs += _entry(words.split()[0])
        return VerbStage(name, words, tuple(item.plain() for item in listed), plain, reads, tree)


def _sorted_out(
    overrides: Sequence[str], stages: Sequence[str], problems: list[Problem]
) -> tuple[list[str], dict[str, list[str]]]:
    """The overrides of the ladder's own keys, and those of each stage without its name."""
    own: list[str] = []
    below: dict[str, list[str]] = {}
    if isinstance(overrides, str):  # a sequence of letters, which is said where they are read
        return overrides, below  # type: ignore[return-value]
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        whole = parts
        if parts[0] == STAGES and len(parts) > 1:
            parts = parts[1:]
        elif parts[0] in KEYS or not equals:
            own.append(text)
            continue
        if parts[0] not in stages:
            what = f"there is no stage '{parts[0]}'"
            hint = close_match(parts[0], stages if whole[0] == STAGES else [*stages, *KEYS])
            problems.append(Problem(what, f"{text} on the command line", hint))
        elif len(parts) == 1:
            own.append(f"{STAGES}.{parts[0]}={value}")
        else:
            below.setdefault(parts[0], []).append(f"{'.'.join(parts[1:])}={value}")
    return own, below


def _reads(tree: Node, order: Sequence[str], earlier: Sequence[str], found: list[Problem]) -> tuple[str, ...]:
    """The stages that a stage names, each of which must come before it."""
    reads: dict[str, None] = {}
    for node in texts(tree):
        name = named(node.value)
        if name is None:
            continue
        if name in earlier:
            reads[name] = None
            path = node.value.partition("/")[2]
            if path and not is_inside(path):
                found.append(Problem(f"'{node.value}' should name what the stage leaves, or a path in it", node.where))
        elif name in order:
            which = "the stage itself" if name not in order[len(earlier) + 1 :] else "a later stage"
            found.append(Problem(f"'{node.value}' is {which}; stages run in their order", node.where))
        else:
            found.append(Problem(f"'{node.value}': there is no stage '{name}'", node.where, close_match(name, earlier)))
    return tuple(reads)


def _entry(verb: str) -> list[Entry]:
    """The plugin's verb of that name, if there is one."""
    return [entry for entry in catalogue().of_kind("command") if verb in (entry.name, entry.qualified)][:1]


def _text(below: Node | None) -> str:
    plain: Any = below.plain() if below is not None else ""
    return " + ".join(map(str, plain)) if isinstance(plain, list) else str(plain or "")
