from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from stemcore.cli.component_page import type_in_words
from stemcore.cli.main import execute

PLUGIN = """
from stemcore import hookimpl

@hookimpl
def stem_losses():
    return {"hinge": "hinge_plugin:Hinge"}
"""
LOSS = '''
class Camera:
    """A type that JSON does not have."""


def _hinge():
    from pathlib import Path
    from typing import Annotated, Literal
    from pydantic import Field
    from stemcore import Loss

    class Hinge(Loss):
        """Hinge of the prediction.

        Zero above the margin.

        Args:
            margin: where it
                begins.
            from_: the mode.
        """

        def __init__(self, *, margin: Annotated[float, Field(gt=0)], from_: Literal["a", "b"] = "a",
                     table: Path | None = None, camera: Camera | None = None):
            super().__init__()

        def forward(self, prediction):
            return prediction.sum()

    Hinge.__init__.__annotations__.update(camera=Camera | None)
    return Hinge


def __getattr__(name):
    if name == "Hinge":
        return _hinge()
    raise AttributeError(name)
'''


@pytest.fixture
def hinge(distribution):
    return distribution("stem-hinge", {"hinge": "hinge_plugin"}, {"hinge_plugin.py": PLUGIN + LOSS})


def test_page_has_summary_origin_and_parameters(hinge, capsys):
    assert execute(["plugins", "show", "loss/hinge"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == ["loss/hinge", "", "Hinge of the prediction.", "", "Zero above the margin."]
    assert "plugin: hinge (stem-hinge 2.5)" in lines
    assert "plugin API: not declared" in lines
    assert "import: hinge_plugin:Hinge" in lines
    assert "given by the core: nothing" in lines
    rows = [" ".join(line.split()) for line in lines[-5:]]
    assert rows == [
        "parameter type default about",
        "margin number > 0 (required) where it begins.",
        'from "a" | "b" "a" the mode.',
        "table path | null null",
        "camera Camera | null null",
    ]


def test_first_sentence_may_take_two_lines(distribution, capsys):
    loss = LOSS.replace("Hinge of the prediction.", "Hinge of the prediction,\n        zero above the margin.")
    distribution("stem-hinge", {"hinge": "hinge_plugin"}, {"hinge_plugin.py": PLUGIN + loss})
    assert execute(["plugins", "show", "loss/hinge"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["loss/hinge", "", "Hinge of the prediction,", "zero above the margin."]


def test_json_has_the_schema(hinge, capsys):
    assert execute(["plugins", "show", "loss/hinge", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"]["properties"]["margin"]["exclusiveMinimum"] == 0
    assert document["parameters"][0] == {
        "name": "margin",
        "type": "number > 0",
        "required": True,
        "default": None,
        "description": "where it begins.",
        "deprecated": None,
    }
    assert (document["deprecated"], document["api_version"]) == (None, None)


OLD = """
from typing import Annotated
from pydantic import Field
from typing_extensions import deprecated

@deprecated("use 'hinge'")
class Old:
    '''An old loss.

    Args:
        size: how wide.
    '''

    def __init__(self, *, margin: float = 1.0, size: Annotated[float, Field(deprecated="use 'margin'")] = 0.5): ...
"""


def test_what_is_deprecated_and_for_which_api_it_was_written(distribution, capsys):
    plugin = "STEM_API = '1.0'\n" + PLUGIN.replace("hinge_plugin:Hinge", "old_losses:Old")
    distribution("stem-old", {"old": "old_plugin"}, {"old_plugin.py": plugin, "old_losses.py": OLD})
    assert execute(["plugins", "show", "loss/hinge"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == ["loss/hinge", "is deprecated: use 'hinge'", "", "An old loss.", ""]
    assert "plugin API: 1.0" in lines
    assert " ".join(lines[-1].split()) == "size number 0.5 is deprecated: use 'margin'; how wide."
    assert execute(["plugins", "show", "loss/hinge", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["deprecated"], document["api_version"]) == ("use 'hinge'", "1.0")
    assert [p["deprecated"] for p in document["parameters"]] == [None, "use 'margin'"]
    assert document["schema"]["properties"]["size"]["deprecated"] is True


def test_given_parameters_are_named(capsys):
    assert execute(["plugins", "show", "scheduler/cyclic"]) == 0
    shown = capsys.readouterr().out
    assert "given by the core: optimizer, total_steps" in shown
    assert "plugin API" not in shown  # what comes with the core is written for its API


def test_verbs_and_recipes_have_a_page(lab, capsys):
    assert execute(["plugins", "show", "command/measure"]) == 0
    assert "Measure a thing." in capsys.readouterr().out
    assert execute(["plugins", "show", "recipe/lab-recipe"]) == 0
    assert "What the lab uses." in capsys.readouterr().out


class Inner(BaseModel):
    model_config = ConfigDict(title="Inner")
    a: int


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "integer"),
        (Annotated[float, Field(ge=0, lt=1)], "number >= 0, < 1"),
        (bool, "boolean"),
        (str, "text"),
        (Path, "path"),
        (float | None, "number | null"),
        (Literal["mean", "sum"], '"mean" | "sum"'),
        (Literal["auto"] | int, '"auto" | integer'),
        (list[int], "list of integer"),
        (tuple[int, float], "[integer, number]"),
        (Annotated[list[int], Field(min_length=2, max_length=2)], "list of 2 x integer"),
        (dict[str, Annotated[int, Field(gt=0)]], "mapping of integer > 0"),
        (Inner, "mapping"),
        (object, "anything"),
    ],
)
def test_type_in_words(annotation, words):
    from pydantic import TypeAdapter, create_model

    schema = create_model("Of", x=(annotation, ...)).model_json_schema()
    node = {key: value for key, value in schema["properties"]["x"].items() if key != "title"}
    assert type_in_words(node, schema.get("$defs", {})) == words
    assert TypeAdapter(annotation) is not None
