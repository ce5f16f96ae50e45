"""Promises: checks by kind of component, each a function that fails with what was seen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from stemcore.component.kinds import FILES, KINDS

if TYPE_CHECKING:
    from stemcore.testing.subject import Subject

PLUGIN, EVERY = "plugin", "every"
"""Besides the kinds: checks of a plugin as a whole, and checks of each component whatever its kind."""

MODULES = (
    "plugin", "every", "dataset", "sampler", "transform", "augmentation", "model", "loss", "metric", "backend",
    "optimizer", "scheduler", "weight_schedule", "callback", "logger", "figure", "command", "recipe", "option",
)  # fmt: skip


class Broken(AssertionError):
    """A promise is not kept: says what was seen."""


class NotApplicable(Exception):
    """A check does not concern a component, or cannot be made here: says why."""


@dataclass(frozen=True)
class Check:
    """One promise of a kind of component.

    Attributes:
        kind: the kind of component, ``plugin`` or ``every``.
        name: the name of the function, ``check_...``.
        function: takes a :class:`~stemcore.testing.subject.Subject`; raises :class:`Broken` or :class:`NotApplicable`.
        once: whether it is made once per component rather than for each of its examples.
    """

    kind: str
    name: str
    function: Callable[..., None]
    once: bool = False

    @property
    def promise(self) -> str:
        """What is promised and why."""
        return inspect.cleandoc(self.function.__doc__ or "")

    def __call__(self, subject: Subject) -> None:
        """Makes the check."""
        self.function(subject)


_CHECKS: dict[tuple[str, str], Check] = {}
F = TypeVar("F", bound=Callable[..., None])


def promise(kind: str, *, once: bool = False) -> Callable[[F], F]:
    """Makes a function a check of a kind of component. Its docstring says what is promised, and why."""

    def register(function: F) -> F:
        _CHECKS[kind, function.__name__] = Check(kind, function.__name__, function, once)
        return function

    return register


def every_check() -> list[Check]:
    """Every check there is, in the order of the kinds."""
    for module in MODULES:
        import_module(f"stemcore.testing.checks.{module}")
    return sorted(_CHECKS.values(), key=lambda check: MODULES.index(check.kind))


def checks_of(kind: str) -> list[Check]:
    """The checks that a component of a kind (or ``plugin``) is put to."""
    # Files are no classes: nothing of what all classes promise concerns them.
    wanted = (EVERY, kind) if kind in KINDS and kind not in FILES else (kind,)
    return [check for check in every_check() if check.kind in wanted]


def ensure(condition: Any, message: str) -> None:
    """Raises :class:`Broken` with a message unless a condition holds."""
    if not condition:
        raise Broken(message)
