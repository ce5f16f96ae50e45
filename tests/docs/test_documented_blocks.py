"""Every command, recipe and piece of Python in the README and the docs is run, page by page, in a folder of its own.

A fenced block is run by its language: ``console`` (lines after a ``$ command`` are what it prints, ``...`` standing for
anything), ``python`` (pages share their names from block to block) and ``yaml`` (a recipe, or a part of one, which is
laid over a shipped one). With ``title="path"`` a block is written to that file. A comment before a block changes that:
``<!-- slow -->`` leaves it to ``-m slow``, ``<!-- exit 2 -->`` expects that code. Pages that begin with the same
``<!-- desk: NAME -->`` go on in one folder, in the order of the navigation: together they build one thing.

Training is cut short: ``--fast-dev-run`` is added to ``stem run`` (and few figures are drawn), or two epochs are set
where pages are run with ``-m slow``. ``stem`` and ``pytest`` are called in this process, to which a plugin that a page
installs is added; with ``-m slow`` they are started as processes from then on.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import pytest
import yaml

from stemcore import load_recipe
from stemcore.assemble import check
from stemcore.cli.main import execute
from stemcore.plugins.catalogue import catalogue
from stemcore.testing.spawned import end_spawned_process

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```", re.M | re.S)
# Commands that cannot be run by a test, with what is done instead.
NOT_RUN = {
    "git clone": "needs a network",
    "pip install -": "would change the environment of the tests",
    "cd ": "the test is in the folder of its page",
    "tensorboard ": "serves until it is stopped",
    "mlflow ": "serves until it is stopped",
    "torchrun ": "needs several devices",
    "pre-commit install": "would change this checkout",
    "stem --version": "differs from release to release",
}


FAST = "--fast-dev-run figures.reconstruction=null figures.latent_maps=null"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    where: str
    language: str
    title: str
    body: str
    slow: bool
    exit_code: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        above = text[: match.start()].rstrip().rsplit("\n", 1)[-1]
        marks = above if above.lstrip().startswith("<!--") else ""
        code = re.search(r"exit (\d+)", marks)
        line = text.count("\n", 0, match.start()) + 1
        title = re.search(r'title="([^"]+)"', match["rest"])
        body = re.sub(f"^{match['indent']}", "", match["body"], flags=re.M)
        yield Block(
            f"{page.relative_to(ROOT)}:{line}",
            match["language"],
            title[1] if title else "",
            body,
            "slow" in marks,
            int(code[1]) if code else 0,
        )


def commands(body: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, continued lines joined, each with what it should print."""
    for part in re.split(r"^\$ ", body.replace("\\\n", " "), flags=re.M)[1:]:
        lines = part.split("\n")
        # What goes on with "> " is the same command: a loop, as a shell shows it.
        more = [line[2:] for line in lines[1:] if line.startswith("> ")]
        yield "\n".join([lines[0], *more]), "\n".join(line for line in lines[1:] if not line.startswith("> ")).strip()


class Page:
    """Runs the blocks of a page in the current folder."""

    def __init__(self, folder: Path, slow: bool) -> None:
        self.folder, self.slow = folder, slow
        self.site = folder / "site"
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def __enter__(self) -> Page:
        self.path = list(sys.path)
        return self

    def __exit__(self, *error: object) -> None:
        sys.path[:] = self.path
        self.forget()

    def forget(self) -> None:
        """Forgets what was imported from the folder, here and in the process that is kept for contract checks."""
        for name, module in list(sys.modules.items()):
            # A package without __init__.py has no file, but folders.
            places = [getattr(module, "__file__", None), *(vars(module).get("__path__") or ())]
            if any(place and Path(place).is_relative_to(self.folder) for place in places):
                del sys.modules[name]
        catalogue.cache_clear()
        if self.site.exists():
            end_spawned_process()

    def run(self, block: Block) -> None:
        if block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, encoding="utf-8")
        elif block.language == "console":
            for command, expected in commands(block.body):
                self.command(command, expected, block)
        elif block.language == "python":
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                exec(compile(block.body, block.where, "exec"), self.names)
        elif block.language == "yaml":
            self.recipe(block.body, block.where)

    def command(self, command: str, expected: str, block: Block) -> None:
        if command.startswith("make "):
            subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, check=True, capture_output=True)
            return
        if any(command.startswith(start) for start in NOT_RUN):
            return
        typed = "\n".join(self.shortened(line) for line in command.split("\n"))
        if installed := re.fullmatch(r"pip install (\.\S*)", command):
            code, printed = self.install(installed[1])
        else:
            code, printed = self.shell(typed) if self.needs_shell(typed) else in_this_process(typed)
        assert code == block.exit_code, f"{block.where}: {typed}\nexit code {code}\n{printed}"
        if expected:
            pattern = r"\s+".join(re.escape(word).replace(r"\.\.\.", ".*?") for word in expected.split())
            assert re.search(pattern, printed, re.S), f"{block.where}: {typed} printed\n{printed}"

    def shortened(self, command: str) -> str:
        if not re.match(r"\s*stem run ", command) or "--resume" in command:
            return command
        recipe = self.folder / command.split()[2]
        if recipe.is_file() and "\nstages:" in recipe.read_text(encoding="utf-8"):
            return f"{command} --fast-dev-run"
        return f"{command} {'trainer.max_epochs=2' if self.slow else FAST}"

    def needs_shell(self, command: str) -> bool:
        written = re.sub(r" > [\w.-]+$", "", command)
        own = command.startswith("stem ") or (command.startswith("pytest ") and not self.slow)
        return (self.slow and self.site.exists()) or not own or bool(re.search(r"[|>$;&*\n]", written))

    def install(self, project: str) -> tuple[int, str]:
        """Installs a project of the page, for processes and for this one."""
        options = "--no-build-isolation --no-deps --no-index --quiet --disable-pip-version-check --upgrade"
        done = self.shell(f"{shlex.quote(sys.executable)} -m pip install {options} --target {self.site} {project}")
        if not self.slow:
            self.forget()
            sys.path[:] = [str(self.site), *self.path]
            invalidate_caches()
        return done

    def shell(self, command: str) -> tuple[int, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(self.site), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            ["bash", "-ec", command], capture_output=True, text=True, cwd=self.folder, env=environment, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def recipe(self, text: str, where: str) -> None:
        """Checks a recipe; a part of one is laid over ``stem4d``, applied to the reader's scan."""
        given = yaml.safe_load(text)
        if "extends" not in given and not {"data", "model", "losses"} <= set(given):
            text = f"extends: stem4d\n{text}"
        path = self.folder / f"block_{where.rpartition(':')[2]}.yaml"
        path.write_text(text, encoding="utf-8")
        own_data = isinstance(given.get("data"), dict) and "train" in given["data"]
        check(load_recipe(path, [] if own_data else ["data.train.path=scan.h5"]))


def in_this_process(command: str) -> tuple[int, str]:
    """Exit code and output of ``stem`` or ``pytest``, without the start of a process; ``> FILE`` is done as by a
    shell."""
    command, _, file = command.partition(" > ")
    program, *arguments = shlex.split(command)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = execute(arguments) if program == "stem" else int(pytest.main(["-p", "no:cacheprovider", *arguments]))
    if file:
        Path(file).write_text(out.getvalue(), encoding="utf-8")
        out = io.StringIO()
    return code, out.getvalue() + err.getvalue()


def desks() -> dict[str, list[Path]]:
    """The pages that have blocks, each by itself or together with those that share its desk."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    found: dict[str, list[Path]] = {}
    for page in sorted(
        PAGES, key=lambda page: navigation.find(page.relative_to(ROOT).as_posix().removeprefix("docs/"))
    ):
        if any(b.language in ("console", "python", "yaml") for b in blocks(page)):
            shared = re.match(r"<!-- desk: (\w+) -->", page.read_text(encoding="utf-8"))
            found.setdefault(shared[1] if shared else str(page.relative_to(ROOT)), []).append(page)
    return found


@pytest.mark.parametrize("name", desks())
def test_the_blocks_of_a_page_work(name: str, desk: Path) -> None:
    catalogue.cache_clear()
    with Page(desk, slow=False) as runner:
        for block in (block for page in desks()[name] for block in blocks(page)):
            if not block.slow:
                runner.run(block)


@pytest.mark.slow
@pytest.mark.parametrize("name", desks())
def test_all_blocks_of_a_page_work(name: str, desk: Path) -> None:
    catalogue.cache_clear()
    with Page(desk, slow=True) as runner:
        for block in (block for page in desks()[name] for block in blocks(page)):
            runner.run(block)


def test_wrong_commands_and_output_are_noticed(desk: Path) -> None:
    runner = Page(desk, slow=False)
    bad = Block("page.md:1", "console", "", "", False, 0)
    with pytest.raises(AssertionError, match="exit code 2"):
        runner.command("stem validate no-such-recipe", "", bad)
    with pytest.raises(AssertionError, match="printed"):
        runner.command("stem recipes", "stem4d-quick shark", bad)
    with pytest.raises(Exception, match="latent_dimm"):
        runner.recipe("model: {type: conv_autoencoder, latent_dimm: 3}\nextends: stem4d", "page.md:1")
