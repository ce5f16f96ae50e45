"""Finding plugins behind the entry points of the group ``stemcore``, one guarded load for each."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from stemcore import hookspecs
from stemcore.errors import close_match
from stemcore.plugins.origin import origin_of
from stemcore.plugins.versions import declared_by, is_version, misfit

GROUP = "stemcore"
DISABLE = "STEM_DISABLE_PLUGINS"
STRICT = "STEM_STRICT"
_OURS = str(Path(__file__).parent)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a plugin: its entry point, its distribution, the cause in one line, and the module that the
    entry point names (empty where that is not told)."""

    plugin: str
    distribution: str
    cause: str
    module: str = ""

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution}: {self.cause}"


@dataclass(frozen=True)
class Plugin:
    """A plugin that is installed, and what each of its hooks returned.

    Attributes:
        name: of its entry point.
        distribution: that brings it.
        version: of the distribution, empty if unknown.
        module: what the entry point names.
        location: the file of the module, or where the distribution lies if the module was not loaded; empty if unknown.
        api_version: of the plugin API, as the plugin declares it; null if it does not, or was not loaded.
        offers: what each hook returned.
        deprecations: a line for each deprecated hook that it implements.
    """

    name: str
    distribution: str
    version: str
    module: str = ""
    location: str = ""
    api_version: str | None = None
    offers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deprecations: tuple[str, ...] = ()

    def trouble(self, cause: str) -> Trouble:
        """Something that is wrong with it."""
        return Trouble(self.name, self.distribution, cause, self.module)


@dataclass
class Discovery:
    """Every plugin that loaded, every one that did not, those switched off, and every trouble met on the way.

    Attributes:
        plugins: loaded, though with troubles perhaps.
        left_out: broken or switched off.
        troubles: of both.
        disabled: names of those switched off.
    """

    plugins: list[Plugin] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    left_out: list[Plugin] = field(default_factory=list)


def is_strict() -> bool:
    """Whether ``STEM_STRICT=1`` asks for an error where otherwise something is left out or warned of."""
    return os.environ.get(STRICT, "") not in ("", "0")


def discover(points: Iterable[EntryPoint] | None = None, hooks: ModuleType = hookspecs) -> Discovery:
    """Loads every plugin; a broken one becomes a :class:`Trouble` and stops nothing.

    Args:
        points: the entry points, by default those installed under the group ``stemcore``.
        hooks: the module of the hooks that a plugin may implement.
    """
    found = Discovery()
    host = _Host(hooks)
    off = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    taken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: (p.name, p.value)):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("an unknown distribution", "")
        plugin = Plugin(point.name, distribution, version, point.value)
        if point.name in off:
            found.disabled.append(point.name)
            found.left_out.append(replace(plugin, location=origin_of(point)))
            continue
        if point.name in taken:
            cause = f"its name is taken by {taken[point.name]}; one of the two must rename its entry point"
            found.troubles.append(plugin.trouble(cause))
            found.left_out.append(replace(plugin, location=origin_of(point)))
            continue
        taken[point.name] = distribution
        loaded, causes = host.load(point, plugin)
        found.troubles += [plugin.trouble(cause) for cause in causes]
        (found.left_out if loaded.offers == {} and causes else found.plugins).append(loaded)
    return found


class _Host:
    """Loads plugins, asks their hooks, and says what is wrong with each."""

    def __init__(self, hooks: ModuleType) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hooks)
        specs = {name: self.manager.parse_hookspec_opts(hooks, name) for name in vars(hooks)}
        self.known = {name for name, options in specs.items() if options is not None}
        self.deprecated = {n: o["warn_on_impl"] for n, o in specs.items() if o is not None and o.get("warn_on_impl")}

    def load(self, point: EntryPoint, plugin: Plugin) -> tuple[Plugin, list[str]]:
        """The plugin as far as it could be loaded, and what is wrong with it."""
        try:
            module = point.load()
            plugin = replace(plugin, location=getattr(module, "__file__", None) or origin_of(point))
            declared = declared_by(module)
            plugin = replace(plugin, api_version=declared if is_version(declared) else None)
            if cause := misfit(declared, point.dist.name if point.dist else None):
                return plugin, [cause]
            with warnings.catch_warnings():  # pluggy's own says neither which plugin it is nor what replaces the hook
                warnings.simplefilter("ignore")
                self.manager.register(module, point.name)
        except (Exception, SystemExit) as error:
            return replace(plugin, location=plugin.location or origin_of(point)), [cause_of(error)]
        return self._asked(module, plugin)

    def _asked(self, module: object, plugin: Plugin) -> tuple[Plugin, list[str]]:
        """Calls each hook of one plugin by itself, so that one that raises hides no other."""
        offers: dict[str, Mapping[str, Any]] = {}
        causes: list[str] = []
        deprecations: list[str] = []
        for caller in self.manager.get_hookcallers(module) or []:
            if caller.name not in self.known:
                causes.append(f"there is no hook '{caller.name}'; {close_match(caller.name, self.known)}")
                continue
            if caller.name in self.deprecated:
                deprecations.append(f"its hook {caller.name} is deprecated: {self.deprecated[caller.name]}")
            function = next(i.function for i in caller.get_hookimpls() if i.plugin is module)
            try:
                offer = function()
                if not isinstance(offer, Mapping):
                    raise TypeError(f"it returned {type(offer).__name__}, not a mapping of names")
                offers[caller.name] = dict(offer)
            except (Exception, SystemExit) as error:
                causes.append(f"hook {caller.name}: {cause_of(error)}")
        if not offers and not causes:
            causes.append("it implements no hook; are its functions marked with @hookimpl?")
        return replace(plugin, offers=offers, deprecations=tuple(deprecations)), causes


def cause_of(error: BaseException) -> str:
    """An exception in one line, with the file and line where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)]
    frames = [f for f in frames if "importlib" not in f.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}{place}"
