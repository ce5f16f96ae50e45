"""A run on disk: what it is, and its model, loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric

from stemcore.assemble import FrozenRun, Parts, assemble, assemble_alone, refuse_other_inner
from stemcore.assemble.sources import Sources, open_sources
from stemcore.component.dataset import Dataset
from stemcore.component.fields import DataSpec
from stemcore.component.model import Model
from stemcore.component.run_reference import RunReference
from stemcore.data.source import Source, whole
from stemcore.data.tensors import Batch
from stemcore.errors import Problem, UserError
from stemcore.progress import Reporter
from stemcore.progress import reporter as default_reporter
from stemcore.recipe import Recipe
from stemcore.runs.directory import SUMMARY
from stemcore.runs.items import Items, items_of
from stemcore.runs.predictor import Declared, Predictor
from stemcore.runs.resume import locate, recipe_applied
from stemcore.runs.stream import each
from stemcore.trainer import checkpoint
from stemcore.trainer.callbacks.keeper import BEST, LAST
from stemcore.trainer.engine import launch

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A run's model on a device, ready for data."""

    parts: Parts
    model: Model
    fabric: Fabric

    def each(
        self,
        source: Source,
        verb: Callable[..., T],
        take: Callable[[Batch, T], None],
        title: str,
        reporter: Reporter | None = None,
    ) -> None:
        """One pass over items in the order of storage, for results that are written in a way of their own.

        Args:
            source: the items, those that :meth:`Run.load` gave or :meth:`Source.only` some of them.
            verb: of the model: its fields of a batch (n, ...) to what is wanted of them.
            take: is handed each batch as stored, with ``index`` (n,) the numbers of its items, and what ``verb`` made
                of it.
            title: of the progress.
            reporter: progress.

        Raises:
            KeyboardInterrupt: after SIGINT or SIGTERM, between two batches.
        """
        each(self.parts, self.model, self.fabric, source, verb, take, title, reporter or default_reporter())


class SavedRun(RunReference):
    """A run directory: what was trained, on which data, and the model."""

    def __init__(self, given: Path, expected: str | None = None, overrides: Sequence[str] = ()) -> None:
        super().__init__(given, expected)
        self._overrides = overrides

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.given)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"given": self.given, "expected": self.expected, "_overrides": self._overrides}

    @cached_property
    def _place(self) -> tuple[Path, Path]:
        return locate(self.given, (BEST, LAST))

    @property
    def directory(self) -> Path:
        """Where it is. Raises ``UserError`` if there is no run."""
        return self._place[0]

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that is used: the best one, else the last one, or the one that was named."""
        return self._place[1]

    @property
    def sha256(self) -> str:
        """SHA-256 of the checkpoint, 64 hexadecimal digits."""
        return checkpoint.sha256(self.checkpoint)

    @cached_property
    def recipe(self) -> Recipe:
        """What was trained."""
        return recipe_applied(self.directory, self._overrides)

    @property
    def summary(self) -> dict[str, Any]:
        """Contents of ``summary.json``."""
        path = self.directory / SUMMARY
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @property
    def figures(self) -> list[Path]:
        """The pictures of the run."""
        return sorted((self.directory / "figures").glob("*.png"))

    @cached_property
    def _contents(self) -> dict[str, Any]:
        return checkpoint.load(self.checkpoint)

    def predictor(self) -> Predictor:
        """The model with its transforms, on the recipe's device, for data in memory; the run's own need not be there.

        Raises:
            UserError: if it cannot be built.
        """
        absent = Sources(whole(Declared(self.fields)), None, None)
        loaded = self._loaded(assemble(_one_device(self.recipe), absent))
        return Predictor(loaded.parts, loaded.model, loaded.fabric)

    def frozen(self) -> FrozenRun:
        """The model with its weights and transforms as a module, for the model of another run that uses it and leaves
        it as it is; on the CPU, or without weights on the meta device where that is PyTorch's default one
        (``torch.device("meta")``). The data that it was trained on need not be there.

        Raises:
            UserError: if there is no run, if its checkpoint is another one than the recipe named, or if the model
                cannot be built.
        """
        self.verify()
        contents = checkpoint.load(self.checkpoint, mapped=True)
        refuse_other_inner(self.recipe, contents.get("runs", {}), str(self.checkpoint))
        with torch.random.fork_rng(devices=[]):  # the other model's first weights do not depend on this one's
            model, pipeline = assemble_alone(self.recipe, checkpoint.fields_of(contents))
        weights, where = contents["weights"], str(self.checkpoint)
        if torch.empty(0).device.type == "meta":  # their shapes alone, which are checked nonetheless
            weights = {name: weight.to("meta") for name, weight in weights.items()}
        checkpoint.load_weights(weights, checkpoint.MODEL, model, where)
        checkpoint.load_weights(weights, checkpoint.TRANSFORMS, pipeline, where)
        return FrozenRun(model, pipeline)

    @cached_property
    def fields(self) -> DataSpec:
        """The fields of the data that it was trained on, as stored."""
        return checkpoint.fields_of(checkpoint.load(self.checkpoint, mapped=True))

    def items(self) -> dict[str, Items]:
        """The run's own data by what they are for: ``train``, and ``val`` and ``test`` where there are such.

        Raises:
            UserError: if the data cannot be opened.
        """
        sources = open_sources(self.recipe)
        try:
            return items_of(sources)
        finally:
            sources.close()

    def all_items(self, data: str | Path | None = None) -> Items:
        """The items that :meth:`encode` goes through, in its order: those of the data set that was trained on, held-out
        ones too, or those of ``data``.

        Raises:
            UserError: if the data cannot be opened, or do not fit the model.
        """
        if data is not None:
            return Items(self._elsewhere(data))
        sources = open_sources(self.recipe)
        try:
            return Items(whole(sources.train.dataset))
        finally:
            sources.close()

    def load(self, data: str | Path | None = None, *, scored: bool = False) -> tuple[Loaded, Source]:
        """The model with its weights and transforms, on the recipe's device, and the items of ``data``.

        Args:
            data: other data; by default all of the run's own. They need not have all fields that the run was trained
                on: labels and targets, which the model itself does not take, may be missing.
            scored: whether losses and metrics are wanted, too: then what these need has to be there.

        Raises:
            UserError: if the data do not fit the model.
        """
        if data is None:
            parts = assemble(_one_device(self.recipe))
            source = whole(parts.sources.train.dataset)
        else:
            source = self._elsewhere(data)
            there = source if scored else whole(Declared(self._with_missing(source.dataset)))
            parts = assemble(_one_device(self.recipe), Sources(there, None, None))
            self._refuse_lacking(parts, source.dataset, str(data))
        return self._loaded(parts), source

    def _with_missing(self, dataset: Dataset) -> DataSpec:
        """The fields of other data, and those that the run was trained on and they lack: the model is built by all."""
        return DataSpec({**self.fields, **dataset.fields}, dataset.scan_shape)

    def _refuse_lacking(self, parts: Parts, dataset: Dataset, where: str) -> None:
        needed = {wire.source for wire in parts.model_wires if not wire.optional} & {*self.fields}
        missing = sorted(needed - {*dataset.fields})
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise UserError(f"the data have no {names}, which the model takes", where=where)

    def _elsewhere(self, data: str | Path) -> Source:
        train = self.recipe.data.train
        kind: type[Dataset] = train.schema.target  # type: ignore[assignment]
        source = whole(kind.elsewhere(Path(data), **train.arguments))
        self._refuse_misfit(source, str(data))
        return source

    def _loaded(self, parts: Parts) -> Loaded:
        fabric = launch(parts)
        refuse_other_inner(parts.recipe, self._contents.get("runs", {}), str(self.checkpoint))
        model = parts.build_model()
        weights, where = self._contents["weights"], str(self.checkpoint)
        checkpoint.load_weights(weights, checkpoint.MODEL, model, where)
        checkpoint.load_weights(weights, checkpoint.TRANSFORMS, parts.pipeline, where)
        parts.pipeline.to(fabric.device)
        model.to(fabric.device)
        return Loaded(parts, model, fabric)

    def _refuse_misfit(self, source: Source, where: str) -> None:
        problems = []
        for name, there in source.dataset.fields.items():
            trained = self.fields.get(name)
            if trained is not None and there.shape != trained.shape:
                message = f"'{name}' has shape {there.shape}, the run was trained on {trained.shape}"
                problems.append(Problem(message, where, "give data of that shape"))
            elif trained is not None and there.features != trained.features:
                at = next(i for i, (a, b) in enumerate(zip(there.features, trained.features, strict=False)) if a != b)
                message = f"'{name}' has other features: {there.features[at]} where the run was trained on"
                problems.append(Problem(f"{message} {trained.features[at]}", where, "give the same, in the same order"))
            elif trained is not None and there.source != trained.source:
                message = f"'{name}' was made by another run than what this one was trained on"
                problems.append(Problem(message, where, "give what the same run has made"))
        if problems:
            raise UserError(*problems)


def _one_device(recipe: Recipe) -> Recipe:
    return replace(recipe, trainer=recipe.trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto"}))
