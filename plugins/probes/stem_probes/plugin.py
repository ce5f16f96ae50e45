"""What frozen features know: probes."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs that look into features."""
    return {"probe": "stem_probes.probe_command:probe"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {"command/probe": "stem_probes.examples:probe"}
