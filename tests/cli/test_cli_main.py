from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial

import pytest

import stemcore
from stemcore.cli.main import execute
from stemcore.cli.verbs import VERBS
from stemcore.component.command import CORE_VERBS

HEAVY = ("torch", "lightning", "lightning_fabric", "pydantic", "numpy", "rich", "torchmetrics")


@pytest.mark.parametrize("args", [["--help"], ["plugins"], ["plugins", "--json"], ["recipes"], ["--version"]])
def test_looking_around_imports_nothing_heavy(args):
    code = (
        f"import sys; from stemcore.cli.main import execute; code = execute({args!r}); "
        f"sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules) or code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def sole_verb(body):
    """The modules of a plugin with the one verb ``sole``."""
    verb = "import click, time\nfrom stemcore import Command\n\n@click.command(cls=Command)\ndef verb():\n    "
    plugin = "from stemcore import hookimpl\n\n@hookimpl\ndef stem_commands():\n    return {'sole': 'sole_verb:verb'}\n"
    return {"sole_verb.py": f"{verb}{body}\n", "sole_plugin.py": plugin}


def test_version(capsys):
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"stem {stemcore.__version__}\n"


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help_names_every_verb_and_exit_code(args, capsys):
    assert execute(args) == 0
    shown = capsys.readouterr().out
    for verb, (_, about) in VERBS.items():
        assert verb in shown
        assert about in shown
    assert "130 interrupted" in " ".join(shown.split())
    assert "_STEM_COMPLETE=bash_source" in shown


def test_plugins_are_told_which_verbs_are_the_cores() -> None:
    assert set(CORE_VERBS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_that_begins_as_the_table_says(verb, capsys):
    assert execute([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert VERBS[verb][1] in " ".join(shown.split())
    assert "--debug" in shown
    assert "--quiet" in shown


def test_unknown_verb_is_wrong_input_with_a_hint(capsys):
    assert execute(["vaildate"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: unknown verb 'vaildate'; did you mean 'validate'?")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run"], "error: Missing argument 'RECIPE'; see 'stem run --help'"),
        (["encode", "somewhere"], "error: Missing option '--out'; see 'stem encode --help'"),
        (["run", "r.yaml", "--overfit-batches", "-1"], "Invalid value for '--overfit-batches'"),
        (["run", "r.yaml", "--ouput", "x"], "No such option"),
        (["--no-such"], "see 'stem --help'"),
    ],
)
def test_wrong_usage_is_one_line(args, said, capsys):
    assert execute(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
@pytest.mark.parametrize("command", ["plugins", "--help", "plugins --json", "recipes"])
def test_closed_pipe_is_no_error(command):
    line = f"set -o pipefail; {sys.executable} -m stemcore.cli {command} | head -c 0"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_closed_stderr_keeps_the_exit_code():
    line = f"set -o pipefail; {sys.executable} -m stemcore.cli no_such_verb 2>&1 | head -c 0"
    assert subprocess.run(["bash", "-c", line], capture_output=True, check=False).returncode == 2


def test_broken_pipe_within_the_work_is_a_failure(stem, distribution):
    distribution("stem-sole", {"sole": "sole_plugin"}, sole_verb("raise BrokenPipeError('dead')"))
    done = stem("sole")
    assert done.returncode == 1
    assert "stem: BrokenPipeError: dead" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupt_from_outside(distribution):
    distribution("stem-sole", {"sole": "sole_plugin"}, sole_verb("print('ready', flush=True); time.sleep(60)"))
    command = [sys.executable, "-m", "stemcore.cli", "sole"]
    # What runs in the background of a shell ignores SIGINT, and so would its children.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=heard, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "stem: interrupted\n")


def test_completion_script(stem, monkeypatch):
    monkeypatch.setenv("_STEM_COMPLETE", "zsh_source")
    done = stem()
    assert "compdef" in done.stdout
