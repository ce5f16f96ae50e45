"""The schema against recipes, by an independent validator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from stemcore.errors import UserError
from stemcore.plugins import catalogue
from stemcore.plugins.shipped import shipped_path
from stemcore.recipe import Recipe, load_recipe
from stemcore.recipe.schema import json_schema
from stemcore.recipe.source import read_yaml

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stem-tv" / "src"
SHIPPED = ["stem4d", "stem4d-denoise", "stem4d-guide", "stem4d-quick", "stem4d-vae", "stem4d-tv"]
BODY = "stem: 1\nname: a\ndata: {train: {type: toy_scan, path: x}}\noptimizer: toy_adam\n"
Errors = Callable[[Any], list[tuple[str, str]]]


def plain(text: str) -> Any:
    return read_yaml(text, "recipe", []).plain()


def errors_by(schema: Any) -> Errors:
    validator = jsonschema.Draft202012Validator(schema)

    def errors(document: Any) -> list[tuple[str, str]]:
        """Where and what: of alternatives, what comes closest."""
        found = [jsonschema.exceptions.best_match([error]) for error in validator.iter_errors(document)]
        return [(".".join(map(str, error.absolute_path)), error.message) for error in found]

    return errors


@pytest.fixture(scope="module")
def made() -> list[Errors]:
    """What is found by the schema with the toy plugin, once a test has made it: it takes a third of a second."""
    return []


@pytest.fixture
def errors(toy: Path, made: list[Errors]) -> Errors:
    if not made:
        made.append(errors_by(json_schema()))
    return made[0]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The schema of what is installed here, with the example of a third party's plugin."""
    site = tmp_path_factory.mktemp("site")
    info = site / "stem_tv-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stem-tv\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[stemcore]\ntv = stem_tv.plugin\n")
    before, others = list(sys.path), forgotten("stem_tv")  # pages of the docs have a package of that name, too
    sys.path[:0] = [str(site), str(EXAMPLE)]
    catalogue.cache_clear()
    yield json_schema()
    sys.path[:] = before
    forgotten("stem_tv")
    sys.modules.update(others)
    catalogue.cache_clear()


def forgotten(package: str) -> dict[str, ModuleType]:
    """The modules of a package, which are to be imported anew."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == package}


def test_it_is_a_json_schema(installed: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(installed)
    assert json.loads(json.dumps(installed, allow_nan=False)) == installed


def test_every_recipe_is_known(installed: Any) -> None:
    assert {entry.name for entry in catalogue().of_kind("recipe")} >= set(SHIPPED)


def resolved(name: str) -> Recipe:
    try:
        return load_recipe(name)
    except UserError:  # the data are the user's
        return load_recipe(name, ["data.train.path=scan.h5"])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid_as_written_and_resolved(installed: Any, name: str) -> None:
    errors = errors_by(installed)
    written = plain(shipped_path(catalogue().find("recipe", name)).read_text())
    assert errors(written) == []
    assert errors(resolved(name).document()) == []


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_with_a_slip_is_not(installed: Any, name: str) -> None:
    document = resolved(name).document()
    document["losses"][next(iter(document["losses"]))]["wieght"] = 1.0
    document["trainer"]["max_epochs"] = 0
    places = dict(errors_by(installed)(document))
    assert places.keys() == {f"losses.{next(iter(document['losses']))}", "trainer.max_epochs"}


def test_resolved_recipes_of_every_form_are_valid(toy_recipe: Path, errors: Errors) -> None:
    changes = ["data.val={type: toy_table}", "losses.toy_mse.weight={type: toy_ramp, from: 0.5}"]
    assert errors(load_recipe(toy_recipe, changes).document()) == []
    groups = load_recipe(toy_recipe, ["optimizer={a: {type: toy_adam, losses: [toy_mse]}}"])
    assert errors(groups.document()) == []


@pytest.mark.parametrize(
    "text",
    [
        "model: toy_net\nlosses: {toy_mse: {}}",
        "model: {type: toy/toy_net, latent_dim: 3, act: null}\nlosses: {toy_mse: {weight: 2, inputs: {a: b}}}",
        "model: toy_net\nlosses: {mine: {type: toy_mse, weight: {type: toy_ramp, from: 0}}}",
        "model: toy_net\nlosses: {mine: {type: toy_mse, weight: toy_ramp}}",
        "model: toy_net\nlosses: {toy_mse: {type: toy_penalty, eps: 1}}",
        "model: toy_net\nlosses: {toy_mse: null, mine: toy_penalty, toy_penalty: toy_mse}",
        "model: toy_net\nscheduler: null\nmetrics: {toy_psnr: {every_n_steps: 3}}\nloggers: [toy_file]",
        "model: toy_net\ntrainer: {devices: [0, 1], precision: '32', early_stopping: {patience: 3}}",
        "model: toy_net\ntrainer: {precision: 16, devices: 2, channels_last: false}",
        "model: toy_net\ntrainer: {precision: 32-true}\nrequires: [stem-toy>=1]",
        "model: toy_net\nbackend: {type: toy_tpu, p: 3.0}\nfigures: {toy_curve: {every_n_epochs: 3}}",
        "model: toy_net\nbackend: {type: auto}\ncallbacks: {toy_ema: {p: 0.1}}",
        "model: {type: toy_net, latent_dim: 3, mode: 7}",
        "extends: other\nmodel: {latent_dim: 3}",
        "extends: other\nlosses: {mine: {weight: {to: 3}}}\ntrainer: {max_steps: null, precision: null}",
        "extends: [a.yaml, toy_recipe]\noptimizer: {lr: 0.1}\nscheduler: {floor: 0.1}",
        "extends: a.yaml\nloggers: {toy_file: {base: 2.0}, toy/toy_file: {base: 2.0}}",
        "extends: a.yaml\ndata: {transforms: {input: {'0': {base: 2.0}}}, val: null, batch_size: null}",
    ],
)
def test_what_it_allows(errors: Errors, text: str) -> None:
    assert errors({**plain(BODY), **plain(text)}) == []


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            "model: toy_nt",
            "model",
            "'toy_nt' is not one of ['conv_autoencoder', ",
        ),
        ("model: {latent_dim: 3}", "model", "'type' is a required property"),
        ("losses: {toy_mse: {}}", "", "'model' is a required property"),
        ("model: {type: toy_net, latent_dims: 3}", "model", "'latent_dims' was unexpected"),
        ("model: {type: toy_net, latent_dim: 0}", "model.latent_dim", "less than the minimum of 1"),
        ("model: {type: toy_net, latent_dim: '3'}", "model.latent_dim", "not of type 'integer'"),
        ("model: {type: toy_net, mode: c}", "model.mode", "'c'"),
        ("model: toy_net\ndata: {train: {type: toy_scan, size: 0}}", "data.train.size", "less than the minimum of 1"),
        ("model: toy_net\ndata: {train: toy_table, val: 1}", "data.val", "greater than or equal to the maximum of 1"),
        ("model: toy_net\ndata: {train: toy_table, val: {rows: 1}}", "data.val", "'type' is a required property"),
        ("model: toy_net\ndata: {train: toy_table, transforms: {input: [lg]}}", "data.transforms.input.0", "'lg'"),
        ("model: toy_net\ndata: {train: toy_table, augment: [{type: toy_flip, p: 2}]}", "data.augment.0.p", "maximum"),
        ("model: toy_net\nlosses: {mine: {weight: 2}}", "losses.mine", "'type' is a required property"),
        ("model: toy_net\nlosses: {toy_mse: {weight: -1}}", "losses.toy_mse.weight", "-1 is less than the minimum"),
        ("model: toy_net\nlosses: {toy_mse: {eps: 1}}", "losses.toy_mse", "'eps' was unexpected"),
        ("model: toy_net\nlosses: {toy_mse: {weight: {type: toy_rmp}}}", "losses.toy_mse.weight.type", "'toy_rmp'"),
        ("model: toy_net\nmetrics: {toy_psnr: {every_n_steps: 0}}", "metrics.toy_psnr.every_n_steps", "minimum of 1"),
        ("model: toy_net\nmetrics: {toy_psnr: {type: toy_curve}}", "metrics.toy_psnr.type", "'toy_curve'"),
        ("model: toy_net\nfoo: 1", "", "'foo' was unexpected"),
        ("model: toy_net\ntrainer: {max_epochs: 0}", "trainer.max_epochs", "less than the minimum of 1"),
        ("model: toy_net\ntrainer: {precision: 64}", "trainer.precision", "64"),
        ("model: toy_net\ntrainer: {early_stopping: {patience: 1.5}}", "trainer.early_stopping.patience", "1.5"),
        ("model: toy_net\nloggers: toy_file", "loggers", "not of type 'array'"),
        (
            "model: toy_net\nbackend: toy_gpu",
            "backend",
            "'toy_gpu' is not one of ['auto', 'cpu', 'cuda', 'mps', 'toy_tpu']",
        ),
        ("model: toy_net\noptimizer: {a: {type: toy_adam}, b: {type: toy_sgd, betas: 1}}", "optimizer.b", "'betas'"),
        ("model: toy_gone", "model", "'toy_gone' is not one of"),
        ("extends: a\nmodel: {latent_dims: 3}", "model", "'latent_dims'"),
        ("extends: a\nmodel: {type: toy_unet, latent_dim: 3}", "model", "'latent_dim' was unexpected"),
        ("extends: a\nloggers: {toy_file: {bse: 2}}", "loggers.toy_file", "'bse' was unexpected"),
        ("extends: a\ntrainer: {max_epochs: no}", "trainer.max_epochs", "'no' is not of type"),
        ("extends: a\ndata: {transforms: {input: {first: {base: 2}}}}", "data.transforms.input", "'first'"),
    ],
)
def test_what_it_refuses(errors: Errors, text: str, place: str, said: str) -> None:
    found = errors({**plain(BODY), **plain(text)})
    assert [where for where, _ in found] == [place]
    assert said in found[0][1]


LADDER = """
stem: 1
name: a
stages:
  first: {extends: other, model: {latent_dim: 3}, seed: 4}
  codes: {verb: encode, arguments: ["stage:first", 3], options: {out: x.h5, tag: [a, b], fine: true}}
  second:
    data: {train: {type: toy_scan, path: "stage:codes"}}
    model: {type: toy_net, latent_dim: 3}
"""


def test_it_knows_stages(errors: Errors) -> None:
    assert errors(plain(LADDER)) == []
    assert errors(plain(f"{LADDER}  third: null\n")) == []
    for right, wrong, place, said in (
        ("latent_dim: 3}, seed", "latent_dims: 3}, seed", "stages.first.model", "'latent_dims'"),
        ("verb: encode", "verb: 3", "stages.codes.verb", "3 is not of type 'string'"),
        ("arguments:", "argumnts:", "stages.codes", "'argumnts' was unexpected"),
        ("fine: true", "fine: {}", "stages.codes.options.fine", "{}"),
        ("seed: 4", "verb: x", "stages.first", "'extends', 'model' were unexpected"),
        ("name: a", "name: a\nmodel: toy_net", "", "False schema does not allow 'toy_net'"),
    ):
        found = errors(plain(LADDER.replace(right, wrong, 1)))
        assert [where for where, _ in found] == [place]
        assert said in found[0][1]


def test_it_describes_components_and_leaves_broken_ones_out(toy: Path) -> None:
    schema = json_schema()
    defs = schema["$defs"]
    scan = defs["dataset.toy.toy_scan"]
    assert scan["description"] == "A scan."
    assert scan["properties"]["path"]["description"] == "the file."
    assert scan["properties"]["path"]["markdownDescription"] == "the file.\n\n`path`, required"
    assert scan["properties"]["size"]["minimum"] == 1
    assert scan["properties"]["size"]["default"] == 4
    assert scan["properties"]["size"]["markdownDescription"].endswith("`integer >= 1`, default `4`")
    assert set(defs["weight_schedule.toy.toy_ramp"]["properties"]) == {"type", "from", "to"}
    assert "model.toy.toy_gone" not in defs
    assert {"toy_net", "toy_unet"} < set(defs["model.name"]["enum"])
    assert not {"toy_gone", "toy/toy_net"} & set(defs["model.name"]["enum"])
    assert list(schema["properties"])[:5] == ["stem", "name", "seed", "requires", "extends"]


def test_every_key_says_what_it_is(installed: Any) -> None:
    defs = installed["$defs"]
    bare = [
        f"{name}.{key}"
        for name, body in defs.items()
        for key, node in body.get("properties", {}).items()
        if not name.endswith((".settings", ".changes")) and "description" not in node
    ]
    bare += [
        f"{section}.{key}"
        for section in ("data.settings", "trainer.settings", "data.changes", "trainer.changes")
        for key, node in defs[section]["properties"].items()
        if "description" not in node
    ]
    for branch in ("then", "else"):
        bare += [key for key, node in installed[branch]["properties"].items() if "description" not in node]
    assert bare == []


def test_defaults_are_those_of_the_recipe(installed: Any) -> None:
    keys = installed["$defs"]["trainer.settings"]["properties"]
    trainer = load_recipe("stem4d-quick", ["trainer=null"]).document()["trainer"]
    defaults = {name: node["default"] for name, node in keys.items() if "default" in node}
    assert defaults == {name: value for name, value in trainer.items() if name != "precision"}
    assert keys["precision"]["anyOf"][0]["default"] == trainer["precision"]


TWICE = """
from stemcore import hookimpl

@hookimpl
def stem_models():
    return {"toy_net": "stem_toy.parts:UNet"}
"""


def test_a_name_that_two_plugins_offer_is_qualified(toy: Path) -> None:
    (toy / "stem_toy" / "again.py").write_text(TWICE)
    points = toy / "stem_toy-1.5.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}other = stem_toy.again\n")
    catalogue.cache_clear()
    schema = json_schema()
    errors = errors_by(schema)
    named = {name for name in schema["$defs"]["model.name"]["enum"] if "toy" in name}
    assert named == {"other/toy_net", "toy/toy_net", "toy_unet"}
    assert [where for where, _ in errors({**plain(BODY), "model": "toy_net"})] == ["model"]
    assert errors({**plain(BODY), "model": {"type": "other/toy_net", "depth": 4}}) == []
    assert errors({**plain(BODY), "model": {"type": "toy/toy_net", "depth": 4}}) != []


ODD = """
from stemcore import hookimpl

@hookimpl
def stem_metrics():
    return {"odd": "stem_toy.odd:Odd"}

class Odd:
    '''A score of something.

    Args:
        device: where.
        limit: above which it is nothing.
    '''
    def __init__(self, *, device: complex | None = None, limit: float = float("inf")):
        pass
"""


def test_a_type_that_json_lacks_is_left_open(toy: Path, recwarn: pytest.WarningsRecorder) -> None:
    (toy / "stem_toy" / "odd.py").write_text(ODD)
    points = toy / "stem_toy-1.5.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}odd = stem_toy.odd\n")
    catalogue.cache_clear()
    keys = json_schema()["$defs"]["metric.odd.odd"]["properties"]
    assert keys["limit"]["type"] == "number"
    assert keys["device"]["description"] == "where."
    assert not recwarn.list


OLD = """
from typing import Annotated
from pydantic import Field
from stemcore import hookimpl

@hookimpl
def stem_metrics():
    return {"old": "stem_toy.old:Old"}

class Old:
    def __init__(self, *, limit: Annotated[float, Field(deprecated="use 'floor'")] = 1.0, floor: float = 0.0):
        pass
"""


def test_what_is_deprecated_says_so(toy: Path) -> None:
    (toy / "stem_toy" / "old.py").write_text(OLD)
    points = toy / "stem_toy-1.5.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}old = stem_toy.old\n")
    catalogue.cache_clear()
    keys = json_schema()["$defs"]["metric.old.old"]["properties"]
    assert keys["limit"]["deprecated"] is True
    assert keys["limit"]["deprecationMessage"] == "limit is deprecated: use 'floor'"
    assert "deprecationMessage" not in keys["floor"]
