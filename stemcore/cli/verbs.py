"""Which verbs there are, the core's and those of plugins, each imported only when it is used."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from stemcore.cli.options import common
from stemcore.cli.output import installed
from stemcore.errors import UserError, close_match
from stemcore.plugins.catalogue import Catalogue, Entry
from stemcore.plugins.discovery import Trouble, cause_of

VERBS = {
    "run": ("stemcore.cli.run:run", "Train what a recipe describes."),
    "validate": ("stemcore.cli.run:validate", "Check a recipe without training."),
    "recipes": ("stemcore.cli.recipes:recipes", "List, show and copy the recipes that are installed."),
    "plugins": ("stemcore.cli.plugins:plugins", "List, show and check the components that are installed."),
    "new": ("stemcore.cli.new:new", "Write a plugin to begin with."),
    "schema": ("stemcore.cli.schema:schema", "Print the JSON Schema of recipes, for editors."),
    "encode": ("stemcore.cli.apply:encode", "Write the latents of every item."),
    "reconstruct": ("stemcore.cli.apply:reconstruct", "Write the reconstruction of every item, in physical units."),
    "evaluate": ("stemcore.cli.apply:evaluate", "Score a run by every metric of its recipe."),
}
"""The core's verbs: import string and help. A table, so that ``--help`` imports none of them."""


def plugin_verbs(known: Catalogue) -> dict[str, Entry]:
    """The verbs of plugins by the name to type: qualified where two plugins offer the same one."""
    entries = [entry for entry in known.of_kind("command") if entry.name not in VERBS]
    bare = [entry.name for entry in entries]
    return {entry.name if bare.count(entry.name) == 1 else entry.qualified: entry for entry in entries}


def refused(known: Catalogue) -> list[Trouble]:
    """The verbs of plugins that are left out because the core has a verb of that name."""
    entries = [entry for entry in known.of_kind("command") if entry.name in VERBS]
    return [Trouble(e.plugin, e.distribution, f"its verb '{e.name}' is the core's and stays so") for e in entries]


class Stem(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs."""
        return [*VERBS, *plugin_verbs(installed())]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb called ``name``; a plugin's may be given qualified by its plugin, as ``tv/measure``.

        Raises:
            UserError: if the plugin's verb cannot be imported or is not one, or if two plugins offer it.
        """
        if name in VERBS:
            module, _, attribute = VERBS[name][0].partition(":")
            core: click.Command = getattr(import_module(module), attribute)
            return common(core)
        known = installed()
        if not any(name in (entry.name, entry.qualified) for entry in known.of_kind("command")):
            return None
        entry = known.find("command", name)
        verb = known.load(entry)
        from stemcore.component.command import Command

        if not isinstance(verb, Command):
            raise UserError(
                f"verb '{entry.name}' of plugin '{entry.plugin}' ({entry.distribution}) is not a stemcore.Command",
                hint="make it one with @click.command(cls=Command)",
            )
        return common(verb)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with, and the rest of them."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            known = installed()
            hint = close_match(args[0], [*VERBS, *plugin_verbs(known)])
            broken = "; ".join(str(trouble) for trouble in known.troubles)
            raise UserError(f"unknown verb '{args[0]}'", hint=f"{hint}; not loaded: {broken}" if broken else hint)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The verbs, none of which is imported for it, or the options of all."""
        about = {name: text for name, (_, text) in VERBS.items()}
        with suppress(Exception):  # of a broken plugin, for which completion is not the place
            about.update(
                (n, f"From plugin '{e.plugin}' ({e.distribution}).") for n, e in plugin_verbs(installed()).items()
            )
        verbs = [CompletionItem(name, help=text) for name, text in about.items() if name.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the verbs; a plugin that is broken is named, and stops nothing."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, about) for name, (_, about) in VERBS.items()])
        try:
            known = installed()
        except Exception as error:
            with formatter.section("Plugins that are broken"):
                formatter.write_text(str(error) if isinstance(error, UserError) else cause_of(error))
            return
        if verbs := plugin_verbs(known):
            rows = [(name, f"From plugin '{e.plugin}' ({e.distribution} {e.version}).") for name, e in verbs.items()]
            with formatter.section("Verbs from plugins"):
                formatter.write_dl(rows)
        if troubles := [*known.troubles, *refused(known)]:
            with formatter.section("Plugins that are broken"):
                formatter.write_dl([(f"{t.plugin} ({t.distribution})", t.cause) for t in troubles])
