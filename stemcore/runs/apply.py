"""A run applied to data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemcore.component.fields import main_fields
from stemcore.data.source import Source
from stemcore.errors import UserError
from stemcore.files import write_atomically
from stemcore.progress import Reporter
from stemcore.progress import reporter as default_reporter
from stemcore.runs.saved import Loaded, SavedRun
from stemcore.runs.scores import evaluate
from stemcore.runs.storage import OutputFile, Storage
from stemcore.runs.store import RowArray, RowWriter, save_npz
from stemcore.runs.stream import stream
from stemcore.runs.writer import Begin

Into = Callable[[Begin], None]


class Run(SavedRun):
    """A run directory, as :func:`load_run` gives it.

    A component that uses another run has a keyword-only parameter of this type: in a recipe it takes a run directory or
    a checkpoint, ``autoencoder: runs/ae``, and the component gets the run, of which nothing is read before it is used.

    Attributes:
        summary: final and best metrics; empty while a run has not ended.
    """

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


def _said(reporter: Reporter | None) -> Reporter:
    return reporter or default_reporter()
