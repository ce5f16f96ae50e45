"""Verbs of a ladder: found, checked by their own parsers before they are called, and called as by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from stemcore import Command, CommandGroup, UserError, hookimpl, run
from stemcore.errors import TrainingFailed
from stemcore.plugins import catalogue
from stemcore.progress import reporter
from stemcore.recipe.load import load
from stemcore.recipe.stages import LadderRecipe, VerbStage
from stemcore.runs.ladder_verbs import call, check_verb


@click.group(cls=CommandGroup)
def bench() -> None:
    """Verbs of a test."""


@bench.command("weigh")
@click.argument("what", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--times", type=click.IntRange(min=1), default=1)
@click.option("-n", type=int, default=0)
@click.option("--fine/--coarse", default=False)
@click.option("--tag", multiple=True)
def weigh(what: tuple[str, ...], out: Path, **given: Any) -> None:
    """Writes down what it was given."""
    out.write_text(json.dumps({"what": what, **given}))
    print("weighed")


@click.command(cls=Command)
@click.option("--code", type=int, default=0)
@click.pass_context
def leave(ctx: click.Context, code: int) -> None:
    """Ends with a code."""
    ctx.exit(code)


@hookimpl
def stem_commands() -> dict[str, str]:
    return {"bench": f"{__name__}:bench", "leave": f"{__name__}:leave"}


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "stem_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-bench\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stemcore]\nbench = {__name__}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue.cache_clear()
    yield
    catalogue.cache_clear()


def ladder(**stages: dict[str, Any]) -> LadderRecipe:
    found = load({"stem": 1, "name": "bench", "stages": stages})
    assert isinstance(found, LadderRecipe)
    return found


def stage(verb: str = "bench weigh", *arguments: Any, **options: Any) -> VerbStage:
    first = {"verb": "bench weigh", "arguments": ["x"], "options": {"out": "first.json"}}
    found = ladder(first=first, it={"verb": verb, "arguments": list(arguments), "options": options}).stages["it"]
    assert isinstance(found, VerbStage)
    return found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (("bench wegh",), "no verb 'bench wegh'; did you mean 'weigh'?"),
        (("bench",), "the verb 'bench' has verbs of its own; known: weigh"),
        (("run", "x.yaml"), "the verb 'run' cannot be a stage; write the recipe as a stage"),
        (("bench weigh", "x"), "Missing option '--out'"),
        (("bench weigh",), "Missing argument 'WHAT...'"),
        (("bench weigh", "x", {"out": "a", "tims": 2}), "has no option 'tims'; did you mean 'times'?"),
        (("bench weigh", "x", {"out": "a", "times": 0}), "0 is not in the range x>=1"),
        (("bench weigh", "x", {"out": "a", "n": "many"}), "'many' is not a valid integer"),
        (("leave", "x"), "takes no argument 'x'"),
    ],
)
def test_what_its_parser_would_refuse_is_said_before(written: tuple[Any, ...], said: str) -> None:
    options = written[-1] if isinstance(written[-1], dict) else {}
    arguments = [word for word in written if not isinstance(word, dict)]
    found = [str(problem) for problem in check_verb(stage(*arguments, **options))]
    assert any(said in text for text in found), found
    assert all(text.startswith("recipe: stages.it: ") for text in found)


def test_what_is_not_there_yet_is_let_pass() -> None:
    assert check_verb(stage("bench weigh", "stage:first", out="a.json", times="stage:first")) == []


def test_it_is_called_as_on_the_command_line(tmp_path: Path) -> None:
    it = stage("bench weigh", "stage:first", "--odd", out="a.json", times=2, n=3, fine=True, tag=["p", "stage:first/q"])
    assert check_verb(it) == []
    call(it, tmp_path, {"first": Path("/there")}, tmp_path / "printed.txt")
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "what": ["/there", "--odd"],
        "times": 2,
        "n": 3,
        "fine": True,
        "tag": ["p", "/there/q"],
    }
    assert (tmp_path / "printed.txt").read_text() == "weighed\n"
    call(stage("bench weigh", "x", out="b.json", fine=False), tmp_path, {}, tmp_path / "printed.txt")
    assert json.loads((tmp_path / "b.json").read_text())["fine"] is False


def test_a_verb_that_ends_with_a_code_has_failed(tmp_path: Path) -> None:
    call(stage("leave"), tmp_path, {}, tmp_path / "printed.txt")
    with pytest.raises(TrainingFailed, match="'leave' ended with exit code 3"):
        call(stage("leave", code=3), tmp_path, {}, tmp_path / "printed.txt")
    with pytest.raises(UserError, match=r"stages\.it: No such option: --tims|has no option 'tims'"):
        call(stage("leave", tims=3), tmp_path, {}, tmp_path / "printed.txt")


def test_verbs_of_plugins_are_required_and_leave_what_they_say(tmp_path: Path) -> None:
    first = {"verb": "bench weigh", "arguments": ["x"], "options": {"out": "first.json"}}
    second = {"verb": "bench weigh", "arguments": ["stage:first"], "options": {"out": "second.json"}}
    recipe = ladder(first=first, second=second, third={"verb": "leave"})
    assert recipe.requires == ["stem-bench>=1.0", *ladder(only={"verb": "evaluate"}).requires]
    found = run(recipe, output=tmp_path / "out", reporter=reporter(quiet=True))
    assert found.stages["third"] == tmp_path / "out" / "third"
    written = json.loads((tmp_path / "out" / "second" / "second.json").read_text())
    assert written["what"] == [str(tmp_path / "out" / "first" / "first.json")]
    lost = ladder(only={"verb": "leave", "options": {}}, last={"verb": "bench weigh", "arguments": ["x"]})
    with pytest.raises(UserError, match="Missing option '--out'"):
        run(lost, output=tmp_path / "lost", reporter=reporter(quiet=True))
    assert not (tmp_path / "lost").exists()
