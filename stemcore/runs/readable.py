"""Copies of the fitted transforms for people: ``transforms/<field>.json`` and ``.csv`` of a run directory.

Nothing reads them back; the numbers that a run goes by are in its checkpoints.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stemcore.component.transform import Transform
from stemcore.data.chain import Chain
from stemcore.data.pipeline import Pipeline
from stemcore.files import write_text
from stemcore.recipe import Component

FOLDER = "transforms"

Columns = dict[str, "list[float | None]"]


def write_transforms(directory: Path, pipeline: Pipeline, components: Mapping[str, Sequence[Component]]) -> None:
    """Writes what was fitted, each file atomically, for every field that has transforms.

    The JSON file has each step's name, configuration and fitted numbers, of tensors the shape and the extremes. Where
    a step has a number for each named feature, a CSV file has these: a row per feature, a column per number, such as
    ``zscore.mean``; of a name that comes twice in the chain the second is ``zscore_2``.

    Args:
        directory: the run's.
        pipeline: with the fitted transforms of each field.
        components: the recipe's, by field, for their configuration.
    """
    chains: dict[str, Chain] = dict(pipeline.chains.items())  # type: ignore[arg-type]
    for field, chain in chains.items():
        steps = chain.transforms()
        if not steps:
            continue
        (directory / FOLDER).mkdir(exist_ok=True)
        configurations = [component.document() for component in components.get(field, ())]
        document = {"field": field, "steps": [_step(s, c) for s, c in zip(steps, configurations, strict=True)]}
        write_text(directory / FOLDER / f"{field}.json", json.dumps(document, indent=2) + "\n")
        features = steps[0].spec.features
        columns = _columns(features, chain) if features else {}
        if columns:
            write_text(directory / FOLDER / f"{field}.csv", _table(features, columns))


def _step(step: Transform, configuration: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: _said(value) for name, value in step.readable().items()}
    return {"type": configuration["type"], "configuration": dict(configuration), "fitted": numbers}


def _said(value: float | Tensor) -> Any:
    """A number as JSON has it, or of a tensor the shape, and the extremes of what is finite in it."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        return _number(value)
    finite = value[torch.isfinite(value)]
    low, high = (_number(finite.min()), _number(finite.max())) if len(finite) else (None, None)
    return {"shape": list(value.shape), "min": low, "max": high}


def _number(value: float | Tensor) -> float | None:
    """In as few digits as tell it from its neighbours in its own type; ``None`` where it is not finite."""
    if isinstance(value, Tensor):
        found = value.detach().cpu()
        found = found.float() if found.dtype in (torch.float16, torch.bfloat16) else found
        value = float(str(found.numpy())) if found.is_floating_point() else int(found)
    return value if math.isfinite(value) else None


def _columns(features: Sequence[str], chain: Chain) -> Columns:
    """The numbers of each feature by ``<step>.<number>``, of the steps that have as many of them as features."""
    columns: Columns = {}
    for place, (name, step) in enumerate(zip(chain.names, chain.transforms(), strict=True)):
        before = chain.names[:place].count(name)
        label = f"{name}_{before + 1}" if before else name
        for number, value in step.readable().items():
            if isinstance(value, Tensor) and tuple(value.shape) == step.spec.shape and value.numel() == len(features):
                columns[f"{label}.{number}"] = [_number(one) for one in value.flatten()]
    return columns


def _table(features: Sequence[str], columns: Columns) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["feature", *columns])
    writer.writerows(zip(features, *columns.values(), strict=True))
    return text.getvalue()
