"""From a tree of plain values to a checked recipe, with everything that is wrong found in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stemcore.errors import Problem, UserError, close_match
from stemcore.recipe.checks import contradictions, has_validation, without_validation
from stemcore.recipe.deprecations import deprecations
from stemcore.recipe.document import Recipe
from stemcore.recipe.inspection import FAILED, Inspection
from stemcore.recipe.node import Node, Place
from stemcore.recipe.parts import Component, FigureTerm, LossTerm, MetricTerm, OptimizerGroup
from stemcore.recipe.requires import KEY, recorded
from stemcore.recipe.sections import DataConfig, FigureKeys, GroupKeys, Header, LossKeys, MetricKeys, TrainerConfig
from stemcore.recipe.slots import SECTIONS, is_groups

_REQUIRED = ("data", "model", "losses", "optimizer")


def resolve(root: Node, default_name: str, problems: list[Problem], lacking: Sequence[str] = ()) -> Recipe:
    """Checks a tree and finds its components.

    Args:
        root: the whole recipe, defaults of plugins and overrides merged in.
        default_name: its name where it gives none.
        problems: what was found wrong on the way here; reported together with what is found here.
        lacking: requirements that are not met, which are among ``problems``.

    Raises:
        UserError: with every problem.
    """
    work = _Resolver(root, problems, lacking)
    recipe = work.recipe(default_name)
    if recipe is not None and not has_validation(recipe):
        recipe = replace(recipe, trainer=without_validation(recipe.trainer))
    if recipe is not None and not problems:
        problems += contradictions(recipe)
    if recipe is None or problems:
        raise UserError(*dict.fromkeys(problems))
    return recipe


def section_problems(section: str, node: Node) -> list[Problem]:
    """What is wrong with a section by itself, but for what of the data must still be given.

    Args:
        section: its key.
        node: what it holds.
    """
    work = _Resolver(Node({section: node}, node.where), [])
    work.part(section)
    missing = r"data\.train(\.\w+)* is required"
    return [problem for problem in dict.fromkeys(work.problems) if not re.fullmatch(missing, problem.message)]


class _Resolver(Inspection):
    def recipe(self, default_name: str) -> Recipe | None:
        """The recipe, or null where a part of it is wrong (which is reported)."""
        known = [*Header.model_fields, *SECTIONS]
        for key in self.root.value:
            if key not in known:
                self.report((key,), f"unknown key '{key}'", close_match(key, known))
        for key in _REQUIRED:
            if not self.given((key,)):
                self.report((key,), f"{key} is required")
        losses = self.root.nearest(("losses",)).value
        if self.given(("losses",)) and isinstance(losses, dict) and all(node.value is None for node in losses.values()):
            self.report(("losses",), "losses: at least one is required")
        header = {"name": default_name, **self.plain_children((), Header.model_fields)}
        start = self.section(Header, (), header)
        parts = {name: self.part(name) for name in SECTIONS}
        if self.problems or start is None or any(parts[name] is None for name in ("data", "model", "trainer")):
            return None
        return Recipe(
            stem=start.stem,
            name=start.name,
            seed=start.seed,
            requires=recorded(self.root.get(KEY), (component.entry for _, component in self.components)),
            tree=self.root,
            deprecations=tuple(deprecations(self.root, self.components)),
            **parts,
        )

    def part(self, name: str) -> Any:
        """A section, as far as it is right."""
        readers: dict[str, Callable[[], Any]] = {
            "data": self.data,
            "losses": self.losses,
            "metrics": self.metrics,
            "optimizer": self.optimizers,
            "trainer": lambda: self.section(TrainerConfig, ("trainer",), self.plain_children(("trainer",))),
            "backend": self.backend,
            "loggers": lambda: self.listed("logger", ("loggers",)),
            "figures": self.figures,
            "callbacks": lambda: {key: found for key, found in self.keyed("callbacks") if found is not None},
        }
        if name in readers:
            return readers[name]()
        return self.component(name, (name,)) if self.given((name,)) else None

    def data(self) -> DataConfig | None:
        if not self.given(("data",)):
            return None
        values = self.plain_children(("data",))
        if not isinstance(self.root.nearest(("data",)).value, dict):
            return None
        built: dict[str, Any] = {}
        for key, kind in (("train", "dataset"), ("val", "dataset"), ("test", "dataset"), ("sampler", "sampler")):
            if key in values and (key in ("train", "sampler") or isinstance(values[key], (dict, str))):
                built[key] = self.component(kind, ("data", key)) or FAILED
        for key in ("val", "test"):
            node = self.root.nearest(("data",)).get(key)
            if node is not None and node.value is None:
                built[key] = 0.0
        before = len(self.problems)
        built["augment"] = self.listed("augmentation", ("data", "augment"))
        built["transforms"] = {
            name: self.listed("transform", ("data", "transforms", name))
            for name in self.children(("data", "transforms"))
        }
        complete = len(self.problems) == before
        failed = [key for key, value in built.items() if value is FAILED]
        config = self.section(DataConfig, ("data",), {**values, **built}, failed)
        return config if complete else None

    def losses(self) -> dict[str, LossTerm]:
        terms = {}
        for key, component in self.keyed("losses"):
            place = ("losses", key)
            weight = self.root.nearest(place).get("weight")
            scheduled = weight is not None and isinstance(weight.value, (dict, str))
            keys = self.core_keys(LossKeys, place, but=("weight",) if scheduled else ())
            schedule = self.component("weight_schedule", (*place, "weight")) if scheduled else None
            if component is not None and keys is not None and (schedule is not None or not scheduled):
                terms[key] = LossTerm(component, schedule or keys.weight, keys.inputs, keys.gather)
        return terms

    def metrics(self) -> dict[str, MetricTerm]:
        terms = {}
        for key, component in self.keyed("metrics"):
            keys = self.core_keys(MetricKeys, ("metrics", key))
            if component is not None and keys is not None:
                terms[key] = MetricTerm(component, keys.inputs, keys.every_n_steps)
        return terms

    def figures(self) -> dict[str, FigureTerm]:
        terms = {}
        for key, component in self.keyed("figures"):
            keys = self.core_keys(FigureKeys, ("figures", key))
            if component is not None and keys is not None:
                terms[key] = FigureTerm(component, keys.inputs, keys.every_n_epochs)
        return terms

    def optimizers(self) -> dict[str, OptimizerGroup]:
        if not self.given(("optimizer",)):
            return {}
        node = self.root.nearest(("optimizer",))
        places: dict[str, Place] = {"default": ("optimizer",)}
        if is_groups(node):
            places = {key: ("optimizer", key) for key in node.value}
        groups = {}
        for key, place in places.items():
            component, keys = self.component("optimizer", place), self.core_keys(GroupKeys, place)
            if component is not None and keys is not None:
                groups[key] = OptimizerGroup(component, keys.parameters, keys.losses)
        return groups

    def backend(self) -> Component | None:
        value = self.root.nearest(("backend",)).plain() if self.given(("backend",)) else "auto"
        return None if value in ("auto", {"type": "auto"}) else self.component("backend", ("backend",))
