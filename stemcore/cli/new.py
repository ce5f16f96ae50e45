"""``stem new``: something to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from stemcore.cli.output import show
from stemcore.component.kinds import KINDS


@click.group()
def new() -> None:
    """Write a plugin to begin with."""


@new.command()
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    default=("loss",),
    metavar="KIND",
    help=f"What it offers; may be given several times. Kinds: {', '.join(KINDS)}.",
    show_default="loss",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Folder to make it in.")
@click.option("--description", default="", help="One line for its metadata and README.")
@click.option("--author", default="", help="Name for its metadata.")
def plugin(name: str, kinds: tuple[str, ...], output: Path, description: str, author: str) -> None:
    """Write a plugin: a distribution NAME that installs, passes its tests and trains.

    It has a working component of each kind that is asked for, tests, a recipe NAME-demo that uses it, a README and a
    file for continuous integration. Change what is there into what you need. No folder is written over.
    """
    from stemcore.scaffold import new_plugin

    folder = new_plugin(name, kinds, parent=output, description=description, author=author)
    distribution = folder.name
    show(str(folder))
    show("Next:")
    # Double quotes, which every shell knows, that of Windows too.
    place = f'"{folder}"' if " " in str(folder) else str(folder)
    for command in (
        f'pip install -e "{folder}[test]"',
        f"pytest {place}",
        f"stem plugins check {distribution}",
        f"stem run {distribution}-demo",
    ):
        show(f"  {command}")
