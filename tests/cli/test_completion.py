"""Completion in shells: what is offered, and what bash, zsh and fish make of it on a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import get_completion_class

from stemcore.cli import completion
from stemcore.cli.main import execute, stem
from stemcore.cli.shells import Bash, Fish, Zsh, register
from stemcore.cli.verbs import VERBS
from stemcore.component.kinds import KINDS
from stemcore.plugins import catalogue
from stemcore.recipe.sections import TrainerConfig
from stemcore.runs.directory import CHECKPOINTS, RECIPE

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells of Unix")
ROOT = Path(__file__).resolve().parents[2]
Ask = Callable[[str], list[str]]
Answer = Callable[[str], dict[str, tuple[str, str]]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Answer:
    """What ``stem`` answers for a line: type and help of each text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n")

    def ask(line: str) -> dict[str, tuple[str, str]]:
        monkeypatch.setenv("COMP_LINE", line)
        lines = Bash(stem, {}, "stem", "_STEM_COMPLETE").complete().splitlines()
        fields = [text.split("\t") for text in lines]
        return {text: (kind, about) for kind, text, about in fields}

    return ask


@pytest.fixture
def ask(answer: Answer) -> Ask:
    return lambda line: list(answer(line))


def test_verbs_and_their_help(answer: Answer) -> None:
    offered = answer("stem ")
    assert {name: offered[name] for name in VERBS} == {name: ("plain", about) for name, (_, about) in VERBS.items()}
    assert offered["convert"] == ("plain", "From plugin 'datasets' (stemcore).")
    assert list(answer("stem re")) == ["recipes", "reconstruct"]
    assert list(answer("stem recipes ")) == ["copy", "list", "options", "show"]


def test_options(ask: Ask) -> None:
    assert {"--resume", "--fast-dev-run", "--debug"} <= set(ask("stem run --"))
    assert ask("stem run --fast") == ["--fast-dev-run"]


def test_recipes(answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "other.yml").touch()
    shipped = set(catalogue().names("recipe"))
    for verb in ("run", "validate"):
        assert set(answer(f"stem {verb} ")) == shipped | {"mine.yaml"}
    assert answer("stem run m") == {"mine.yaml": ("path", ""), "more/": ("nospace", "")}
    assert set(answer("stem run more/")) == {"more/other.yml", "more/deep/"}
    assert set(answer("stem recipes show ")) == shipped
    assert answer("stem recipes copy stem4d-q")["stem4d-quick"][1].startswith("Minutes on two CPU cores")


def test_runs_and_their_checkpoints(ask: Ask, tmp_path: Path) -> None:
    for name in ("runs/a/20260101-000000", "runs/a/20260202-000000", "elsewhere/mine"):
        (tmp_path / name / CHECKPOINTS).mkdir(parents=True)
        (tmp_path / name / RECIPE).touch()
        (tmp_path / name / CHECKPOINTS / "best.ckpt").touch()
    (tmp_path / "runs" / "a" / "unfinished").mkdir()
    newest_first = ["runs/a/20260202-000000", "runs/a/20260101-000000"]
    of_plugins = ("probe", "impute", "runs show", "runs compare")
    for verb in ("encode", "reconstruct", "evaluate", "run stem4d --resume", "run stem4d --init-from", *of_plugins):
        assert ask(f"stem {verb} ") == newest_first, verb
        assert ask(f"stem {verb} r") == newest_first
        assert ask(f"stem {verb} els") == ["elsewhere/"]
        assert ask(f"stem {verb} elsewhere/") == ["elsewhere/mine"]
    assert ask("stem run stem4d --resume=elsewhere/") == ["--resume=elsewhere/mine"]
    assert ask("stem run stem4d --resume elsewhere/mine/") == ["elsewhere/mine/checkpoints/best.ckpt"]
    assert ask("stem run stem4d --resume elsewhere/mine/checkpoints/b") == ["elsewhere/mine/checkpoints/best.ckpt"]


def test_overrides_where_a_run_is_applied(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "mine" / CHECKPOINTS).mkdir(parents=True)
    (tmp_path / "mine" / CHECKPOINTS / "best.ckpt").touch()
    assert execute(["recipes", "copy", "stem4d-quick", "-q"]) == 0
    (tmp_path / "stem4d-quick.yaml").rename(tmp_path / "mine" / RECIPE)
    for verb in ("encode", "reconstruct", "evaluate", "probe"):
        for run in ("mine", f"mine/{CHECKPOINTS}/best.ckpt"):
            assert ask(f"stem {verb} {run} ") == ["model.", "data.eval_batch_size="]
            assert "model.latent_dim=" in ask(f"stem {verb} {run} model.")
            assert ask(f"stem {verb} {run} model.activation=re") == ["model.activation=relu"]
            assert ask(f"stem {verb} {run} optimizer.") == []
            assert ask(f"stem {verb} {run} data.e") == ["data.eval_batch_size="]


def test_what_a_run_is_told_by() -> None:
    assert completion.RUN_FILES == (RECIPE, CHECKPOINTS)


def test_components(answer: Answer) -> None:
    kinds = answer("stem plugins show ")
    assert set(kinds) == {f"{kind}/" for kind in KINDS if catalogue().of_kind(kind)}
    assert {kind for kind, _ in kinds.values()} == {"nospace"}
    assert set(answer("stem plugins show loss/")) == {f"loss/{name}" for name in catalogue().names("loss")}
    assert set(answer("stem plugins check stemcore loss/l")) == {
        "loss/l1",
        "loss/l2",
        "loss/latent_standardisation",
        "loss/lp",
    }
    assert "stemcore" in answer("stem plugins check ")


def test_keys_one_level_at_a_time(answer: Answer) -> None:
    assert answer("stem run stem4d-quick tr") == {
        "trainer.": ("nospace", "how long to train, in which precision, on what")
    }
    below = answer("stem run stem4d-quick trainer.")
    assert {name.rstrip(".=") for name in below} == {f"trainer.{key}" for key in TrainerConfig.model_fields}
    assert below["trainer.max_epochs="] == ("nospace", "passes over the training data (integer >= 1, default 50)")
    assert "trainer.early_stopping.patience=" in answer("stem run stem4d-quick trainer.early_stopping.p")
    assert {"seed=", "data.", "losses."} <= set(answer("stem validate stem4d-quick "))


def test_keys_of_the_recipes_own_components(ask: Ask) -> None:
    assert {"model.type=", "model.latent_dim=", "model.channels="} <= set(ask("stem run stem4d-quick model."))
    assert "model.channels=" not in ask("stem run stem4d-quick model.type=resnet_autoencoder model.")
    losses = ask("stem run stem4d losses.")
    assert losses[:2] == ["losses.mse.", "losses.lp."]  # which the recipe has
    assert set(losses) == {f"losses.{name}." for name in catalogue().names("loss")}
    assert {"losses.lp.weight=", "losses.lp.p="} <= set(ask("stem run stem4d losses.lp."))
    assert "losses.huber.delta=" in ask("stem run stem4d losses.huber.d")
    assert "losses.kl.weight.epochs=" in ask("stem run stem4d-vae losses.kl.weight.")
    assert ask("stem run stem4d data.transforms.input.1.") == [
        "data.transforms.input.1.type=",
        *(f"data.transforms.input.1.{key}=" for key in ("mean", "by", "ddof")),
    ]
    assert ask("stem run stem4d optimizer.lr") == ["optimizer.lr="]


def test_keys_of_several_optimizers(ask: Ask, tmp_path: Path) -> None:
    groups = "optimizer:\n  slow: {type: sgd, lr: 1.0}\n  fast: {type: adam}\n"
    (tmp_path / "two.yaml").write_text(f"extends: stem4d-quick\nname: two\n{groups}")
    assert ask("stem run two.yaml optimizer.") == ["optimizer.slow.", "optimizer.fast."]
    assert "optimizer.slow.nesterov=" in ask("stem run two.yaml optimizer.slow.n")
    assert "optimizer.fast.betas=" in ask("stem run two.yaml optimizer.fast.b")


def test_options_of_sections(answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    line = "stem run stem4d "
    assert {"model.", "model=", "losses.", "losses=", "trainer."} <= set(answer(line))
    assert "trainer=" not in answer(line)
    offered = answer(f"{line}model=mae_")
    assert offered["model=mae_tiny"][1].startswith("The masked autoencoder of cubes, 192 wide")
    assert "model=mae_spectral" in offered
    assert list(answer(f"{line}losses=")) == ["losses=mae_spectral"]
    assert list(answer(f"{line}trainer=m")) == ["trainer=mine.yaml"]
    assert "model.mask_ratio=" in answer(f"{line}model=mae_tiny model.")
    assert list(answer("stem recipes options l")) == ["loggers", "losses"]


def test_elements_of_lists_by_their_types(ask: Ask) -> None:
    line = "stem run stem4d-quick data.transforms.input."
    assert "data.transforms.input.sqrt." in ask(line)
    assert "data.transforms.input.standardize.mean=" in ask(f"{line}standardize.")
    assert "data.transforms.input.standardize.mean=pattern" in ask(f"{line}standardize.mean=")
    assert ask("stem run stem4d-quick 'data.augment=[flip, flip]' data.augment.") == [
        "data.augment.0.",
        "data.augment.1.",
    ]


def installed(kind: str) -> list[str]:
    """The components that come with the core, by name."""
    return [entry.name for entry in catalogue().of_kind(kind) if entry.distribution == "stemcore"]


@pytest.mark.parametrize(
    ("begun", "values"),
    [
        ("model.type=", {*installed("model")}),
        ("model.type=resn", {"resnet_autoencoder"}),
        ("trainer.precision=", {"32", "16-mixed", "bf16-mixed"}),
        ("trainer.compile=", {"true", "false"}),
        ("trainer.max_epochs=", {"50", "30"}),  # the default, the recipe's
        ("model.norm=", {"group", "batch", "none"}),
        ("data.transforms.input.1.mean=", {"scalar", "pattern"}),
        ("data.train.type=", {*installed("dataset")}),
        ("backend=", {"auto", "cpu", "cuda", "mps"}),
        ("losses.mine.type=l", {"l1", "l2", "latent_standardisation", "lp"}),
        ("losses.lp=n", {"null"}),
        ("data.val=", {*installed("dataset"), "null", "0.2"}),
        ("optimizer.lr=", {"0.001", "0.004"}),
        ("nonsense.of.some.kind=", set()),
    ],
)
def test_values(ask: Ask, begun: str, values: set[str]) -> None:
    key = begun.partition("=")[0]
    assert set(ask(f"stem run stem4d-quick {begun}")) == {f"{key}={value}" for value in values}


def test_paths_as_values(answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "scan.h5").touch()
    (tmp_path / "scans").mkdir()
    found = answer("stem run stem4d data.train.path=sc")
    assert found == {"data.train.path=scan.h5": ("path", ""), "data.train.path=scans/": ("nospace", "")}
    assert answer("stem run stem4d model.latent_dim=sc") == {}


@pytest.mark.parametrize(
    "text", ["", ": [", "model: {type: nothing}\n", "extends: nowhere\n", "losses: 3\ndata: [1]\noptimizer: null\n"]
)
def test_a_broken_recipe_leaves_what_is_known(ask: Ask, tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    assert "trainer.max_epochs=" in ask("stem run broken.yaml trainer.max_e")
    assert "model.type=" in ask("stem run broken.yaml model.")
    assert ask("stem run broken.yaml losses.mse.w") == ["losses.mse.weight="]
    assert "data.batch_size=" in ask("stem run broken.yaml data.b")
    assert "trainer.max_epochs=" in ask("stem run nowhere.yaml trainer.max_e")


BROKEN = """
print("loud")
from stemcore import hookimpl

@hookimpl
def stem_models():
    return {"lost": "broken_plugin.nowhere:Net"}

@hookimpl
def stem_commands():
    return {"lost_verb": "broken_plugin.nowhere:verb"}
"""


def test_a_broken_plugin_says_nothing(
    ask: Ask, distribution: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    files = {"broken_plugin.py": BROKEN, "worse_plugin.py": "raise SystemExit('out')\n"}
    distribution("stem-broken", {"broken": "broken_plugin", "worse": "worse_plugin"}, files)
    assert "lost_verb" in ask("stem ")
    assert ask("stem lost_verb ") == []
    assert "model.type=lost" in ask("stem run stem4d-quick model.type=")
    assert ask("stem run stem4d-quick model.type=lost model.") == ["model.type="]
    assert "stem-broken" in ask("stem plugins check ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "line",
    ["stem ", "stem run ", "stem recipes show ", "stem encode ", "stem plugins show loss/", "stem run stem4d trainer."],
)
def test_torch_is_not_imported(line: str) -> None:
    code = "import sys; from stemcore.cli.shells import Bash; from stemcore.cli.main import stem\n"
    code += "print(len(Bash(stem, {}, 'stem', '_STEM_COMPLETE').complete()), 'torch' in sys.modules)"
    environment = {**os.environ, "COMP_LINE": line}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    length, loaded = done.stdout.split()
    assert loaded == "False"
    assert int(length) > 0 or line == "stem encode "


def test_the_classes_are_ours_once_registered() -> None:
    register()
    assert [get_completion_class(name) for name in ("bash", "zsh", "fish")] == [Bash, Zsh, Fish]


def test_bash_gets_what_follows_its_word_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDBREAKS", " \t\n=:")
    monkeypatch.setenv("COMP_LINE", "stem run stem4d-quick trainer.precision=b")
    assert Bash(stem, {}, "stem", "_STEM_COMPLETE").complete() == "plain\tbf16-mixed\t"


# On a terminal

SETUP = {
    "bash": ["words() { printf '<%s>' \"$@\"; echo; }", 'eval "$(_STEM_COMPLETE=bash_source stem)"'],
    "zsh": [
        "words() { printf '<%s>' \"$@\"; echo }",
        "unsetopt PROMPT_SP PROMPT_CR; bindkey -e; autoload -Uz compinit; compinit -D -u",
        'eval "$(_STEM_COMPLETE=zsh_source stem)"',
    ],
    "fish": ["function words; printf '<%s>' $argv; echo; end", "_STEM_COMPLETE=fish_source stem | source"],
}
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``stem`` as this interpreter runs it."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "stem"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m stemcore.cli "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("here")
    (here / "my recipe.yaml").write_text("extends: stem4d-quick\n")
    (here / "recipes").mkdir()
    (here / "recipes" / "deep.yaml").touch()
    (here / "scans").mkdir()
    (here / "scans" / "my scan.h5").touch()
    run = here / "runs" / "quick" / "20260101-000000"
    (run / CHECKPOINTS).mkdir(parents=True)
    (run / RECIPE).touch()
    return here


@pytest.fixture(scope="module")
def environment(program: Path, folder: Path) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("STEM_")}
    path = os.pathsep.join([str(program), os.environ["PATH"]])
    return {**others, "PATH": path, "HOME": str(folder), "XDG_DATA_HOME": str(folder / ".share")}


def started(shell: str, folder: Path, environment: dict[str, str]) -> Terminal:
    from tests.cli.terminal import Terminal

    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    return Terminal(COMMANDS[shell], SETUP[shell], folder, environment)


@pytest.fixture(scope="module", params=list(COMMANDS))
def terminal(request: pytest.FixtureRequest, folder: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    with started(request.param, folder, environment) as running:
        yield running


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("stem val\tX", "stem validate X"),
        ("stem run stem4d-q\tX", "stem run stem4d-quick X"),
        ("stem run --fast\tX", "stem run --fast-dev-run X"),
        # Nothing is put behind a key that goes on, so that 7 and "max_ep" belong to the same word.
        ("stem run stem4d-quick tra\tmax_ep\t7", "stem run stem4d-quick trainer.max_epochs=7"),
        ("stem run stem4d-quick se\t3 data.ba\t8", "stem run stem4d-quick seed=3 data.batch_size=8"),
        # In bash a word ends at the equals sign.
        ("stem run stem4d-quick trainer.precision=bf\tX", "stem run stem4d-quick trainer.precision=bf16-mixed X"),
        (
            "stem run stem4d-quick model.type=resn\tmodel.la\t9",
            "stem run stem4d-quick model.type=resnet_autoencoder model.latent_dim=9",
        ),
        ("stem run stem4d-quick losses.lp.wei\t1", "stem run stem4d-quick losses.lp.weight=1"),
        ("stem plugins show loss/contr\tX", "stem plugins show loss/contrastive X"),
        ("stem plugins show los\tlp X", "stem plugins show loss/lp X"),
        ("stem encode ru\tX", "stem encode runs/quick/20260101-000000 X"),
        ("stem run recip\tde\tX", "stem run recipes/deep.yaml X"),
    ],
)
def test_on_a_terminal(terminal: Terminal, keys: str, words: str) -> None:
    assert terminal.words(keys) == words.split()


@pytest.mark.parametrize(
    ("keys", "last"),
    [
        ("stem run my\tX", "my recipe.yaml"),
        ("stem run stem4d data.train.path=scans/\tX", "data.train.path=scans/my scan.h5"),
    ],
)
def test_names_with_spaces_on_a_terminal(terminal: Terminal, keys: str, last: str) -> None:
    assert terminal.words(keys)[-2:] == [last, "X"]


def test_help_is_shown_in_zsh(folder: Path, environment: dict[str, str]) -> None:
    with started("zsh", folder, environment) as running:
        running.words("stem rec\t")
        assert "Write the reconstruction of every item" in running.screen


def test_help_is_shown_in_fish(folder: Path, environment: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    line = f"{SETUP['fish'][1]}; complete -C 'stem re'; complete -C 'stem run stem4d-quick trainer.max_e'"
    command = ["fish", "--no-config", "-c", line]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    shown = dict(text.split("\t") for text in done.stdout.splitlines())
    assert shown["reconstruct"] == VERBS["reconstruct"][1]
    assert shown["trainer.max_epochs="] == "passes over the training data (integer >= 1, default 50)"


def test_the_answers_come_through_the_program(program: Path, folder: Path, environment: dict[str, str]) -> None:
    asked = {"_STEM_COMPLETE": "zsh_complete", "COMP_WORDS": "stem run stem4d-quick tr", "COMP_CWORD": "3"}
    command = [str(program / "stem")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**environment, **asked}, cwd=folder)
    assert (done.stdout.split("\t")[:2], done.stderr) == (["nospace", "trainer."], "")
