"""What a run is called among others, and where it comes from."""

from __future__ import annotations

import getpass
import json
from contextlib import suppress
from pathlib import Path

from stemcore import __version__

TRIALS = "trials"
"""The folder of a sweep that has its runs."""


def name_of(directory: Path) -> str:
    """The directory's name, behind that of the cross-validation or the sweep that it belongs to."""
    above = directory.absolute()
    if above.parent.name == TRIALS:
        return f"{above.parent.parent.name}/{above.name}"
    return f"{above.parent.name}/{above.name}" if (above.parent / "recipe.yaml").is_file() else above.name


def origin_of(directory: Path) -> dict[str, str]:
    """Tags that say where the run of a directory comes from."""
    tags = {"stemcore.version": __version__, "stemcore.directory": str(directory.absolute())}
    with suppress(KeyError, ImportError, OSError):  # in a container nobody may have the user's number
        tags["mlflow.user"] = getpass.getuser()
    try:
        about = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
        tags["stemcore.plugins"] = ", ".join(sorted(set(about["plugins"].values())))
        tags["stemcore.device"] = str(about["device"])
        tags["stemcore.data"] = str(about["data"]["fingerprint"])
        if about["git"]:
            tags["mlflow.source.git.commit"] = tags["stemcore.git"] = str(about["git"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass  # a directory that stem run did not make
    return tags
