"""``stem recipes``: the recipes that plugins ship."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from stemcore.cli.completion import recipe_names
from stemcore.cli.output import installed, show, show_table
from stemcore.errors import UserError
from stemcore.plugins.catalogue import Entry
from stemcore.plugins.discovery import cause_of


@click.group(invoke_without_command=True)
@click.pass_context
def recipes(ctx: click.Context) -> None:
    """List, show and copy the recipes that are installed."""
    if ctx.invoked_subcommand is None:
        _list()


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes."""
    _list()


@recipes.command("show")
@click.argument("name", shell_complete=recipe_names)
def show_recipe(name: str) -> None:
    """Print the recipe NAME."""
    show(recipe_text(installed().find("recipe", name)).rstrip("\n"))


@recipes.command("copy")
@click.argument("name", shell_complete=recipe_names)
def copy_recipe(name: str) -> None:
    """Write the recipe NAME to NAME.yaml in the current folder, to be edited; no file is replaced."""
    entry = installed().find("recipe", name)
    text = recipe_text(entry)
    target = Path(f"{entry.name}.yaml")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{target} exists already", hint="move it away first") from error
    show(str(target))


def recipe_text(entry: Entry) -> str:
    """The YAML of a shipped recipe.

    Raises:
        UserError: if it cannot be read; the message names the plugin and the cause.
    """
    package, _, path = entry.target.partition(":")
    try:
        return files(package).joinpath(path).read_text(encoding="utf-8")
    except Exception as error:
        who = f"recipe '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution})"
        raise UserError(f"{who} cannot be read from {entry.target}: {cause_of(error)}") from error


def recipe_summary(entry: Entry) -> str:
    """The first comment line of a shipped recipe, or why it cannot be read."""
    try:
        lines = recipe_text(entry).splitlines()
    except UserError as error:
        return f"({error})"
    return next((line.lstrip("# ").rstrip() for line in lines if line.startswith("#")), "")


def _list() -> None:
    rows = [(entry.name, entry.plugin, recipe_summary(entry)) for entry in installed().of_kind("recipe")]
    show_table(("recipe", "plugin", "about"), rows)
