"""Finding plugins behind the entry points of the group ``stemcore``, one guarded load for each."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from stemcore import hookspecs
from stemcore.errors import close_match

GROUP = "stemcore"
DISABLE = "STEM_DISABLE_PLUGINS"
_OURS = str(Path(__file__).parent)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a plugin: its entry point, its distribution, and the cause in one line."""

    plugin: str
    distribution: str
    cause: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution}: {self.cause}"


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin and what each of its hooks returned."""

    name: str
    distribution: str
    version: str
    offers: Mapping[str, Mapping[str, Any]]


@dataclass
class Discovery:
    """Every plugin that loaded, and every trouble met on the way."""

    plugins: list[Plugin] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)


def discover(points: Iterable[EntryPoint] | None = None) -> Discovery:
    """Loads every plugin; a broken one becomes a :class:`Trouble` and stops nothing.

    Args:
        points: the entry points, by default those installed under the group ``stemcore``.
    """
    found = Discovery()
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    off = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    taken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: (p.name, p.value)):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("an unknown distribution", "")
        if point.name in off:
            found.disabled.append(point.name)
            continue
        if point.name in taken:
            cause = f"its name is taken by {taken[point.name]}; one of the two must rename its entry point"
            found.troubles.append(Trouble(point.name, distribution, cause))
            continue
        taken[point.name] = distribution
        try:
            module = point.load()
            manager.register(module, point.name)
        except (Exception, SystemExit) as error:
            found.troubles.append(Trouble(point.name, distribution, cause_of(error)))
            continue
        offers, causes = _ask(manager, module)
        found.troubles += [Trouble(point.name, distribution, cause) for cause in causes]
        found.plugins.append(Plugin(point.name, distribution, version, offers))
    return found


def _ask(manager: pluggy.PluginManager, module: object) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Calls each hook of one plugin by itself, so that one that raises hides no other."""
    offers: dict[str, Mapping[str, Any]] = {}
    causes: list[str] = []
    known = {name for name in dir(hookspecs) if name.startswith("stem_")}
    for caller in manager.get_hookcallers(module) or []:
        if caller.name not in known:
            causes.append(f"there is no hook '{caller.name}'; {close_match(caller.name, known)}")
            continue
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
    return offers, causes


def cause_of(error: BaseException) -> str:
    """An exception in one line, with the file and line where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)]
    frames = [f for f in frames if "importlib" not in f.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}{place}"
