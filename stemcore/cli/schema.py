"""``stem schema``."""

from __future__ import annotations

import click

from stemcore.cli.output import show_json, stdout_kept_clean


@click.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors.

    It covers the components of every plugin that is installed here: write it to a file ('stem schema >
    recipe-schema.json') again when that changes. Name the file in the settings of your editor, or, for the YAML
    language server, in the first line of a recipe: "# yaml-language-server: $schema=FILE".
    """
    with stdout_kept_clean():
        from stemcore.recipe.schema import json_schema

        document = json_schema()
    show_json(document)
