"""Every plugin that is installed, working or not, with what it offers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from stemcore.plugins.catalogue import Catalogue, Entry
from stemcore.plugins.discovery import Plugin, Trouble

Status = Literal["ok", "partial", "broken", "disabled"]


@dataclass(frozen=True)
class Installed:
    """A plugin as it is found here.

    Attributes:
        plugin: where it comes from.
        status: ``ok``; ``partial`` where something of it is left out; ``broken`` where all of it is; ``disabled``.
        causes: why something is left out, in a line each.
        entries: the components that it offers.
    """

    plugin: Plugin
    status: Status
    causes: list[str]
    entries: list[Entry]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "plugin": self.plugin.name,
            "distribution": self.plugin.distribution,
            "version": self.plugin.version,
            "api_version": self.plugin.api_version,
            "status": self.status,
            "causes": self.causes,
            "deprecations": list(self.plugin.deprecations),
            "module": self.plugin.module,
            "location": self.plugin.location or None,
            "components": [{"kind": e.kind, "name": e.name, "target": e.target} for e in self.entries],
        }


def inventory(known: Catalogue, troubles: Iterable[Trouble]) -> list[Installed]:
    """Every plugin, sorted by name.

    Args:
        known: the catalogue.
        troubles: its own, and those that were met elsewhere.
    """
    met = list(troubles)
    loaded = [_loaded(known, plugin, met) for plugin in known.plugins]
    left_out = [_left_out(known, plugin, met) for plugin in known.left_out]
    return sorted([*loaded, *left_out], key=lambda i: (i.plugin.name, i.plugin.module))


def _loaded(known: Catalogue, plugin: Plugin, troubles: list[Trouble]) -> Installed:
    causes = [t.cause for t in troubles if t.plugin == plugin.name and t.module in ("", plugin.module)]
    entries = [entry for entry in known.entries if entry.plugin == plugin.name]
    if not causes:
        return Installed(plugin, "ok", [], entries)
    works = bool(entries or plugin.offers.get("stem_defaults"))
    return Installed(plugin, "partial" if works else "broken", causes, entries)


def _left_out(known: Catalogue, plugin: Plugin, troubles: list[Trouble]) -> Installed:
    if plugin.name in known.disabled:
        return Installed(plugin, "disabled", [], [])
    causes = [t.cause for t in troubles if (t.plugin, t.module) == (plugin.name, plugin.module)]
    return Installed(plugin, "broken", causes, [])
