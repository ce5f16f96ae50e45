"""What a verb promises."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import click

from stemcore.component.command import CORE_VERBS
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.checks.plugin import HEAVY
from stemcore.testing.examples import CommandExample
from stemcore.testing.folders import standing_in
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject

OPTIONS_OF_EVERY_VERB = ("--debug", "--quiet", "-q", "--help", "-h")


class _Said(NamedTuple):
    code: int
    out: str
    err: str


def _call(subject: Subject, arguments: Sequence[str]) -> _Said:
    """A call of the verb from an empty folder, with the exit code that the command line would give it."""
    out, err = io.StringIO(), io.StringIO()
    with standing_in(subject.folder), redirect_stdout(out), redirect_stderr(err):
        try:
            with subject.target.make_context(f"stem {subject.entry.name}", list(arguments)) as context:
                subject.target.invoke(context)
            code = 0
        except click.exceptions.Exit as error:
            code = error.exit_code
        except (UserError, click.UsageError, click.FileError) as error:
            code = 2
            err.write(str(error))
        except (Exception, SystemExit) as error:
            raise Broken(f"'{' '.join(arguments)}' raised {cause_of(error)}") from error
    return _Said(code, out.getvalue(), err.getvalue())


def _verbs(verb: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A verb and, of a group, those below it, each with what is typed for it."""
    yield path, verb
    for name, below in verb.commands.items() if isinstance(verb, click.Group) else ():
        yield from _verbs(below, (*path, name))


@promise("command", once=True)
def check_name_is_free(subject: Subject) -> None:
    """Its name is none of the core's verbs, which no plugin can replace: one that tries is left out."""
    ensure(subject.entry.name not in CORE_VERBS, f"'{subject.entry.name}' is a verb of the core, which stays so")


@promise("command", once=True)
def check_help(subject: Subject) -> None:
    """``--help`` works, its first line says what the verb does, and every option has its line: it is all that most
    users read."""
    for path, verb in _verbs(subject.target):
        said = _call(subject, [*path, "--help"])
        typed = " ".join([*path, "--help"])
        ensure(said.code == 0 and "Usage:" in said.out, f"{typed} ended with {said.code} and printed {said.out[:80]!r}")
        silent = [p.opts[0] for p in verb.params if isinstance(p, click.Option) and not p.help]
        ensure(not silent, f"no help is given for {' '.join([*path, ', '.join(silent)])}")


@promise("command", once=True)
def check_options(subject: Subject) -> None:
    """It leaves the options that every verb has to the core."""
    options = [name for _, verb in _verbs(subject.target) for p in verb.params for name in p.opts]
    taken = [name for name in dict.fromkeys(options) if name in OPTIONS_OF_EVERY_VERB]
    ensure(not taken, f"it takes {', '.join(taken)}, which every verb has")


@promise("command", once=True)
def check_imports_without_torch(subject: Subject) -> None:
    """Importing the verb imports none of the heavy libraries: its ``--help`` and completion are to be fast. Import them
    inside the function."""
    module = subject.entry.target.partition(":")[0]
    code = f"import importlib, sys; importlib.import_module({module!r}); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    ensure(done.returncode == 0, f"importing {module} failed: {(done.stderr.splitlines() or ['?'])[-1]}")
    seen = [name for name in HEAVY if name in done.stdout.split()]
    ensure(not seen, f"importing {module} imports {', '.join(seen)}")


@promise("command")
def check_unknown_option(subject: Subject) -> None:
    """An option that it does not have ends with exit code 2: whoever scripts it must hear of a misspelling."""
    for path, _ in _verbs(subject.target):
        arguments = [*path, "--no-such-option-as-this"]
        said = _call(subject, arguments)
        ensure(said.code == 2, f"'{' '.join(arguments)}' ended with {said.code}")


@promise("command")
def check_call(subject: Subject) -> None:
    """The call that its example gives succeeds: a verb is tried as it is typed, arguments and all."""
    arguments = subject.promised(CommandExample).arguments
    if arguments is None:
        raise NotApplicable("its example gives no call")
    said = _call(subject, arguments)
    ensure(said.code == 0, f"'{' '.join(arguments)}' ended with {said.code}: {said.err.strip()}")


@promise("command")
def check_wrong_calls(subject: Subject) -> None:
    """Calls with wrong input end with exit code 2 and say why, without a traceback."""
    wrong = subject.promised(CommandExample).wrong
    if not wrong:
        raise NotApplicable("its example gives no wrong call")
    for arguments in wrong:
        said = _call(subject, arguments)
        ensure(said.code == 2, f"'{' '.join(arguments)}' ended with {said.code}, not with 2")
        ensure(said.err.strip(), f"'{' '.join(arguments)}' ended with 2 and did not say why")
