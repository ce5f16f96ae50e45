"""The backend and the precision of a run."""

from __future__ import annotations

from stemcore.component.backend import Backend
from stemcore.errors import Problem, UserError
from stemcore.plugins import catalogue
from stemcore.plugins.discovery import cause_of
from stemcore.recipe import Recipe


def choose_backend(recipe: Recipe) -> Backend:
    """The backend that the recipe names, or the available one with the highest priority.

    Raises:
        UserError: if it is not available (the message lists those that are), or does not compute in the precision.
    """
    found = catalogue()
    classes = {}
    for entry in found.of_kind("backend"):
        try:
            classes[entry.name] = found.load(entry)
        except UserError:
            continue  # a broken backend is reported where it is asked for by name, and stops nobody else
    there = {name: cls for name, cls in classes.items() if not _trouble(cls) and cls.available()}
    if recipe.backend is None:
        if not there:
            raise UserError("no backend is available", where="backend", hint="install a plugin that offers one")
        backend: Backend = max(there.values(), key=lambda cls: cls.priority)()
    else:
        name = recipe.backend.entry.name
        if name not in there:
            cls = found.load(recipe.backend.entry)
            raise UserError(
                Problem(
                    f"backend '{name}' is not available: {_trouble(cls) or cls.describe()}",
                    recipe.backend.where,
                    f"available here: {', '.join(sorted(there)) or 'none'}",
                )
            )
        backend = recipe.backend.build()
    precision = recipe.trainer.precision
    if precision not in backend.precisions():
        raise UserError(
            Problem(
                f"{backend.describe()} does not compute in precision {precision}",
                recipe.where(("trainer", "precision")),
                f"choose one of {', '.join(backend.precisions())}",
            )
        )
    return backend


def _trouble(backend: type[Backend]) -> str:
    """What keeps a backend from saying whether it is available: one that raises stops nobody else."""
    try:
        backend.available()
    except Exception as error:
        return cause_of(error)
    return ""
