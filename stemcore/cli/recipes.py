"""``stem recipes``: the recipes that plugins ship."""

from __future__ import annotations

from pathlib import Path

import click

from stemcore.cli.completion import option_sections, recipe_names
from stemcore.cli.output import installed, show, show_table
from stemcore.errors import UserError, close_match
from stemcore.plugins.shipped import shipped_text, summary_of


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
    show(shipped_text(installed().find("recipe", name)).rstrip("\n"))


@recipes.command("copy")
@click.argument("name", shell_complete=recipe_names)
def copy_recipe(name: str) -> None:
    """Write the recipe NAME to NAME.yaml in the current folder, to be edited; no file is replaced."""
    entry = installed().find("recipe", name)
    text = shipped_text(entry)
    target = Path(f"{entry.name}.yaml")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{target} exists already", hint="move it away first") from error
    show(str(target))


@recipes.command("options")
@click.argument("section", required=False, shell_complete=option_sections)
def list_options(section: str | None) -> None:
    """List the options that can stand for a whole SECTION of a recipe, as in model=NAME, or those of all sections."""
    entries = installed().of_kind("option")
    sections = sorted({entry.name.partition("/")[0] for entry in entries})
    if section is not None and section not in sections:
        raise UserError(f"there are no options for '{section}'", hint=close_match(section, sections))
    wanted = [entry for entry in entries if section in (None, entry.name.partition("/")[0])]
    rows = [(entry.name.replace("/", "="), entry.plugin, summary_of(entry)) for entry in wanted]
    show_table(("option", "plugin", "about"), rows)


def _list() -> None:
    rows = [(entry.name, entry.plugin, summary_of(entry)) for entry in installed().of_kind("recipe")]
    show_table(("recipe", "plugin", "about"), rows)
