"""A run on disk: load it and apply it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stemcore.assemble import FrozenRun, Parts, assemble, assemble_alone, refuse_other_inner
from stemcore.assemble.sources import Sources, open_sources
from stemcore.component.dataset import Dataset
from stemcore.component.fields import DataSpec, main_fields
from stemcore.component.model import Model
from stemcore.component.run_reference import RunReference
from stemcore.data.source import Source, whole
from stemcore.data.tensors import Batch
from stemcore.errors import Problem, UserError
from stemcore.files import write_atomically
from stemcore.progress import Reporter
from stemcore.progress import reporter as default_reporter
from stemcore.recipe import Recipe
from stemcore.runs.directory import SUMMARY
from stemcore.runs.items import Items, items_of
from stemcore.runs.predictor import Declared, Predictor
from stemcore.runs.resume import locate, recipe_applied
from stemcore.runs.scores import evaluate
from stemcore.runs.storage import OutputFile, Storage
from stemcore.runs.store import RowArray, RowWriter, save_npz
from stemcore.runs.stream import each, stream
from stemcore.runs.writer import Begin
from stemcore.trainer import checkpoint
from stemcore.trainer.callbacks.keeper import BEST, LAST
from stemcore.trainer.engine import launch

Into = Callable[[Begin], None]
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
        each(self.parts, self.model, self.fabric, source, verb, take, title, _said(reporter))


class Run(RunReference):
    """A run directory, as :func:`load_run` gives it.

    A component that uses another run has a keyword-only parameter of this type: in a recipe it takes a run directory or
    a checkpoint, ``autoencoder: runs/ae``, and the component gets the run, of which nothing is read before it is used.

    Attributes:
        summary: final and best metrics; empty while a run has not ended.
    """

    def __init__(self, given: Path, expected: str | None = None, overrides: Sequence[str] = ()) -> None:
        super().__init__(given, expected)
        self._overrides = overrides

    def __repr__(self) -> str:
        return f"Run({str(self.given)!r})"

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

    def encode(
        self, out: str | Path | None = None, *, data: str | Path | None = None, reporter: Reporter | None = None
    ) -> np.ndarray | Path:
        """Latents of every item, shaped to the scan where there is one.

        Args:
            out: ``.h5`` or ``.npz`` file, dataset ``latents``; without it they are returned.
            data: other data; by default all of the run's own.
            reporter: progress.

        Raises:
            UserError: if the model has no latents, or the data do not fit it.
        """
        path = _output(out, (".h5", ".hdf5", ".npz"))
        loaded, source = self.load(data)
        with _reading(source, path):
            into = self._into(loaded, source, loaded.model.encode, "encoding", reporter)
            if path is not None and path.suffix != ".npz":
                return self._write(path, "latents", into, source)
            latents = RowArray(len(source), source.dataset.scan_shape)
            into(lambda row: latents)
        if path is not None:
            write_atomically(path, lambda part: save_npz(part, latents.shaped))
            return path
        return latents.shaped

    def reconstruct(
        self,
        out: str | Path,
        *,
        data: str | Path | None = None,
        dtype: str = "float32",
        compression: str = "none",
        reporter: Reporter | None = None,
    ) -> Path:
        """Writes the reconstruction of every item, in physical units, to an HDF5 file, dataset ``patterns``, shaped to
        the scan where there is one. Memory does not grow with the data.

        Args:
            out: ``.h5`` file.
            data: other data; by default all of the run's own.
            dtype: ``float32``, or ``float16``: half the size, three significant digits, values up to 65504.
            compression: ``none``, ``gzip``, ``bitshuffle-lz4`` or ``blosc-zstd``.
            reporter: progress.

        Raises:
            UserError: if the model does not reconstruct, or the data do not fit it, or their reconstruction the disk.
            OSError: if the disk is full or fails; nothing is left of the file.
        """
        path, storage = _output(out, (".h5", ".hdf5")), Storage(dtype, compression)
        loaded, source = self.load(data)
        assert path is not None
        spec = loaded.parts.spec.get("input")
        if spec is None:
            fields = ", ".join(main_fields(loaded.parts.spec))
            message = f"the run has several inputs ({fields}) and no reconstruction of them all"
            raise UserError(message, where=str(self.directory))
        chain = loaded.parts.supply.chains.get("prediction")

        def denoise(**fields: Tensor) -> Tensor:
            prediction = loaded.model.reconstruct(**fields).float()
            prediction = chain.inverse(prediction) if chain is not None else prediction
            return prediction[:, 0] if spec.implicit_channel else prediction

        with _reading(source, path):
            into = self._into(loaded, source, denoise, "reconstructing", reporter, getattr(torch, dtype))
            return self._write(path, "patterns", into, source, spec.unit, storage)

    def evaluate(self, *, data: str | Path | None = None, reporter: Reporter | None = None) -> dict[str, Any]:
        """Every metric of the recipe on held-out items (the test split, else the validation split) or on other data,
        for the model and for simple predictions to beat: zeros, the mean, PCA with as many components as latents (not
        where the model is not shown all of an item: PCA is).

        Returns:
            ``{"data": what was scored, "items": how many, "scores": {predictor: {metric: value}}}``; a metric that a
            simple prediction cannot have (one that asks for the model) is left out of its scores.
        """
        loaded, source = self.load(data, scored=True)
        if data is None:
            name, held_out = loaded.parts.sources.held_out()
            scored = f"{name} split", held_out
        else:
            scored = str(data), source
        try:
            return evaluate(loaded.parts, loaded.model, loaded.fabric, *scored, _said(reporter))
        finally:
            loaded.parts.sources.close()

    def impute(
        self, given: Mapping[str, np.ndarray], *, draws: int = 0, reporter: Reporter | None = None
    ) -> dict[str, np.ndarray]:
        """The fields that are missing, by name, in physical units.

        Args:
            given: the fields that are there, each (n, *shape), as stored; NaN where a value is missing and the
                transforms fill it in.
            draws: 0 for the one prediction that is the same every time, each field (n, *shape); or so many random
                draws of what is probable, each field (draws, n, *shape).
            reporter: progress.

        Raises:
            UserError: if the model does not impute, or the fields do not fit it.
        """
        return self.predictor().impute_arrays(given, draws=draws, reporter=_said(reporter))

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        conditions: Mapping[str, np.ndarray] | None = None,
        reporter: Reporter | None = None,
    ) -> dict[str, np.ndarray]:
        """New items, as the model draws them: the main field by its name, (n, *shape), in physical units. The data need
        not be there.

        Args:
            n: how many.
            seed: of the random numbers; the run's own by default. The same seed and batch size give the same items.
            batch_size: drawn at a time; data.eval_batch_size of the run by default.
            conditions: what the items are to be like, for a model that knows conditions: fields by name, each
                (n, *shape), as stored.
            reporter: progress.

        Raises:
            UserError: if the model does not sample, or not under these conditions.
        """
        given: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "conditions": conditions}
        return self.predictor().sample_arrays(n, reporter=_said(reporter), **given)

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

    def _into(
        self,
        loaded: Loaded,
        source: Source,
        verb: Callable[..., Tensor],
        title: str,
        reporter: Reporter | None,
        dtype: torch.dtype = torch.float32,
    ) -> Into:
        return partial(stream, loaded.parts, loaded.model, loaded.fabric, source, verb, title, _said(reporter), dtype)

    def _write(
        self,
        path: Path,
        name: str,
        into: Into,
        source: Source,
        unit: str | None = None,
        storage: Storage | None = None,
    ) -> Path:
        attributes = {"run": str(self.directory.resolve()), "recipe": self.recipe.name}
        attributes["source"] = ", ".join(str(f) for f in source.dataset.files)
        if unit:
            attributes["unit"] = unit

        def fill(part: Path) -> None:
            def begin(row: tuple[int, ...]) -> RowWriter:
                scan, file = source.dataset.scan_shape, OutputFile(part, path)
                return RowWriter(file, name, len(source), row, scan, attributes, storage or Storage())

            into(begin)

        write_atomically(path, fill)
        return path


def load_run(path: str | Path, overrides: Sequence[str] = ()) -> Run:
    """A run from its directory (its best checkpoint) or from one of its checkpoints.

    Args:
        path: the directory or the checkpoint.
        overrides: ``model.KEY=VALUE`` for what of the model does not change its weights' shapes, such as
            ``model.pooling=tokens``; ``data.eval_batch_size=N``.

    Raises:
        UserError: if there is no run; for each override of anything else. Weights that an override has made misfit are
            told of when they are loaded.
    """
    found = Run(Path(path), overrides=overrides)
    _ = found.recipe  # now rather than when it is used first: what is wrong with the arguments is told of at once
    return found


def _output(out: str | Path | None, endings: tuple[str, ...]) -> Path | None:
    if out is None:
        return None
    path = Path(out)
    if path.suffix not in endings:
        raise UserError(f"the output must end in {' or '.join(endings)}", where=str(path))
    if path.is_dir() or not path.parent.is_dir():
        raise UserError("there is no such folder to write to", where=str(path.parent))
    return path


@contextmanager
def _reading(source: Source, path: Path | None) -> Iterator[None]:
    """Lets go of the files read in the end; none of them is what is written."""
    try:
        if path is not None and path.resolve() in [f.resolve() for f in source.dataset.files]:
            raise UserError("the data are read from this file", where=str(path), hint="give the output another name")
        yield
    finally:
        source.dataset.close()


def _one_device(recipe: Recipe) -> Recipe:
    return replace(recipe, trainer=recipe.trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto"}))


def _said(reporter: Reporter | None) -> Reporter:
    return reporter or default_reporter()
