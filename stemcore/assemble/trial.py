"""One trial of model and losses on meta tensors, before anything is read."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from stemcore.assemble.parts import Parts
from stemcore.assemble.wiring import Tensors, Wires
from stemcore.errors import Problem, UserError
from stemcore.plugins.discovery import cause_of

SAMPLE_ITEMS = 2


def try_on_meta(parts: Parts) -> None:
    """Runs the model, and the losses where they can be, on meta tensors.

    Raises:
        UserError: if the model fails, returns other outputs than it declares, or a loss does not take their shapes.
    """
    recipe = parts.recipe
    name = f"model '{recipe.model.type}'"
    fields = {n: f for n, f in parts.supply.fields.items() if all(isinstance(s, int) for s in f.shape)}
    floating = {
        n: f.dtype if f.dtype == "bool" or f.name in ("label", "index") else "float32" for n, f in fields.items()
    }
    batch = {
        n: torch.empty((SAMPLE_ITEMS, *f.shape), device="meta", dtype=getattr(torch, floating[n]))  # type: ignore[arg-type]
        for n, f in fields.items()
    }
    given = parts.given(batch)
    try:
        outputs = parts.skeleton(**given)
    except Exception as error:
        shapes = ", ".join(f"{n} {tuple(t.shape)}" for n, t in given.items())
        raise UserError(Problem(f"{name} fails on {shapes}: {cause_of(error)}", recipe.model.where)) from error
    problems = []
    for output, spec in parts.skeleton.provides().items():
        if output not in outputs:
            message = f"{name} declares '{output}' but returns only {', '.join(outputs)}"
            problems.append(Problem(message, recipe.model.where))
            continue
        shape = tuple(outputs[output].shape[1:])
        if len(shape) != len(spec.shape) or any(
            w is not None and w != s for w, s in zip(spec.shape, shape, strict=True)
        ):
            message = f"{name} declares '{output}' of shape {spec.shape} but returns {shape}"
            problems.append(Problem(message, recipe.model.where))
    if not problems:
        problems = _losses_on_meta(parts, batch, outputs)
    if problems:
        raise UserError(*problems)


def _losses_on_meta(parts: Parts, batch: dict[str, Tensor], outputs: dict[str, Tensor]) -> list[Problem]:
    tensors = Tensors(batch, outputs, {})
    problems = []
    for term in parts.losses:
        # Spaces change values, not shapes, beyond the geometry that every space of a tensor has in common.
        flat = Wires(tuple(replace(w, space=None) for w in term.wires), term.wires.special)
        try:
            term.component(**flat.arguments(tensors, parts.context(parts.skeleton)))
        except Exception as error:
            # A loss that needs values cannot run on meta tensors: only a clash of shapes is news.
            if any(word in str(error) for word in ("size", "shape", "dimension")) and "meta" not in str(error).lower():
                shapes = ", ".join(f"{w.name} {tuple(tensors.get(w.source, None).shape)}" for w in flat)
                where = parts.recipe.losses[term.name].component.where
                problems.append(Problem(f"loss '{term.name}' does not take {shapes}: {cause_of(error)}", where))
    return problems
