"""What a plugin promises as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import yaml

from stemcore.errors import close_match
from stemcore.plugins import Catalogue
from stemcore.plugins.discovery import GROUP, Discovery, discover
from stemcore.testing.promises import PLUGIN, Broken, ensure, promise
from stemcore.testing.subject import Subject

HEAVY = ("torch", "lightning_fabric", "torchmetrics", "matplotlib", "h5py")


def _found(subject: Subject) -> Discovery:
    return discover([EntryPoint(subject.entry.plugin, subject.entry.target, GROUP)])


def _offers(subject: Subject) -> Mapping[str, Mapping[str, Any]]:
    plugins = _found(subject).plugins
    return plugins[0].offers if plugins else {}


@promise(PLUGIN)
def check_loads(subject: Subject) -> None:
    """The plugin module imports, its API version fits, every hook in it is one of the core's and can be called: the
    core leaves out whatever does not."""
    troubles = _found(subject).troubles
    ensure(not troubles, "; ".join(trouble.cause for trouble in troubles))


@promise(PLUGIN)
def check_hooks_return_data(subject: Subject) -> None:
    """Hooks return names and import strings, or plain values, the same at every call: they can be listed without
    importing a component."""
    troubles = Catalogue(Discovery(plugins=_found(subject).plugins)).troubles
    ensure(not troubles, "; ".join(trouble.cause for trouble in troubles))
    first, again = _offers(subject), _offers(subject)
    for hook, offer in first.items():
        ensure(offer == again[hook], f"{hook} returned {offer} and then {again[hook]}")
    try:
        yaml.safe_dump({hook: dict(offer) for hook, offer in first.items()})
    except yaml.YAMLError as error:
        raise Broken(f"a hook returns what is not plain data: {error}") from error


@promise(PLUGIN)
def check_imports_without_torch(subject: Subject) -> None:
    """Importing the plugin module and calling its hooks imports none of the heavy libraries: ``stem --help`` does both
    for every plugin that is installed."""
    module = subject.entry.target
    hooks = "[getattr(m, n)() for n in dir(m) if n.startswith('stem_') and callable(getattr(m, n))]"
    code = f"import importlib, sys; m = importlib.import_module({module!r}); {hooks}; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    ensure(done.returncode == 0, f"importing {module} failed: {(done.stderr.splitlines() or ['?'])[-1]}")
    seen = [name for name in HEAVY if name in done.stdout.split()]
    ensure(not seen, f"importing {module} imports {', '.join(seen)}: import them in the component's own module")


@promise(PLUGIN)
def check_examples_have_components(subject: Subject) -> None:
    """What ``stem_examples`` says concerns components that the plugin offers: a misspelt key would leave one
    unchecked."""
    found = _found(subject).plugins
    known = [f"{entry.kind}/{entry.name}" for entry in Catalogue(Discovery(plugins=found)).entries]
    for key in _offers(subject).get("stem_examples", {}):
        ensure(key in known, f"stem_examples: there is no '{key}'; {close_match(key, known)}")


@promise(PLUGIN)
def check_gets_on_with_others(subject: Subject) -> None:
    """Its entry point's name is its own, and its defaults contradict none of the plugins that are installed here."""
    others = [p for p in entry_points(group=GROUP) if p.value != subject.entry.target]
    own = EntryPoint(subject.entry.plugin, subject.entry.target, GROUP)
    troubles = Catalogue(discover([*others, own])).troubles
    # Of two that clash, the one that comes second in the alphabet is the one in trouble.
    before = {(t.plugin, t.cause) for t in Catalogue(discover(others)).troubles}
    alone = {(t.plugin, t.cause) for t in Catalogue(discover([own])).troubles}
    new = [t for t in troubles if (t.plugin, t.cause) not in before | alone]
    ensure(not new, "; ".join(str(trouble) for trouble in new))
