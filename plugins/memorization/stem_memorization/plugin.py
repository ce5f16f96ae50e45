"""Whether generated samples are copies of what was trained on."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_callbacks() -> dict[str, str]:
    """What follows a training."""
    return {"memorization": "stem_memorization.callback:Memorization"}


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs of the command line."""
    return {"memorization": "stem_memorization.memorization_command:memorization"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "callback/memorization": "stem_memorization.examples:callback",
        "command/memorization": "stem_memorization.examples:memorization",
    }
