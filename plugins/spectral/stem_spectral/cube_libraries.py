"""Libraries of the extra ``hyperspectral``, imported where a file or an augmentation needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stemcore import UserError


def imported(name: str, purpose: str) -> Any:
    """The module ``name``.

    Raises:
        UserError: if it is not installed; says what needs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UserError(f"{purpose} needs {package}", hint="pip install 'stemcore[hyperspectral]'") from error
