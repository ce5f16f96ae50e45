"""Gathers the named arrays that a figure asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from stemcore.assemble import Parts
from stemcore.assemble.parts import Term
from stemcore.component.model import Model
from stemcore.data.source import Source, whole
from stemcore.trainer.feed import loader_of
from stemcore.trainer.step import single_precision
from stemcore.trainer.validate import evaluation


def collect(term: Term, parts: Parts, model: Model, fabric: Fabric) -> dict[str, Any]:
    """The arrays for a figure: of up to ``items`` held-out items spread evenly, or of every item in order. The process
    that asks goes through all of them."""
    figure = term.component
    if figure.source == "dataset":
        source = whole(parts.sources.train.dataset)
    else:
        source = _spread(parts.sources.val or parts.sources.train, figure.items)
    gathered: dict[str, list[np.ndarray]] = {}
    order: list[np.ndarray] = []
    context = parts.context(model)
    with evaluation(model, parts.recipe.seed):
        loader = replace(loader_of(parts, fabric), rank=0, world=1)
        for stored in loader.ordered(source, parts.recipe.data.evaluation_batch_size):
            batch = parts.pipeline(stored)
            with fabric.autocast():
                outputs = model(**parts.given(batch))
            tensors = parts.tensors(batch, single_precision(outputs))
            order.append(stored["index"].cpu().numpy())
            for wire in term.wires:
                if not wire.optional or wire.source in tensors:
                    array = tensors.get(wire.source, wire.space).cpu().numpy()
                    gathered.setdefault(wire.parameter, []).append(array)
    sort = np.argsort(np.concatenate(order))
    given: dict[str, Any] = {n: np.concatenate(a)[sort] for n, a in gathered.items()}
    return given | {n: context[n] for n in term.wires.special if n in context}


def _spread(source: Source, items: int) -> Source:
    if len(source) <= items:
        return source
    return source.only(source.indices[np.linspace(0, len(source) - 1, items).round().astype(int)])
