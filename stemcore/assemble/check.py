"""What ``stem validate`` says of a recipe that holds."""

from __future__ import annotations

from stemcore.assemble.build import assemble
from stemcore.assemble.frozen import frozen_parameters
from stemcore.assemble.inner import inner_runs
from stemcore.component.metric import Direction
from stemcore.recipe import Recipe


def check(recipe: Recipe) -> list[str]:
    """Checks a recipe as far as it can be without reading items or training.

    Returns:
        one line per fact: data, model, wiring, backend.

    Raises:
        UserError: with every problem found.
    """
    parts = assemble(recipe)
    sources = parts.sources
    counts = {"train": sources.train, "validation": sources.val, "test": sources.test}
    lines = ["data: " + ", ".join(f"{len(s):,} items to {n}" for n, s in counts.items() if s is not None)]
    if recipe.data.every_fold:
        lines.append(f"folds: {recipe.data.folds}, a run for each; these are the items of the first")
    lines += [
        f"field {name}: {field.shape} {field.dtype} {field.unit or ''}".rstrip() for name, field in parts.spec.items()
    ]
    trainable = sum(p.numel() for p in parts.skeleton.parameters() if p.requires_grad)
    outputs = ", ".join(f"{name} {field.shape}" for name, field in parts.skeleton.provides().items())
    frozen = sum(p.numel() for p in parts.skeleton.parameters() if not p.requires_grad)
    frozen += frozen_parameters(parts.skeleton)
    beside = f" and {frozen:,} frozen ones" if frozen else ""
    lines.append(f"model {recipe.model.type}: {trainable:,} parameters{beside}, gives {outputs}")
    lines += [f"run {place}: {run.given}, SHA-256 {run.sha256}" for place, run in inner_runs(recipe).items()]
    for kind, terms in (("loss", parts.losses), ("metric", parts.metrics), ("figure", parts.figures)):
        lines += [
            f"{kind} {t.name}: takes {', '.join([w.name for w in t.wires] + list(t.wires.special))}" for t in terms
        ]
    lines.append(f"backend: {parts.backend.describe()}, precision {recipe.trainer.precision}")
    return lines


def logged_scalars(recipe: Recipe) -> dict[str, Direction]:
    """The names of the scalars that a run of a recipe logs, such as ``val/loss``, each with the direction that is
    better: ``"min"``, ``"max"``, or ``None`` where neither is.

    Raises:
        UserError: with every problem that there is in the recipe, as ``stem validate`` finds them.
    """
    return dict(assemble(recipe).directions)
