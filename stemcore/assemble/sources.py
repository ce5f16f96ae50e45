"""The data of a run: which items of which data set train, validate and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from stemcore.component.dataset import Dataset
from stemcore.component.fields import DataSpec, main_fields
from stemcore.data.cache import Cache
from stemcore.data.source import Source, whole
from stemcore.data.split import split
from stemcore.errors import Problem, UserError
from stemcore.recipe import Component, Recipe


@dataclass(frozen=True)
class Sources:
    """What trains, validates and tests; the last two may be absent."""

    train: Source
    val: Source | None
    test: Source | None

    @property
    def spec(self) -> DataSpec:
        """The fields as stored."""
        return spec_of(self.train.dataset)

    def kept(self, cache_of: Callable[[Dataset], Cache | None]) -> Sources:
        """The same items, each data set with the cache that ``cache_of`` gives it."""
        caches: dict[int, Cache | None] = {}

        def with_cache(source: Source) -> Source:
            key = id(source.dataset)
            if key not in caches:
                caches[key] = cache_of(source.dataset)
            return replace(source, cache=caches[key])

        return Sources(with_cache(self.train), *(s and with_cache(s) for s in (self.val, self.test)))

    def close(self) -> None:
        """Lets go of every file."""
        for source in (self.train, self.val, self.test):
            if source is not None:
                source.dataset.close()

    def held_out(self) -> tuple[str, Source]:
        """The best there is to judge by, and what it is: test, else validation, else the training items."""
        for name, source in (("test", self.test), ("validation", self.val)):
            if source is not None:
                return name, source
        return "training", self.train


def spec_of(dataset: Dataset) -> DataSpec:
    """The fields of a data set as stored."""
    return DataSpec(dict(dataset.fields), dataset.scan_shape)


def open_sources(recipe: Recipe) -> Sources:
    """Opens the data sets and splits them.

    Raises:
        UserError: with every problem of every data set: one that cannot be opened, that has too few items, or whose
            fields are not those of the training data.
    """
    data = recipe.data
    problems: list[Problem] = []
    opened: dict[str, Dataset] = {}
    for part, wanted in (("train", data.train), ("val", data.val), ("test", data.test)):
        if isinstance(wanted, Component):
            try:
                opened[part] = wanted.build()
            except UserError as error:
                problems += [placed(p, wanted.where) for p in error.problems]
    if problems:
        raise UserError(*problems)
    train = opened["train"]
    for part in ("val", "test"):
        if part in opened:
            problems += compare(train, opened[part], f"data.{part}")
    if len(train) < 2:
        count = "no items" if len(train) == 0 else "a single item"
        hint = f"give more, or cut large ones into several if 'stem plugins show dataset/{data.train.type}' says how"
        problems.append(Problem(f"the data have {count}, which cannot be trained on", data.train.where, hint))
    if problems:
        raise UserError(*problems)
    val, test = (v if isinstance(v, float | int) else 0.0 for v in (data.val, data.test))
    parts = split(train, val=val, test=test, by=data.split, seed=recipe.seed, folds=data.folds, fold=data.fold or 0)
    rest = {p: whole(opened[p]) if p in opened else Source(train, getattr(parts, p)) for p in ("val", "test")}
    return Sources(Source(train, parts.train), *(s if len(s) else None for s in rest.values()))


def compare(train: Dataset, other: Dataset, where: str) -> list[Problem]:
    """What keeps ``other`` from being used with a model of ``train``: a main field of another shape."""
    problems = []
    for name, spec in train.fields.items():
        there = other.fields.get(name)
        if there is not None and there.shape != spec.shape:
            problems.append(Problem(f"'{name}' has shape {there.shape}, the training data have {spec.shape}", where))
        elif there is not None and there.features != spec.features:
            new = sorted({*there.features} - {*spec.features}) or ["the order"]
            what = f"other features than the training data, such as {new[0]}"
            problems.append(Problem(f"'{name}' has {what}", where, "give it the same features in the same order"))
        elif there is not None and there.source != spec.source:
            message = f"'{name}' was made by another run than that of the training data"
            problems.append(Problem(message, where, "give what the same run has made"))
    for name in main_fields(train.fields):
        if name not in other.fields:
            problems.append(Problem(f"there is no field '{name}', only {', '.join(other.fields)}", where))
    return problems


def placed(problem: Problem, where: str) -> Problem:
    """A problem that says where in the recipe it comes from, unless it names a place itself."""
    return problem if problem.where else Problem(problem.message, where, problem.hint)
