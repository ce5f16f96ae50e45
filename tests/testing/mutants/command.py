"""Verbs broken in one way each."""

from __future__ import annotations

from pathlib import Path

import click

from stemcore import Command, CommandGroup, UserError
from stemcore.testing import CommandExample
from tests.testing.mutants.light_verb import sound
from tests.testing.mutation import Mutant


def calls(folder: Path):
    (folder / "notes.txt").write_text("one\ntwo\n")
    wrong = [[], ["missing.txt"], [str(folder / "notes.txt"), "--lines", "0"]]
    return [CommandExample(arguments=[str(folder / "notes.txt")], wrong=wrong)]


@click.command(cls=Command)
@click.option("--deep", is_flag=True)
def terse(deep: bool) -> None:
    """Say nothing of an option."""


class _Unhelpful(Command):
    def get_help(self, ctx: click.Context) -> str:
        return ""


@click.command(cls=_Unhelpful)
def unhelpful() -> None:
    """Keep quiet."""


@click.command(cls=Command)
@click.option("-q", "--quick", is_flag=True, help="Do it quickly.")
def grabbing(quick: bool) -> None:
    """Take an option that every verb has."""


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def lenient(rest: tuple[str, ...]) -> None:
    """Take whatever comes."""


@click.group(cls=CommandGroup)
def several() -> None:
    """Do one of several things."""


@several.command()
def well() -> None:
    """Do it well."""


@click.group(cls=CommandGroup)
def terse_below() -> None:
    """Say nothing of an option of a verb below."""


@terse_below.command("measure")
@click.option("--deep", is_flag=True)
def terse_measure(deep: bool) -> None:
    """Measure."""


@click.group(cls=CommandGroup)
def grabbing_below() -> None:
    """Take an option that every verb has, in a verb below."""


@grabbing_below.command("measure")
@click.option("--debug", is_flag=True, help="Tell more.")
def grabbing_measure(debug: bool) -> None:
    """Measure."""


@click.group(cls=CommandGroup)
def lenient_below() -> None:
    """Take whatever comes, in a verb below."""


@lenient_below.command("measure", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def lenient_measure(rest: tuple[str, ...]) -> None:
    """Measure."""


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
def failing(file: Path) -> None:
    """Refuse everything."""
    raise UserError("not today")


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
def unguarded(file: Path) -> None:
    """Count the lines of FILE, which must be there."""
    click.echo(len(file.read_text().splitlines()))


@click.command(cls=Command)
@click.argument("file", required=False)
@click.option("--lines", type=int, help="Not used.")
def content(file: str, lines: int) -> None:
    """Take every file."""


@click.command(cls=Command)
@click.argument("file", required=False)
@click.pass_context
def mute(ctx: click.Context, file: str | None) -> None:
    """End with 2 and say nothing."""
    ctx.exit(2)


def one_wrong(folder: Path):
    return [CommandExample(wrong=[["missing.txt"]])]


def calls_of_group(folder: Path):
    return [CommandExample(arguments=["well"], wrong=[["badly"]])]


SOUND = [
    ("tests.testing.mutants.light_verb:sound", calls),
    ("tests.testing.mutants.command:several", calls_of_group),
]
MUTANTS = [
    Mutant("check_name_is_free", sound, "'encode' is a verb of the core", name="encode"),
    Mutant("check_help", terse, "no help is given for --deep"),
    Mutant("check_help", terse_below, "no help is given for measure --deep"),
    Mutant("check_help", unhelpful, "--help ended with 0 and printed"),
    Mutant("check_options", grabbing, "it takes -q, which every verb has"),
    Mutant("check_options", grabbing_below, "it takes --debug, which every verb has"),
    Mutant("check_imports_without_torch", "tests.testing.mutants.heavy_verb:heavy", "imports torch"),
    Mutant("check_unknown_option", lenient, "ended with 0"),
    Mutant("check_unknown_option", lenient_below, "'measure --no-such-option-as-this' ended with 0"),
    Mutant("check_call", failing, "ended with 2: not today", calls),
    Mutant("check_call", sound, "'x' ended with 2: x is not there", lambda folder: [CommandExample(arguments=["x"])]),
    Mutant("check_wrong_calls", unguarded, "raised FileNotFoundError", one_wrong),
    Mutant("check_wrong_calls", content, "ended with 0, not with 2", one_wrong),
    Mutant("check_wrong_calls", mute, "ended with 2 and did not say why", one_wrong),
]
