"""Checkpoints: flat keys, tensors and primitive types, so that ``weights_only=True`` reads them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.errors import UserError
from stemcore.files import write_atomically
from stemcore.trainer.sharding import whole

FORMAT = 3
MODEL, TRANSFORMS = "model.", "transforms."


def save(path: Path, contents: Mapping[str, Any]) -> None:
    """Writes a checkpoint atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: torch.save({"format": FORMAT, **contents}, part))


def load(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Reads a checkpoint to the CPU. Nothing in it can run code.

    Args:
        path: the file.
        mapped: whether tensors are read from the file when they are used, for whoever uses few of them, and soon.

    Raises:
        UserError: if it is missing, damaged or not a checkpoint of stemcore.
    """
    hint = "a checkpoint is written by 'stem run' as <run>/checkpoints/last.ckpt or best.ckpt"
    if not path.is_file():
        raise UserError("there is no such checkpoint", where=str(path), hint=hint)
    try:
        contents = torch.load(path, weights_only=True, map_location="cpu", mmap=mapped)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"it cannot be read as a checkpoint ({reason})", where=str(path), hint=hint) from error
    if not isinstance(contents, dict) or contents.get("format") != FORMAT or "weights" not in contents:
        raise UserError("it is not a checkpoint of this version of stemcore", where=str(path), hint=hint)
    return contents


def flat_weights(model: nn.Module, transforms: nn.Module) -> dict[str, Tensor]:
    """What encode, reconstruct and evaluate need, in one flat dict of whole tensors."""
    weights = {MODEL + n: whole(t).detach().cpu() for n, t in model.state_dict().items()}
    return weights | {TRANSFORMS + n: t.detach().cpu() for n, t in transforms.state_dict().items()}


def load_weights(weights: Mapping[str, Tensor], prefix: str, module: nn.Module, where: str) -> None:
    """Loads the part of ``weights`` under ``prefix`` into ``module``.

    Raises:
        UserError: if they are those of another module; names the first differences.
    """
    resized = {f"{path}.{name}".lstrip(".") for path, m in module.named_modules() for name in getattr(m, "resized", ())}
    mine = {n: tuple(t.shape) for n, t in module.state_dict().items()}
    given = {n[len(prefix) :]: t for n, t in weights.items() if n.startswith(prefix)}
    differences = [f"'{n}' is missing" for n in mine if n not in given]
    differences += [f"'{n}' is not in this {prefix[:-1]}" for n in given if n not in mine]
    differences += [
        f"'{n}' is {tuple(given[n].shape)}, here {shape}"
        for n, shape in mine.items()
        if n in given and not _fits(tuple(given[n].shape), shape, n in resized)
    ]
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise UserError(
            f"it holds the weights of another {prefix[:-1]}: {'; '.join(differences[:3])}{more}",
            where=where,
            hint="use a checkpoint of the same model configuration",
        )
    module.load_state_dict(given)


def _fits(given: tuple[int, ...], mine: tuple[int, ...], resized: bool) -> bool:
    """Whether a tensor of one shape can be loaded into one of the other, perhaps with another number of rows."""
    return given == mine or (resized and len(given) == len(mine) and given[1:] == mine[1:])


def sha256(path: Path) -> str:
    """SHA-256 of a file, computed again only where its size or time of change is another."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fields_document(spec: DataSpec) -> dict[str, Any]:
    """The fields of a data set in primitive types, for a checkpoint: a model can be built without the data."""
    return {
        "scan_shape": spec.scan_shape,
        "fields": {n: asdict(f) for n, f in spec.items()},
    }


def fields_of(contents: Mapping[str, Any]) -> DataSpec:
    """What :func:`fields_document` wrote."""
    document = contents["fields"]
    return DataSpec({n: FieldSpec(**f) for n, f in document["fields"].items()}, document["scan_shape"])


def random_state() -> dict[str, Any]:
    """The state of every random generator of this process, in primitive types."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "python": [version, list(internal), gauss],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Puts every random generator where :func:`random_state` found it."""
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
