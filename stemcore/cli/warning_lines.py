"""Warnings of what is deprecated, as lines on stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from stemcore.component.command import is_first_process
from stemcore.plugins.deprecation import StemDeprecationWarning


@contextmanager
def warnings_in_lines() -> Iterator[None]:
    """Prints each warning of what is deprecated as ``warning: recipe.yaml:12: ...``, once in a job of several processes
    and with ``--quiet`` too, which is about progress. Other warnings are left to Python."""
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, StemDeprecationWarning):
            others(message, category, filename, lineno, file, line)
        elif is_first_process():
            with suppress(OSError):  # Whoever read stderr may be gone; the work goes on.
                print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = others
