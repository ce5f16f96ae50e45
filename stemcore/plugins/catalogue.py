"""The catalogue: every component by kind and name, imported only when used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stemcore.component.kinds import KINDS
from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins.discovery import Discovery, Plugin, Trouble, cause_of, discover, is_strict

if TYPE_CHECKING:
    from stemcore.plugins.signature import Schema


@dataclass(frozen=True)
class Entry:
    """A component: its kind and name, the plugin that offers it, and the import string behind it."""

    kind: str
    name: str
    plugin: str
    distribution: str
    version: str
    target: str

    @property
    def qualified(self) -> str:
        """``plugin/name``, which stays unambiguous when two plugins offer the same name."""
        return f"{self.plugin}/{self.name}"


class Catalogue:
    """What the installed plugins offer.

    Args:
        discovery: the plugins found. With ``STEM_STRICT=1`` in the environment any trouble among them is an error, and
            so is a hook that is deprecated.
    """

    def __init__(self, discovery: Discovery) -> None:
        self.entries: list[Entry] = []
        self.troubles: list[Trouble] = list(discovery.troubles)
        self.disabled = list(discovery.disabled)
        self.plugins = list(discovery.plugins)
        self.left_out = list(discovery.left_out)
        for plugin in discovery.plugins:
            for kind in KINDS.values():
                for name, target in plugin.offers.get(kind.hook, {}).items():
                    if _is_name(name, kind.name) and isinstance(target, str) and all(target.partition(":")):
                        who = (plugin.name, plugin.distribution, plugin.version)
                        self.entries.append(Entry(kind.name, name, *who, target))
                    else:
                        cause = f"hook {kind.hook}: {name!r} -> {target!r} is not {_form(kind.name)}"
                        self.troubles.append(plugin.trouble(cause))
        self.default_of: dict[str, str] = {}
        self.defaults = self._defaults()
        self._loaded: dict[Entry, Any] = {}
        self._schemas: dict[Entry, Schema] = {}
        if is_strict():
            self._raise_troubles()

    def _raise_troubles(self) -> None:
        deprecated = [plugin.trouble(text) for plugin in self.plugins for text in plugin.deprecations]
        if troubles := [*self.troubles, *deprecated]:
            raise UserError(*(Problem(t.cause, f"plugin '{t.plugin}' of {t.distribution}") for t in troubles))

    def _defaults(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        owner = self.default_of
        for plugin in self.plugins:
            for key, value in plugin.offers.get("stem_defaults", {}).items():
                if key in merged and merged[key] != value:
                    cause = f"its default for '{key}' contradicts that of plugin '{owner[key]}', which is used"
                    self.troubles.append(plugin.trouble(cause))
                    continue
                if not isinstance(key, str):
                    cause = f"hook stem_defaults: {key!r} is not a key of a recipe"
                    self.troubles.append(plugin.trouble(cause))
                    continue
                merged[key], owner[key] = value, plugin.name
        return merged

    def of_kind(self, kind: str) -> list[Entry]:
        """The entries of a kind, sorted by name."""
        return sorted((e for e in self.entries if e.kind == kind), key=lambda e: (e.name, e.plugin))

    def plugin_of(self, entry: Entry) -> Plugin:
        """The plugin that offers an entry."""
        return next(plugin for plugin in self.plugins if plugin.name == entry.plugin)

    def names(self, kind: str) -> list[str]:
        """The bare names of a kind, sorted, each once."""
        return sorted({e.name for e in self.of_kind(kind)})

    def find(self, kind: str, name: str) -> Entry:
        """The entry called ``name`` or ``plugin/name``.

        Raises:
            UserError: if there is none (naming the plugins that did not load, any of which might have offered it), or
                if two plugins offer the bare name.
        """
        found = [e for e in self.of_kind(kind) if name in (e.name, e.qualified)]
        if len(found) == 1:
            return found[0]
        if found:
            both = " and ".join(f"{e.qualified} ({e.distribution})" for e in found)
            raise UserError(f"{kind} '{name}' is offered by {both}", hint="write the qualified name")
        hint = close_match(name, self.names(kind))
        broken = "; ".join(str(t) for t in self.troubles)
        elsewhere = sorted({e.kind for e in self.entries if e.name == name})
        if elsewhere:
            hint = f"there is a {' and a '.join(elsewhere)} of that name; {hint}"
        if name.split("/")[0] in self.disabled:
            hint = f"plugin '{name.split('/')[0]}' is switched off by STEM_DISABLE_PLUGINS; {hint}"
        raise UserError(f"unknown {kind} '{name}'", hint=f"{hint}; not loaded: {broken}" if broken else hint)

    def load(self, entry: Entry) -> Any:
        """The class or function behind an entry.

        Raises:
            UserError: if importing it fails; the message names the plugin and the real cause.
        """
        if entry not in self._loaded:
            module, _, attribute = entry.target.partition(":")
            try:
                self._loaded[entry] = getattr(import_module(module), attribute)
            except (Exception, SystemExit) as error:
                who = f"{entry.kind} '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution})"
                raise UserError(f"{who} cannot be imported from {entry.target}: {cause_of(error)}") from error
        return self._loaded[entry]

    def schema(self, entry: Entry) -> Schema:
        """The configuration that a component takes, derived from its signature.

        Raises:
            UserError: if it cannot be imported, or its signature is not one that can be read; names plugin and cause.
        """
        if entry not in self._schemas:
            from stemcore.plugins.signature import Schema

            target = self.load(entry)
            try:
                self._schemas[entry] = Schema(target, KINDS[entry.kind], entry.name)
            except Exception as error:
                cause = str(error) if isinstance(error, UserError) else cause_of(error)
                raise UserError(f"plugin '{entry.plugin}' ({entry.distribution}): {cause}") from error
        return self._schemas[entry]


def _is_name(name: object, kind: str) -> bool:
    """Whether a component may be called so: no slash, which qualifies names, and nothing that YAML would split. The
    name of an option begins with its section and a slash."""
    word = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
    pattern = f"[a-z]+/{word}" if kind == "option" else word
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def _form(kind: str) -> str:
    if kind == "option":
        return "'section/name' and 'package:folder/file.yaml'"
    return "a name and 'package.module:Class'"


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The catalogue of what is installed, found once per process (``catalogue.cache_clear()`` looks again)."""
    return Catalogue(discover())
