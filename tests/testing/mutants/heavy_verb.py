"""A verb whose module imports what is slow to import."""

from __future__ import annotations

import click
import torch

from stemcore import Command


@click.command(cls=Command)
def heavy() -> None:
    """Print the version of torch."""
    click.echo(torch.__version__)
