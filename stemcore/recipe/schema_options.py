"""The JSON Schema of a section that may be an option: text in place of what it holds."""

from __future__ import annotations

from stemcore.plugins.shipped import summary_of
from stemcore.recipe.options import options_of
from stemcore.recipe.schema_values import Json, markdown

FILE: Json = {"pattern": r"\.ya?ml$"}
"""A file of the user's own."""
_TEXT: Json = {"type": "string"}


def or_option(section: str, body: Json) -> Json:
    """A section that may also be the name of an option, or the user's own file.

    Args:
        section: its key.
        body: the schema of what it holds.
    """
    about = {name: markdown(summary_of(entry)) for name, entry in options_of(section).items()}
    names: list[Json] = []
    if about:
        names = [{"enum": list(about), "markdownEnumDescriptions": list(about.values())}]
    named = {**_TEXT, "anyOf": [*names, FILE]}
    if "if" in body:  # components, of which editors complete the alternatives
        checked = {key: body[key] for key in ("if", "then", "else")}
        return {**body, "anyOf": [*names, *body["anyOf"]], "if": named, "then": True, "else": checked}
    held = body["type"]
    first, *others = held
    refused = {"if": named, "else": {"type": held}}
    alternatives = {"anyOf": [*names, {"properties": {}}]} if names else {}
    return {**body, **alternatives, "type": [first, "string", *others], "if": _TEXT, "then": refused}
