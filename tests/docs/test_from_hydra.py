"""The table of Hydra commands: each of the earlier project has a row, and what stands beside it works and does it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stemcore import load_recipe
from stemcore.cli.main import execute
from stemcore.recipe.options import names_option

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "from-hydra.md"
# Every command of the README of the earlier project.
COMMANDS = """
    train_model.py
    train_model.py model=mae_large
    train_model.py model=mae_base
    train_model_medium.py
    train_model_ddp.py
    train_model.py hparams.batch_size=4 hparams.epochs=100
    train_model.py general.experiment_name="custom_experiment"
    train_model.py mlflow.tags.version="v1.0"
    train_model.py model=mae_tiny hparams.batch_size=16
    train_model.py model=mae_base hparams.batch_size=6
    train_model.py model=mae_large hparams.batch_size=2
    train_model.py general.use_amp=true
    train_model.py hparams.accumulate_grad_batches=4
    train_model.py general.num_workers=16
    train_model.py --cfg job
    train_model.py general.debug=true
    train_model.py hparams.overfit_batches=1
"""
SMALL = ["model=mae_tiny", "model.depth=1", "model.decoder_depth=1", "loggers=[csv]", "figures=null"]


def rows() -> dict[str, str]:
    """The commands there, each with the one here."""
    table = PAGE.read_text(encoding="utf-8").split("## Command by command")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `python ([^`]+)` \| `(stem [^`]+)`", table, re.M))


@pytest.fixture
def cubes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page speaks of: small cubes, in a table."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    lines = ["ID,label,hs_file,rgb_file"]
    for i in range(6):
        np.save(f"cube_{i}.npy", random.random((10, 50, 50), np.float32))
        lines.append(f"{i},a,cube_{i}.npy,")
    Path("cubes.csv").write_text("\n".join(lines) + "\n")
    recipe = re.search(r'```yaml title="cubes.yaml"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.S)
    assert recipe is not None
    Path("cubes.yaml").write_text(recipe[1])
    Path("other_cubes.yaml").write_text("batch_size: 3\nval: 0.5\n")
    return tmp_path


def test_every_command_has_a_row() -> None:
    assert {line.strip() for line in COMMANDS.strip().splitlines()} <= set(rows())


def overrides_of(command: str) -> list[str]:
    words = shlex.split(command)
    return [word for word in words[words.index("cubes.yaml") + 1 :] if re.match(r"[\w.]+=", word)]


@pytest.mark.parametrize("command", dict.fromkeys(rows().values()))
def test_what_stands_beside_it_is_valid_and_does_it(command: str, cubes: Path, capsys) -> None:
    given = overrides_of(command)
    document = load_recipe("cubes.yaml", given).document()
    for text in given:
        key, _, value = text.partition("=")
        if key == "model":
            assert f"mae_{document['model']['size']}" == value
        elif "." in key:
            assert at(document, key.split(".")) == yaml.safe_load(value)
        else:
            assert names_option(key, value) or at(document, [key, "type"]) == value
    # Whether the machine has the devices is for the run to say.
    here = [text for text in given if not text.startswith("trainer.devices")]
    assert execute(["validate", "cubes.yaml", *here]) == 0, capsys.readouterr().err


def at(document: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(document, list):
            (document,) = (item for item in document if item["type"] == key)
        else:
            document = document[key]
    return document


@pytest.mark.parametrize("there", ["general.debug=true", "hparams.overfit_batches=1", "--cfg job"])
def test_commands_that_are_more_than_values(there: str, cubes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(rows()[f"train_model.py {there}"])[1:]
    more = [] if "validate" in words else ["--output", "run", "trainer.max_epochs=1"]
    assert execute([*words, *SMALL, *more]) == 0
    assert capsys.readouterr().out.startswith("run\n" if more else "# cubes: resolved")
