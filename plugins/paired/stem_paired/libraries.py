"""Libraries that only some of the plugin needs, imported when they are."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def imported(name: str, purpose: str) -> Any:
    """The module ``name``.

    Raises:
        UserError: if it is not installed; says what needs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        from stemcore import UserError

        package = name.partition(".")[0]
        raise UserError(f"{purpose} needs {package}", hint="pip install 'stemcore[omics]'") from error
