"""Running on a cluster: submitting jobs and following them."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs of the command line."""
    return {"jobs": "stem_cluster.jobs:jobs", "submit": "stem_cluster.submit:submit"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {"command/jobs": "stem_cluster.examples:jobs", "command/submit": "stem_cluster.examples:submit"}
