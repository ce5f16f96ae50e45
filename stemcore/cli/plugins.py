"""``stem plugins``: what is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import click

from stemcore import __version__
from stemcore.cli import completion
from stemcore.cli.output import installed, show, show_json, show_table, stdout_kept_clean
from stemcore.cli.verbs import refused
from stemcore.component.command import reporter
from stemcore.component.kinds import KINDS
from stemcore.errors import UserError, close_match
from stemcore.hookspecs import API_VERSION
from stemcore.plugins.catalogue import Entry
from stemcore.plugins.inventory import Installed, inventory

F = TypeVar("F", bound=Callable[..., object])


def _json(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


@click.group(invoke_without_command=True)
@_json
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List, show and check the components that are installed."""
    ctx.obj = as_json
    if ctx.invoked_subcommand is None:
        _list(as_json)


@plugins.command("list")
@_json
@click.pass_obj
def list_plugins(json_before: bool, as_json: bool) -> None:
    """List every component and every plugin, with what is wrong with those that are broken."""
    _list(as_json or json_before)


@plugins.command("show")
@click.argument("component", metavar="KIND/NAME", shell_complete=completion.components)
@_json
@click.pass_obj
def show_plugin(json_before: bool, component: str, as_json: bool) -> None:
    """Show what a component does and which parameters it takes."""
    kind, _, name = component.partition("/")
    if kind not in KINDS:
        raise UserError(f"unknown kind '{kind}'", hint=close_match(kind, KINDS))
    if not name:
        known = ", ".join(installed().names(kind))
        raise UserError(f"'{component}' is not KIND/NAME", hint=f"names of this kind: {known}")
    entry = installed().find(kind, name)
    from stemcore.cli.component_page import document, page

    with stdout_kept_clean():
        described = document(installed(), entry)
    if as_json or json_before:
        show_json(described)
    else:
        page(described)


@plugins.command("check")
@click.argument("distribution", metavar="DIST", shell_complete=completion.distributions)
@click.argument("components", metavar="[KIND/NAME]...", nargs=-1, shell_complete=completion.components)
@click.option("-v", "--verbose", is_flag=True, help="Print a row for every check.")
@_json
@click.pass_obj
@click.pass_context
def check_plugin(
    ctx: click.Context,
    json_before: bool,
    distribution: str,
    components: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Put the components of an installed distribution to the contract checks, for its author; the exit code is 1 where
    one fails.

    Each kind of component has promises of its own, such as that a loss has the gradient of its value, or that a data
    set reads the same in any order. The same checks run under pytest, by stemcore.testing.contract_checks.
    """
    with stdout_kept_clean():
        from stemcore.cli.plugin_check import COLUMNS, check_distribution, document, rows, summary

        outcomes = check_distribution(distribution, components, reporter())
    if as_json or json_before:
        show_json(document(distribution, outcomes))
    else:
        show_table(COLUMNS, list(rows(outcomes, verbose)))
        show(summary(outcomes))
    ctx.exit(1 if any(outcome.status == "failed" for outcome in outcomes) else 0)


def _list(as_json: bool) -> None:
    known = installed()
    entries = [entry for kind in KINDS for entry in known.of_kind(kind)]
    troubles = [*known.troubles, *refused(known)]
    found = inventory(known, troubles)
    if as_json:
        show_json(
            {
                "stemcore": __version__,
                "api_version": API_VERSION,
                "plugins": [plugin.document() for plugin in found],
                "components": [asdict(entry) for entry in entries],
                "troubles": [asdict(trouble) for trouble in troubles],
                "disabled": known.disabled,
            }
        )
        return
    show_table(("kind", "name", "plugin", "distribution"), [_row(entry) for entry in entries])
    show("")
    show_table(("plugin", "distribution", "plugin API", "status"), [_plugin_row(plugin) for plugin in found])
    for trouble in troubles:
        show(f"broken: {trouble}")
    for plugin in known.plugins:
        for text in plugin.deprecations:
            show(f"deprecated: {plugin.trouble(text)}")
    for name in known.disabled:
        show(f"switched off by STEM_DISABLE_PLUGINS: plugin '{name}'")


def _row(entry: Entry) -> tuple[str, str, str, str]:
    return entry.kind, entry.name, entry.plugin, f"{entry.distribution} {entry.version}".rstrip()


def _plugin_row(found: Installed) -> tuple[str, str, str, str]:
    plugin = found.plugin
    return plugin.name, f"{plugin.distribution} {plugin.version}".rstrip(), plugin.api_version or "-", found.status
