"""Libraries that only some users need, imported when they are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stemcore.errors import UserError


def optional_module(name: str, purpose: str, *, install: str) -> Any:
    """A module of a library that may be missing.

    Args:
        name: of the module, such as ``kornia.geometry``.
        purpose: what needs it, for the message.
        install: what to hand to pip where it is missing, such as ``stem-tv[images]``.

    Raises:
        UserError: if it is not installed; says what needs it and how to install it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UserError(f"{purpose} needs {package}", hint=f"pip install '{install}'") from error
