"""A run's latents of every item, into a store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stem_diffusion.latent_store import StoreWriter
from stem_diffusion.store_layout import COMPANIONS, Contents
from stemcore import Dataset, FieldSpec, UserError, reporter

if TYPE_CHECKING:
    from stemcore import Model, Run

SAVE_SECONDS = 2.0
OF_THE_INPUT = ("input", "target", "mask")
"""Fields that belong to the input, which stays behind."""


@dataclass(frozen=True)
class Wanted:
    """How to embed.

    Attributes:
        posterior: ``mean`` is what the model's ``encode`` gives; ``sample`` is drawn from its posterior.
        seed: of the draws.
        dtype: ``float32`` or ``float16``.
        fields: what to copy beside the latents; ``None`` for all that can be.
        restart: whether to begin anew where a store was begun.
    """

    posterior: str = "mean"
    seed: int = 0
    dtype: str = "float32"
    fields: tuple[str, ...] | None = None
    restart: bool = False


def embed(run: Run, out: Path, wanted: Wanted, data: str | Path | None = None) -> float:
    """Writes a latent store; one that was begun with the same contents is gone on with.

    Args:
        run: with a model that encodes.
        out: the file.
        wanted: how.
        data: other data; by default all of the run's own.

    Returns:
        The scale factor.

    Raises:
        UserError: if the model has no latents (of a fixed shape), or no posterior to draw from; if the store would
            differ from what was begun of it.
    """
    loaded, source = run.load(data)
    dataset: Dataset = source.dataset
    try:
        if out.resolve() in [f.resolve() for f in dataset.files]:
            raise UserError("the data are read from this file", where=str(out), hint="give the output another name")
        shape = _latent_shape(loaded.model, wanted.posterior)
        parts = dataset.parts if data is not None else _own_parts(loaded.parts.sources)
        contents = _contents(run, dataset, shape, wanted, parts)
        trains = np.ones(len(dataset), bool) if parts is None else np.asarray(parts) == "train"
        with StoreWriter(out, contents, restart=wanted.restart) as store:
            # Items come block by block, which need not be the order of their numbers.
            in_order = np.concatenate([*dataset.blocks(), np.empty(0, np.int64)])
            rest = source.only(np.sort(in_order[store.done :]))
            verb = loaded.model.encode if wanted.posterior == "mean" else partial(_posterior, loaded.model)
            loaded.each(rest, verb, _Filling(store, trains, wanted.seed), "embedding", reporter())
            return store.finish()
    finally:
        dataset.close()


class _Filling:
    """Takes batches to a store, and saves it now and then."""

    def __init__(self, store: StoreWriter, trains: np.ndarray, seed: int) -> None:
        self._store, self._trains, self._seed, self._saved = store, trains, seed, time.monotonic()

    def __call__(self, stored: Mapping[str, Tensor], given: Tensor | tuple[Tensor, Tensor]) -> None:
        items = stored["index"].cpu().numpy()
        latents = _rows(given) if isinstance(given, Tensor) else drawn(*map(_rows, given), items, self._seed)
        fields = {name: stored[name].cpu().numpy() for name in self._store.contents.fields}
        self._store.put(latents, fields, self._trains[items], items)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._store.save()
            self._saved = time.monotonic()


def drawn(mu: np.ndarray, logvar: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """Draws mu + sigma * eps, (n, ...) float32, with noise of each item's own: whatever the batches, an item has the
    same."""
    noise = [np.random.default_rng([seed, int(i)]).standard_normal(mu.shape[1:], np.float32) for i in items]
    latents: np.ndarray = mu + np.exp(0.5 * logvar) * np.stack(noise)
    return latents


def _rows(tensor: Tensor) -> np.ndarray:
    return tensor.to(torch.float32).cpu().numpy()


def _posterior(model: Model, **fields: Tensor) -> tuple[Tensor, Tensor]:
    outputs = model(**fields)
    return outputs["mu"], outputs["logvar"]


def _latent_shape(model: Model, posterior: str) -> tuple[int, ...]:
    outputs = model.provides()
    if "latent" not in outputs:
        raise UserError(f"{type(model).__name__} has no latents", hint=f"its outputs are {', '.join(outputs)}")
    if posterior == "sample" and not {"mu", "logvar"} <= set(outputs):
        message = f"{type(model).__name__} is deterministic here: it has no posterior to draw from"
        raise UserError(message, where="--posterior", hint="leave --posterior out")
    shape = outputs["mu" if posterior == "sample" else "latent"].shape
    if None in shape:
        raise UserError(f"the latents of {type(model).__name__} have no fixed shape: {shape}")
    return tuple(n for n in shape if n is not None)


def _own_parts(sources: Any) -> np.ndarray:
    """What each item of a run's training data was for; validation and test data of their own are not among them."""
    parts = np.full(len(sources.train.dataset), "none", dtype="U5")
    for name in ("train", "val", "test"):
        part = getattr(sources, name)
        if part is not None and part.dataset is sources.train.dataset:
            parts[part.indices] = name
    return parts


def _contents(run: Run, dataset: Dataset, shape: tuple[int, ...], wanted: Wanted, parts: np.ndarray | None) -> Contents:
    identity: dict[str, Any] = {"sha256": run.sha256, "source": dataset.fingerprint()}
    identity |= {"posterior": wanted.posterior} | ({"seed": wanted.seed} if wanted.posterior == "sample" else {})
    files = [str(f) for f in dataset.files]
    about = {"run": str(run.directory.resolve()), "recipe": run.recipe.name, "source_files": json.dumps(files)}
    found = dict(zip(COMPANIONS, (dataset.item_names, parts, dataset.groups), strict=True))
    companions = {name: values for name, values in found.items() if values is not None}
    fields = _copied(dataset.fields, wanted.fields)
    return Contents(
        len(dataset), shape, wanted.dtype, identity, about, fields, companions, scan_shape=dataset.scan_shape
    )


def _copied(fields: Mapping[str, FieldSpec], wanted: tuple[str, ...] | None) -> dict[str, FieldSpec]:
    """The fields to copy. What was like the input has its own pixels now: the latents' are others."""
    own = [name for name in fields if name.split("_")[0] not in OF_THE_INPUT and None not in fields[name].shape]
    missing = [name for name in wanted or () if name not in own]
    if missing:
        hint = f"there are {', '.join(own)}" if own else "there is nothing to copy: --fields none"
        raise UserError(f"there is no field '{missing[0]}' to copy", where="--fields", hint=hint)
    return {name: replace(fields[name], like=None) for name in own if wanted is None or name in wanted}
