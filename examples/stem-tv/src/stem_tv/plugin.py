"""What this plugin offers, as import strings: nothing is imported before it is used."""

from __future__ import annotations

from stemcore import hookimpl

STEM_API = "1.0"  # the version of the plugin API that this was written for


@hookimpl
def stem_losses() -> dict[str, str]:
    """A loss, which a recipe calls ``total_variation`` or ``tv/total_variation``."""
    return {"total_variation": "stem_tv.losses:TotalVariation"}


@hookimpl
def stem_recipes() -> dict[str, str]:
    """A recipe that uses it."""
    return {"stem4d-tv": "stem_tv:recipes/stem4d-tv.yaml"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What contract checks need to know of the loss."""
    return {"loss/total_variation": "stem_tv.examples:total_variation"}
