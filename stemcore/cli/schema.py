"""``stem schema``."""

from __future__ import annotations

import click

from stemcore.cli.output import show_json, stdout_kept_clean


@click.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors.

    It covers the components of every plugin that is installed here. With the YAML language server, write
    "# yaml-language-server: $schema=FILE" as the first line of a recipe.
    """
    with stdout_kept_clean():
        from stemcore.recipe.schema import json_schema

        document = json_schema()
    show_json(document)
