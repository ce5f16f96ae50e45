"""A verb that keeps every promise, in a module that imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

import click

from stemcore import Command, UserError


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--lines", type=click.IntRange(min=1), default=1, help="How many lines are counted as one.")
def sound(file: Path, lines: int) -> None:
    """Count the lines of FILE."""
    if not file.is_file():
        raise UserError(f"{file} is not there")
    click.echo(len(file.read_text().splitlines()) // lines)
