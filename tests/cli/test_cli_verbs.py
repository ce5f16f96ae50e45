from __future__ import annotations

from importlib import import_module

import pytest

import stemcore
from stemcore.cli.main import execute
from stemcore.plugins.catalogue import catalogue
from stemcore.progress import Lines


@pytest.mark.parametrize("name", ["measure", "lab/measure"])
def test_plugin_verb_runs(lab, name, capsys):
    assert execute([name, "height"]) == 0
    assert capsys.readouterr().out == "measured height\n"


def test_help_lists_plugin_verbs_without_importing_them(lab, stem):
    done = stem("--help")
    shown = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert "measure From plugin 'lab' (stem-lab 2.5)." in shown
    assert "lab (stem-lab) its verb 'run' is the core's and stays so" in shown
    assert "no camera driver" not in shown


def test_plugin_verb_takes_the_common_options(lab, capsys):
    assert execute(["-q", "measure", "height", "--quiet", "--debug"]) == 0
    assert execute(["measure", "--help"]) == 0
    assert "Show tracebacks." in capsys.readouterr().out
    verb = import_module("lab_verbs.measure").measure
    assert [p.name for p in verb.params] == ["what"], "the plugin's own command was changed"


@pytest.mark.parametrize(
    ("args", "variables", "said"),
    [
        ([], {}, "things: 0/2, started\nthings: 2/2 in "),
        (["-q"], {}, ""),
        ([], {"RANK": "1"}, ""),
        ([], {"RANK": "0", "LOCAL_RANK": "1"}, "things: 0/2, started\n"),
    ],
)
def test_plugin_verb_reports_progress_as_the_core_does(lab, monkeypatch, args, variables, said, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert execute([*args, "measure", "slowly"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "measured slowly\n"
    assert shown.err.startswith(said)
    assert bool(shown.err) == bool(said)


def test_reporter_outside_of_a_verb_is_that_of_stderr():
    assert type(stemcore.reporter()) is Lines


def test_core_verb_is_not_replaced(lab, capsys):
    assert execute(["run", "--help"]) == 0
    assert "Train what a recipe describes." in capsys.readouterr().out


def test_errors_of_plugin_verbs_become_lines_and_codes(lab, capsys):
    assert execute(["measure", "wrong"]) == 2
    assert capsys.readouterr().err == "error: lab.yaml:3: first; mend it\nerror: lab.yaml:3: second; mend it\n"
    assert execute(["measure", "crash"]) == 1
    assert capsys.readouterr().err == "stem: RuntimeError: out of; --debug shows where\n"
    assert execute(["measure", "interrupt"]) == 130


@pytest.mark.parametrize("args", [["--debug", "measure", "crash"], ["measure", "crash", "--debug"]])
def test_debug_before_and_after_the_verb(lab, args, capsys):
    assert execute(args) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "measure.py" in said


def test_broken_verb_shows_its_cause(lab, capsys):
    assert execute(["broken"]) == 2
    said = capsys.readouterr().err
    assert "command 'broken' of plugin 'lab' (stem-lab)" in said
    assert "ImportError: no camera driver" in said
    assert len(said.splitlines()) == 1


def test_verb_that_is_no_command_of_ours(lab, capsys):
    assert execute(["plain"]) == 2
    assert "is not a stemcore.Command; make it one with @click.command(cls=Command)" in capsys.readouterr().err


def test_verb_of_two_plugins_needs_its_plugins_name(lab, distribution, capsys):
    plugin = "from stemcore import hookimpl\n@hookimpl\ndef stem_commands():\n"
    plugin += "    return {'measure': 'lab_verbs.measure:measure'}\n"
    distribution("stem-tv", {"tv": "tv_plugin"}, {"tv_plugin.py": plugin})
    assert execute(["measure", "x"]) == 2
    said = capsys.readouterr().err
    assert "lab/measure (stem-lab)" in said
    assert "tv/measure (stem-tv)" in said
    assert execute(["tv/measure", "x"]) == 0
    assert execute(["--help"]) == 0
    assert "tv/measure" in capsys.readouterr().out


def test_broken_plugin_stops_neither_help_nor_plugins(distribution, stem):
    distribution("stem-bad", {"bad": "bad_plugin"}, {"bad_plugin.py": "raise OSError('no licence file')\n"})
    done = stem("--help")
    assert done.returncode == 0
    assert "bad (stem-bad)" in done.stdout
    assert "OSError: no licence file" in " ".join(done.stdout.split())
    done = stem("plugins")
    assert done.returncode == 0
    assert "broken: plugin 'bad' of stem-bad: OSError: no licence file" in done.stdout
    assert "not loaded: plugin 'bad' of stem-bad: OSError" in stem("bad_verb").stderr


def test_strict_makes_it_fatal_but_not_for_help(distribution, monkeypatch, capsys):
    distribution("stem-bad", {"bad": "bad_plugin"}, {"bad_plugin.py": "raise OSError('no licence file')\n"})
    monkeypatch.setenv("STEM_STRICT", "1")
    catalogue.cache_clear()
    assert execute(["--help"]) == 0
    assert "no licence file" in capsys.readouterr().out
    assert execute(["plugins"]) == 2
    assert "error: plugin 'bad' of stem-bad" in capsys.readouterr().err
