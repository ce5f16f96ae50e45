"""Results on stdout: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from stemcore.component.command import is_first_process
from stemcore.plugins.catalogue import Catalogue, catalogue


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Sends what any code prints meanwhile to stderr, so that stdout holds the result alone."""
    with redirect_stdout(sys.stderr):
        yield


def installed() -> Catalogue:
    """The catalogue; what plugins print while they load does not reach stdout."""
    with stdout_kept_clean():
        return catalogue()


def show(text: str) -> None:
    """Prints text, once in a job of several processes."""
    if is_first_process():
        click.echo(text)


def show_json(document: Any) -> None:
    """Prints one JSON document. A number that JSON does not have (NaN, infinity) becomes ``null``."""
    show(json.dumps(_finite(document), indent=2, allow_nan=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table: framed on a terminal, else plain columns that are never cut short."""
    if not is_first_process():
        return
    if sys.stdout.isatty():
        _framed(columns, rows)
    else:
        click.echo(_aligned([columns, *rows]))


def number(value: float | None) -> str:
    """A figure with six digits."""
    return "" if value is None else f"{value:.6g}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _framed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
