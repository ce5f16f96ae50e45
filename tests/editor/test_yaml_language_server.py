"""``stem schema`` in an editor, by the language server that VS Code and others use.

The server is the program that ``STEM_YAML_LANGUAGE_SERVER`` names, or one on the path, or one that npm installs into
``STEM_CACHE_DIR`` (else into a folder of the test session), which needs the network once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemcore.cli.main import execute
from stemcore.errors import UserError
from stemcore.plugins import catalogue
from stemcore.plugins.shipped import shipped_path
from stemcore.recipe import load_recipe
from stemcore.recipe.options import options_of
from stemcore.recipe.schema import json_schema
from tests.editor.language_server import LanguageServer
from tests.editor.typist import Typist, filled

PACKAGE = "yaml-language-server"
VERSION = "1.25.0"
HEAD = "stem: 1\nname: tried\n"


def program(cache: Path) -> str:
    if named := os.environ.get("STEM_YAML_LANGUAGE_SERVER"):
        return named
    if found := shutil.which(PACKAGE):
        return found
    installed = cache / "node_modules" / ".bin" / PACKAGE
    if not installed.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(f"needs {PACKAGE} (STEM_YAML_LANGUAGE_SERVER) or npm")
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(cache), "--no-audit", "--no-fund", f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"npm cannot install {PACKAGE}: {error}")
    return str(installed)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "recipe-schema.json"
    path.write_text(json.dumps(json_schema()))
    return path


@pytest.fixture(scope="module")
def server_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    cache = os.environ.get("STEM_CACHE_DIR")
    return program(Path(cache) / PACKAGE if cache else tmp_path_factory.getbasetemp() / PACKAGE)


@pytest.fixture(scope="module")
def server(server_program: str, schema: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    with LanguageServer(server_program, tmp_path_factory.mktemp("workspace"), {schema: "*.yaml"}) as running:
        yield running


def offered(server: LanguageServer, text: str) -> dict[str, str]:
    return Typist(server, text).offers()


def hover(server: LanguageServer, text: str) -> str:
    """What is shown where ``|`` stands in a text."""
    before, _, after = text.partition("|")
    uri = server.open(before + after)
    return server.hover(uri, before.count("\n"), len(before.rpartition("\n")[2]))


def names(kind: str) -> set[str]:
    return set(catalogue().names(kind))


def test_a_recipe_written_by_completion_alone_is_valid(
    server: LanguageServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typist = Typist(server)
    typist.choose("stem")
    typist.write("\n")
    typist.choose("name")
    typist.write("completed\n")
    typist.choose("data")
    typist.choose("train")
    typist.choose("sample")
    typist.write("\n  ")
    typist.choose("transforms")
    typist.choose("input")
    typist.choose("sqrt")
    typist.write("\n      - ")
    typist.choose("type")
    typist.choose("standardize")
    typist.write("\n        ")
    typist.choose("mean")
    typist.choose("pattern")
    typist.write("\n  ")
    typist.choose("batch_size", "32")
    typist.write("\n")
    typist.choose("model")
    typist.choose("conv_autoencoder")
    typist.write("\n  ")
    typist.choose("latent_dim", "8")
    typist.write("\n")
    typist.choose("losses")
    typist.choose("poisson_nll")
    typist.write("\n  ")
    typist.choose("lp", "1e-5")
    typist.write("\n    ")
    typist.choose("p", "0.5")
    typist.write("\n")
    typist.choose("metrics")
    typist.choose("psnr")
    typist.write("\noptimizer: {t")
    typist.choose("type")
    typist.choose("adam")
    typist.write(", l")
    typist.choose("lr")
    typist.write(": 4e-3}\n")
    typist.choose("trainer")
    typist.choose("max_epochs", "2")
    typist.write("\n  ")
    typist.choose("early_stopping")
    typist.write("\n")
    typist.choose("loggers")
    typist.choose("csv")
    typist.write("\n")

    path = tmp_path / "completed.yaml"
    path.write_text(typist.text)
    assert server.diagnostics(typist.text) == []
    assert execute(["validate", str(path)]) == 0, typist.text
    assert "is valid" in capsys.readouterr().out
    recipe = load_recipe(path).document()
    assert recipe["data"]["transforms"]["input"][1].items() >= {"type": "standardize", "mean": "pattern"}.items()
    assert recipe["losses"]["lp"]["p"] == 0.5
    assert recipe["optimizer"]["lr"] == 4e-3
    assert recipe["trainer"]["early_stopping"]["patience"] == 10


def test_top_level_keys(server: LanguageServer) -> None:
    offers = offered(server, HEAD)
    assert {"data", "model", "losses", "optimizer", "trainer", "extends"} <= set(offers)
    assert not {"stem", "name"} & set(offers)  # which are there
    assert filled(offers["model"]) == "model:\n  type: "


@pytest.mark.parametrize("text", ["model: ", "model: {type: ", "model:\n  type: ", "extends: stem4d\nmodel:\n  type: "])
def test_names_of_models(server: LanguageServer, text: str) -> None:
    options = set(options_of("model")) if text == "model: " else set()
    assert set(offered(server, HEAD + text)) - {"type"} == names("model") | options


def test_options(server: LanguageServer) -> None:
    for section in ("losses", "figures", "optimizer", "loggers"):
        assert set(options_of(section)) <= set(offered(server, f"{HEAD}{section}: ")), section
    offers = server.complete(server.open(f"{HEAD}model: "), 2, 7)
    assert "192 wide" in offers["mae_tiny"]["documentation"]["value"]
    assert server.diagnostics(f"{HEAD}extends: stem4d\nmodel: mae_tiny\nlosses: mine.yaml\ntrainer: mine.yml\n") == []
    said = server.diagnostics(f"{HEAD}extends: stem4d\nlosses: mae_spectrl\n")
    assert len(said) == 1


def test_names_come_with_what_they_are(server: LanguageServer) -> None:
    offers = server.complete(server.open(f"{HEAD}model: "), 2, 7)
    assert offers["conv_autoencoder"]["documentation"]["value"].startswith("Strided residual encoder and decoder")


def test_parameters_of_the_model_that_is_named(server: LanguageServer) -> None:
    block = offered(server, f"{HEAD}model:\n  type: conv_autoencoder\n  ")
    flow = offered(server, f"{HEAD}model: {{type: conv_autoencoder, l")
    assert set(block) == set(flow) == own_keys("model", "conv_autoencoder")
    assert set(offered(server, f"{HEAD}model:\n  type: resnet_autoencoder\n  ")) == {"latent_dim"}
    assert filled(block["latent_dim"]) == "latent_dim: 32"


def own_keys(kind: str, name: str) -> set[str]:
    fields = catalogue().schema(catalogue().find(kind, name)).model.model_fields.values()
    return {field.alias or "" for field in fields}


def test_before_a_type_is_named_it_alone_is_offered(server: LanguageServer) -> None:
    assert set(offered(server, f"{HEAD}optimizer:\n  ")) == {"type"}
    of_any = offered(server, f"{HEAD}extends: stem4d\nmodel:\n  ")
    assert set(of_any) == {"type"}.union(*(own_keys("model", name) for name in names("model")))


def test_losses(server: LanguageServer) -> None:
    offers = offered(server, f"{HEAD}losses:\n  ")
    assert set(offers) == names("loss")
    assert filled(offers["lp"]) == "lp:\n  weight: 1.0"
    assert set(offered(server, f"{HEAD}losses:\n  mse:\n    weight: 1.0\n  ")) == names("loss") - {"mse"}
    assert "weight: 1.0" in offered(server, f"{HEAD}losses: {{lp: {{w")
    of_lp = own_keys("loss", "lp") | {"gather", "inputs", "type"}
    assert set(offered(server, f"{HEAD}losses:\n  lp:\n    weight: 1\n    ")) == of_lp
    assert set(offered(server, f"{HEAD}losses:\n  mine:\n    type: lp\n    ")) == of_lp - {"type"} | {"weight"}
    assert set(offered(server, f"{HEAD}losses:\n  lp:\n    weight: ")) >= names("weight_schedule") | {"1"}


def test_the_trainer(server: LanguageServer) -> None:
    offers = offered(server, f"{HEAD}trainer:\n  ")
    assert set(offers) == set(load_recipe("stem4d-quick").document()["trainer"])
    assert set(offered(server, f"{HEAD}trainer:\n  precision: ")) == {'"32"', "16-mixed", "bf16-mixed"}
    assert set(offered(server, f"{HEAD}trainer:\n  compile: ")) == {"true", "false"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model: {type: conv_autoencoder, latent|_dim: 3}\n", ["width of the latent", "`integer >= 1`, default `32`"]),
        ("mo|del: {type: conv_autoencoder}\n", ["neck of `latent_dim` values"]),
        ("losses: {l|p: {}}\n", ["loss lp", "Lp penalty"]),
        ("losses:\n  lp:\n    wei|ght: 1\n", ["weight", "factor of this term", "`number >= 0`, default `1.0`"]),
        (
            "trainer:\n  early_stopping: {pati|ence: 3}\n",
            ["epochs without improvement", "`integer >= 1`, default `10`"],
        ),
        ("data:\n  train: {type: hdf5, p|ath: a.h5}\n", ["a file", "`path | list of path`, required"]),
        ("data: {v|al: 0.2}\n", ["a share of the training data", "default `0.2`"]),
        ("trainer: {dev|ices: 2}\n", ["a number of devices", '`"auto" | integer >= 1 | list of integer >= 0`']),
        ("sch|eduler: {type: cyclic}\n", ["learning rate"]),
        ("ba|ckend: auto\n", ["the device to train on"]),
    ],
)
def test_hover(server: LanguageServer, text: str, shown: list[str]) -> None:
    said = hover(server, text)
    assert all(part in said for part in shown), said
    assert " || " not in said  # titles of alternatives, where the server cannot tell them apart


def test_shipped_recipes_have_no_faults(server: LanguageServer) -> None:
    for entry in catalogue().of_kind("recipe"):
        assert server.diagnostics(shipped_path(entry).read_text()) == [], entry.name


WRONG = """stem: 1
name: wrong
data:
  train: {type: hdf5, path: a.h5, dataset: 3}
  transforms:
    input:
      - log1p
      - {type: standardise}
      - {type: bin, factor: 0}
  batch_size: many
model:
  type: conv_autoencoder
  latent_dims: 8
losses:
  mse: {weight: -1}
  lp:
    p: 0
  poison_nll: {}
metrics:
  psnr: {every_n_steps: 1.5}
optimizer:
  type: adam
  lr: 0
scheduler: cyclicc
trainer:
  max_epochs: 0
  precision: "64"
  early_stopping:
    patience: yes
loggers: csv
figurs: {}
"""


@pytest.mark.parametrize(
    "text",
    [
        WRONG,
        "stem: 1\nname: a\ndata:\n  train: sample\nlosses: {mse: {}}\n",
        "stem: 2\nname: a/b\nextends: stem4d-quick\n\nmodel:\n  latent_dim: 0\n",
        "extends: stem4d-quick\nname: a\nlosses:\n  mine:\n    type: lp\n    p: high\n",
        "extends: stem4d-quick\nname: a\noptimizer:\n  enc: {type: sgd, lr: 1.0,\n    betas: 1}\n",
    ],
)
def test_faults_stand_where_stem_validate_finds_them(server: LanguageServer, tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        load_recipe(path)
    lines = {int(problem.where.rpartition(":")[2]) for problem in raised.value.problems}
    found = server.diagnostics(text)
    assert {line for line, _ in found} == lines, (found, str(raised.value))


def test_messages_are_of_use(server: LanguageServer) -> None:
    said = dict(server.diagnostics(WRONG))
    assert said[8].startswith('Value is not accepted. Valid values: "bin", "center"')
    assert said[13] == "Property latent_dims is not allowed."
    assert said[15] == "Value is below the minimum of 0."
    assert said[17] == "Value is below the exclusive minimum of 0."
    assert said[23] == "Value is below the exclusive minimum of 0."
    assert said[31] == "Property figurs is not allowed."


def test_a_modeline_names_the_schema(server_program: str, schema: Path, tmp_path: Path) -> None:
    text = f"# yaml-language-server: $schema={schema.as_uri()}\nstem: 1\nmodel: conv_autoencodr\n"
    beside = f"# yaml-language-server: $schema={schema.name}\nstem: 1\nmodel: conv_autoencodr\n"
    shutil.copy(schema, tmp_path)
    with LanguageServer(server_program, tmp_path, {}) as server:
        for written in (text, beside):
            found = server.diagnostics(written)
            assert [line for line, _ in found] == [3]
            assert "conv_autoencoder" in found[0][1]
        assert server.diagnostics("stem: 1\nmodel: conv_autoencodr\n") == []
