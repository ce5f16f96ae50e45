"""The version of the plugin API that a plugin was written for, beside the one that this core offers."""

from __future__ import annotations

import re
from typing import Any

from stemcore import __version__
from stemcore.hookspecs import API_VERSION, PROJECT

DECLARATION = "STEM_API"
"""The name under which a plugin module declares its version; a plugin may leave it out."""


def declared_by(plugin: object) -> Any:
    """The version of the plugin API that a plugin declares, which may be no version; null where it declares none."""
    return getattr(plugin, DECLARATION, None)


def is_version(declared: object) -> bool:
    """Whether what is declared can be the version of an API."""
    return isinstance(declared, str) and re.fullmatch(r"[0-9]+\.[0-9]+", declared) is not None


def misfit(declared: object, distribution: str | None, offered: str = API_VERSION) -> str | None:
    """Why a plugin cannot work with this core and what to do about it, null where nothing stands against it.

    The first number counts changes that plugins must follow, the second one additions: what was written for an older
    addition still works.

    Args:
        declared: the version that the plugin was written for, null for any.
        distribution: the plugin's, null if unknown.
        offered: the version that the core offers.
    """
    if declared is None:
        return None
    if not isinstance(declared, str) or not is_version(declared):
        return f"{DECLARATION} = {declared!r} is no version of the plugin API; write {DECLARATION} = '{API_VERSION}'"
    wanted, ours = _numbers(declared), _numbers(offered)
    if wanted[0] == ours[0] and wanted <= ours:
        return None
    what = f"it was written for plugin API {declared}, this {PROJECT} {__version__} offers {offered}"
    if wanted > ours:
        return f"{what}; pip install -U {PROJECT}"
    newer = f"pip install -U {distribution}" if distribution else "install a newer version of it"
    return f"{what}; {newer}, or an older {PROJECT}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
