"""What can stand at a place of the command line, for completion in shells: recipes, runs, components, overrides.

Nothing here imports torch but what is said of a component's own parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from stemcore.cli.output import installed
from stemcore.component.kinds import KINDS

Items = list[CompletionItem[str]]
RUN_FILES = ("recipe.yaml", "checkpoints")
"""What a run directory is told by."""
APPLIED = ("model.", "data.eval_batch_size=")
"""The keys that may change where a run is applied."""


def recipe_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The names of shipped recipes."""
    from stemcore.plugins.shipped import summary_of

    entries = [entry for entry in installed().of_kind("recipe") if entry.name.startswith(incomplete)]
    return [CompletionItem(entry.name, help=summary_of(entry)) for entry in entries]


def option_sections(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The sections of recipes that there are options for."""
    sections = dict.fromkeys(entry.name.partition("/")[0] for entry in installed().of_kind("option"))
    return [CompletionItem(section) for section in sections if section.startswith(incomplete)]


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The names of shipped recipes, and YAML files."""
    files = _paths(incomplete, lambda path: path.suffix in (".yaml", ".yml"))
    return [*recipe_names(ctx, param, incomplete), *files]


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The ``shell_complete`` of an argument that is a run: the run directories where they are written by default, the
    newest first, else the way to others."""
    usual = sorted((str(path) for path in Path("runs").glob("*/*") if _is_run(path)), reverse=True)
    found = [CompletionItem(path) for path in usual if path.startswith(incomplete)]
    return found or _paths(incomplete, _is_run)


def runs_and_checkpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Run directories, and the checkpoints in one."""
    folder = Path(incomplete.rpartition("/")[0])
    if _is_run(folder) or _is_run(folder.parent):
        base = folder if folder.name == RUN_FILES[1] else folder / RUN_FILES[1]
        found = sorted(str(path) for path in base.glob("*.ckpt"))
        return [CompletionItem(path) for path in found if path.startswith(incomplete) or incomplete == f"{folder}/"]
    return complete_runs(ctx, param, incomplete)


def components(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """``KIND/NAME`` of every component: first the kinds, then the names of one."""
    kind, slash, name = incomplete.partition("/")
    if not slash:
        found = [k for k in KINDS if k.startswith(kind) and installed().of_kind(k)]
        return [CompletionItem(f"{k}/", type="nospace", help=f"{len(installed().of_kind(k))} installed") for k in found]
    entries = installed().of_kind(kind)
    bare = [entry.name for entry in entries]
    named = {e.name if bare.count(e.name) == 1 else e.qualified: e for e in entries}
    return [
        CompletionItem(f"{kind}/{text}", help=f"{entry.distribution} {entry.version}".strip())
        for text, entry in named.items()
        if text.startswith(name)
    ]


def distributions(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The distributions that bring plugins."""
    known = installed()
    versions = {plugin.distribution: plugin.version for plugin in [*known.plugins, *known.left_out]}
    return [CompletionItem(name, help=versions[name]) for name in sorted(versions) if name.startswith(incomplete)]


def overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """``KEY=VALUE`` for the recipe that stands before: keys one level at a time, then values."""
    return _overrides_of(ctx.params.get("recipe") or "", ctx.params.get("overrides") or (), incomplete)


def complete_overrides_of_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The ``shell_complete`` of an argument ``overrides`` behind an argument ``run``: ``KEY=VALUE``, as far as they may
    change where the run is applied."""
    run = Path(ctx.params.get("run") or "")
    recipe = next((str(p) for folder in (run, *run.parents[:2]) if (p := folder / RUN_FILES[0]).is_file()), "")
    wanted = [text for text in APPLIED if text.startswith(incomplete) and text != incomplete]
    if wanted:
        return [CompletionItem(text, type="nospace") for text in wanted]
    if not incomplete.startswith(APPLIED):
        return []
    return _overrides_of(recipe, ctx.params.get("overrides") or (), incomplete)


def _overrides_of(recipe: str, given: Sequence[str], incomplete: str) -> Items:
    from stemcore.cli.override_keys import OverrideKeys

    keys = OverrideKeys(recipe, given)
    key, equals, value = incomplete.partition("=")
    if not equals:
        return [CompletionItem(text, type="nospace", help=about) for text, about in keys.continued(key)]
    found = [CompletionItem(f"{key}={text}", help=about) for text, about in keys.values(key) if text.startswith(value)]
    if not found and keys.takes_path(key):
        paths = _paths(value, Path.is_file)
        found = [CompletionItem(f"{key}={item.value}", type=item.type) for item in paths]
    return found


def _is_run(path: Path) -> bool:
    return all((path / name).exists() for name in RUN_FILES)


def _paths(incomplete: str, wanted: Callable[[Path], bool]) -> Items:
    """What is wanted in the folder that a path begins with, and the folders there, from which one goes on."""
    name = incomplete.rpartition("/")[2]
    start = incomplete.removesuffix(name)
    folder = Path(start or ".").expanduser()
    items: Items = []
    for path in _contents(folder):
        if path.name.startswith(name) and path.name.startswith(".") <= name.startswith("."):
            if wanted(path):
                items.append(CompletionItem(f"{start}{path.name}", type="path"))
            elif path.is_dir() and (name or start):  # where nothing is typed, all folders would be in the way
                items.append(CompletionItem(f"{start}{path.name}/", type="nospace"))
    return items


def _contents(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()
