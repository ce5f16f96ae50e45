"""The verbs of a ladder: found, their options checked before anything has run, and called in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from stemcore.component.command import ARGUMENTS, QUIET
from stemcore.errors import Problem, TrainingFailed, UserError, close_match
from stemcore.recipe.stages import OUT, VerbStage, named, placed

COMMAND_LINE = ("stemcore.cli.main", "stem")
"""Where the verbs are, the core's and those of plugins: named, since the command line stands above runs."""
REFUSED = {"run": "write the recipe as a stage", "validate": "a ladder is checked before it runs"}


def check_verb(stage: VerbStage) -> list[Problem]:
    """What is wrong with a verb's name, its arguments and its options, as far as can be told before it is called."""
    try:
        command, context = _found(stage)
        words = _words(stage, command)
        return list(_misfits(stage, command, context, words))
    except UserError as error:
        return [_in(stage, problem.message, problem.hint) for problem in error.problems]
    except click.ClickException as error:
        return [_in(stage, _said(error))]


def call(stage: VerbStage, folder: Path, places: Mapping[str, Path], printed: Path) -> None:
    """Calls a verb as the command line does.

    Args:
        stage: what to call.
        folder: of the stage, to which its ``out`` is relative.
        places: what each stage before it has left.
        printed: file for what it prints.

    Raises:
        UserError: if its input is wrong.
        TrainingFailed: if it says that it has failed.
    """
    command, _ = _found(stage)
    words = [*stage.verb.split(), *_words(stage, command, folder, places)]
    quiet = _quiet()  # of the caller: the verb has a context of its own
    with printed.open("w", encoding="utf-8") as file, redirect_stdout(file):
        try:
            with _group().make_context("stem", list(words)) as context:
                context.meta.update({ARGUMENTS: tuple(words), QUIET: quiet})
                _group().invoke(context)
        except click.exceptions.Exit as end:
            if end.exit_code:
                raise TrainingFailed(f"'{stage.verb}' ended with exit code {end.exit_code}") from end
        except click.Abort as end:
            raise KeyboardInterrupt from end
        except click.UsageError as error:
            raise UserError(_in(stage, _said(error))) from error


@contextmanager
def as_if_called(*words: str) -> Iterator[None]:
    """What happens meanwhile is what ``stem`` with these arguments does: further processes that it needs are started by
    them, and are gone in the end."""
    context = click.Context(click.Command("stem"), info_name="stem")
    context.meta.update({ARGUMENTS: words, QUIET: _quiet()})
    with context:
        yield


def _quiet() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET, False))


def _group() -> click.Group:
    module, name = COMMAND_LINE
    group: click.Group = getattr(import_module(module), name)
    return group


def _found(stage: VerbStage) -> tuple[click.Command, click.Context]:
    """The command behind a verb, ``encode`` or one of a group, ``lab measure``."""
    first, *rest = stage.verb.split()
    if first in REFUSED:
        raise UserError(f"the verb '{first}' cannot be a stage", hint=REFUSED[first])
    command: click.Command = _group()
    context = click.Context(command, info_name="stem")
    for word in (first, *rest):
        known = command.list_commands(context) if isinstance(command, click.Group) else []
        below = command.get_command(context, word) if isinstance(command, click.Group) else None
        if below is None:
            raise UserError(f"there is no verb '{stage.verb}'", hint=close_match(word, known))
        command, context = below, click.Context(below, info_name=word, parent=context)
    if isinstance(command, click.Group) and not command.invoke_without_command:
        raise UserError(f"the verb '{stage.verb}' has verbs of its own", hint=close_match("", command.commands))
    return command, context


def _words(
    stage: VerbStage, command: click.Command, folder: Path | None = None, places: Mapping[str, Path] | None = None
) -> list[str]:
    """The arguments of the command line, options first."""

    def text(value: Any) -> str:
        return str(value if places is None else placed(value, places))

    options = {name: option for option in command.params for name in option.opts if isinstance(option, click.Option)}
    words: list[str] = []
    problems = []
    for key, value in stage.options.items():
        spellings = (f"--{key}", f"--{key.replace('_', '-')}", f"-{key}")
        name = next((spelling for spelling in spellings if spelling in options), None)
        if name is None:
            known = [option.removeprefix("--") for option in options if option.startswith("--")]
            problems.append(Problem(f"the verb '{stage.verb}' has no option '{key}'", hint=close_match(key, known)))
        elif isinstance(value, bool):
            words += _switch(name, value, options[name])
        elif key == OUT and folder is not None:
            words += [name, str(folder / value)]
        else:
            words += [word for item in (value if isinstance(value, list) else [value]) for word in (name, text(item))]
    if problems:
        raise UserError(*problems)
    return [*words, *(["--"] if stage.arguments else []), *map(text, stage.arguments)]


def _switch(name: str, value: bool, option: click.Parameter) -> list[str]:
    if not getattr(option, "is_flag", False):
        return [name, str(value).lower()]
    return [name] if value else list(option.secondary_opts[:1])


def _misfits(
    stage: VerbStage, command: click.Command, context: click.Context, words: Sequence[str]
) -> Iterator[Problem]:
    """What the verb's own parser would refuse; what earlier stages leave, which is not there yet, is let pass."""
    parser = command.make_parser(context)
    values, rest, _ = parser.parse_args(list(words))
    if rest and not context.allow_extra_args:
        yield _in(stage, f"the verb '{stage.verb}' takes no argument '{rest[0]}'")
    for parameter in command.get_params(context):
        given = values.get(parameter.name or "")
        if any(named(value) is not None for value in (given if isinstance(given, (list, tuple)) else [given])):
            continue
        try:
            value, source = parameter.consume_value(context, values)
            if parameter.required and parameter.value_is_missing(value):
                raise click.MissingParameter(ctx=context, param=parameter)
            if source is ParameterSource.COMMANDLINE:
                parameter.type_cast_value(context, value)
        except click.UsageError as error:
            yield _in(stage, _said(error))


def _said(error: click.ClickException) -> str:
    return " ".join(error.format_message().split()).rstrip(".")


def _in(stage: VerbStage, message: str, hint: str = "") -> Problem:
    return Problem(f"stages.{stage.name}: {message}", stage.where, hint)
