from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import deprecated

from stemcore.component.kinds import KINDS
from stemcore.errors import UserError
from stemcore.plugins.signature import Schema


class Inner(BaseModel):
    """Settings within settings."""

    model_config = {"extra": "forbid"}
    depth: int = 1


class Scan:
    """A scan of many patterns.

    Longer words.

    Args:
        path: where it is,
            in a file.
        from_: the first one.
    """

    def __init__(
        self,
        *,
        path: Path,
        from_: Annotated[int, Field(ge=0)] = 0,
        share: float = math.inf,
        size: tuple[int, int] = (4, 4),
        mode: Literal["a", "b"] | int | None = "a",
        copy: bool = False,
        more: dict[str, Path] | None = None,
        inner: Inner | None = None,
    ) -> None:
        self.arguments = {k: v for k, v in locals().items() if k != "self"}


SCHEMA = Schema(Scan, KINDS["dataset"], "scan")


def problems(**config: Any) -> list[tuple[tuple[str | int, ...], str]]:
    arguments, found = SCHEMA.validate({"path": "x", **config})
    assert arguments == {}
    return [(place, f"{p.message}; {p.hint}" if p.hint else p.message) for place, p in found]


def test_arguments_with_defaults_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"path": "x.h5", "from": 3, "size": [1, 2], "more": {"a": "b"}, "share": 1}
    arguments, found = SCHEMA.validate(config)
    assert found == []
    assert arguments["path"] == tmp_path / "x.h5"
    assert arguments["more"] == {"a": tmp_path / "b"}
    assert (arguments["from_"], arguments["size"], arguments["share"], arguments["mode"]) == (3, (1, 2), 1.0, "a")
    assert SCHEMA.build(**arguments).arguments == arguments


def test_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert SCHEMA.validate({"path": "~/x"})[0]["path"] == Path("/home/me/x")
    assert SCHEMA.validate({"path": "~nobody_here/x"})[0]["path"].name == "x"


def test_plain_data_and_back() -> None:
    arguments, _ = SCHEMA.validate({"path": "/x", "from": 3, "size": [1, 2], "inner": {"depth": 3}})
    document = SCHEMA.document(arguments)
    assert document["size"] == [1, 2]
    assert (document["path"], document["from"], document["share"]) == ("/x", 3, math.inf)
    assert SCHEMA.validate(document)[0] == arguments


@pytest.mark.parametrize(
    ("config", "place", "message"),
    [
        ({"from": True}, ("from",), "should be a valid integer, got true"),
        ({"from": "3"}, ("from",), 'should be a valid integer, got "3"'),
        ({"from": 3.5}, ("from",), "should be a valid integer, got 3.5"),
        ({"from": -1}, ("from",), "should be greater than or equal to 0, got -1"),
        ({"share": True}, ("share",), "should be a valid number, got true"),
        ({"share": "1e-4"}, ("share",), 'should be a valid number, got "1e-4"'),
        ({"copy": 1}, ("copy",), "should be a valid boolean, got 1"),
        ({"mode": "c"}, ("mode",), "should be 'a' or 'b' or a valid integer, got \"c\""),
        ({"size": [1, "2"]}, ("size", 1), 'should be a valid integer, got "2"'),
        ({"size": [1]}, ("size", 1), "is required"),
        ({"path": 3}, ("path",), "should be a valid string, got 3"),
        ({"form": 3}, ("form",), "unknown key 'form'; did you mean 'from'?"),
        ({"from_": 3}, ("from_",), "unknown key 'from_'; did you mean 'from'?"),
        ({"inner": {"dept": 3}}, ("inner", "dept"), "unknown key 'dept'; did you mean 'depth'?"),
        ({"from": "x" * 100}, ("from",), f'should be a valid integer, got "{"x" * 56}...'),
    ],
)
def test_strictness(config: dict[str, Any], place: tuple[str | int, ...], message: str) -> None:
    assert problems(**config) == [(place, message)]


def test_all_at_once() -> None:
    _, found = SCHEMA.validate({"from": -1, "copy": 3, "zzz": 1})
    assert [place for place, _ in found] == [("path",), ("from",), ("copy",), ("zzz",)]


def test_docstrings_describe() -> None:
    properties = SCHEMA.model.model_json_schema()["properties"]
    assert SCHEMA.summary == "A scan of many patterns."
    assert properties["path"]["description"] == "where it is,\nin a file."
    assert properties["from"]["description"] == "the first one."


def given(spec: int) -> None: ...
def open_key(*, x=3) -> None: ...
def core_key(*, weight: float = 1.0) -> None: ...
def type_key(*, type: str = "") -> None: ...
def two(a: int, b: int, *, x: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (given, "loss", r"takes \(spec\) by position, the core hands over nothing"),
        (open_key, "loss", "parameter 'x' has no annotation"),
        (core_key, "loss", "the key 'weight' is the core's"),
        (type_key, "model", "takes"),
        (type_key, "dataset", "the key 'type' is the core's"),
        (two, "transform", r"takes \(a, b\) by position, the core hands over spec"),
    ],
)
def test_signatures_that_do_not_fit(target: Any, kind: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Schema(target, KINDS[kind], "it")


def test_functions_and_inherited_constructors() -> None:
    assert Schema(two, KINDS["scheduler"], "two").validate({"x": 4}) == ({"x": 4}, [])
    assert Schema(type("Sub", (Scan,), {}), KINDS["dataset"], "sub").validate({"path": "/x"})[1] == []
    assert Schema(core_key, KINDS["model"].__class__("backend", "stem_backends"), "b").validate({})[0] == {
        "weight": 1.0
    }


@deprecated("use 'scan'")
class OldScan:
    """A scan of old."""

    def __init__(self, *, rows: int, size: Annotated[int, Field(deprecated="use 'rows'", ge=1)] = 4) -> None:
        self.rows, self.size = rows, size


with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    class Heir(OldScan):
        """Of a class that is deprecated, and not so itself."""


@deprecated("use 'adamw'")
def old_adam(params: Any, *, lr: float = 1e-3, eps: Annotated[float, Field(deprecated=True)] = 1e-8) -> Any:
    """Adam of old."""
    return params, lr, eps


def test_a_deprecated_component_keeps_its_signature() -> None:
    """PEP 702's decorator wraps ``__new__``, behind which Python 3.10 to 3.12 find no parameters."""
    for target, deprecation in ((OldScan, "use 'scan'"), (Heir, None)):
        schema = Schema(target, KINDS["dataset"], "old_scan")
        assert schema.deprecated == deprecation
        assert schema.deprecations == {"size": "use 'rows'"}
        assert list(schema.model.model_json_schema()["properties"]) == ["rows", "size"]
    function = Schema(old_adam, KINDS["optimizer"], "old_adam")
    assert (function.deprecated, list(function.deprecations)) == ("use 'adamw'", ["eps"])
    assert (SCHEMA.deprecated, SCHEMA.deprecations) == (None, {})


def test_deprecated_parameters_are_validated_without_a_warning_and_marked_for_editors() -> None:
    schema = Schema(OldScan, KINDS["dataset"], "old_scan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert schema.validate({"rows": 3}) == ({"rows": 3, "size": 4}, [])
        assert schema.validate({"rows": 3, "size": 5}) == ({"rows": 3, "size": 5}, [])
        (_, problem) = schema.validate({"rows": 3, "size": 0})[1][0]
    assert problem.message == "should be greater than or equal to 1, got 0"
    assert schema.model.model_json_schema()["properties"]["size"]["deprecated"] is True


def test_deprecated_parameters_are_written_where_they_are_used_alone() -> None:
    schema = Schema(OldScan, KINDS["dataset"], "old_scan")
    assert schema.document({"rows": 3, "size": 4}) == {"rows": 3}
    assert schema.document({"rows": 3, "size": 5}) == {"rows": 3, "size": 5}

    class Required:
        """Its old parameter has no default."""

        def __init__(
            self,
            *,
            old: Annotated[int, Field(deprecated="x")],
            path: Annotated[Path, Field(deprecated="x")] = Path("a.h5"),
        ) -> None: ...

    required = Schema(Required, KINDS["dataset"], "required")
    arguments, _ = required.validate({"old": 1})
    assert required.document(arguments) == {"old": 1}


class Wide:
    """A base.

    Args:
        width: of a layer.
        depth: how many layers.
    """

    def __init__(self, spec: Any, *, width: int = 4, depth: int = 2) -> None:
        self.seen = (width, depth)


class Wider(Wide):
    """One with a parameter more, and a default of its own.

    Args:
        extra: what is more.
        width: of the first layer.
    """

    def __init__(self, spec: Any, *, extra: float = 0.5, width: int = 8, **rest: Any) -> None:
        super().__init__(spec, width=width, **rest)
        self.extra = extra


class Widest(Wider):
    """A constructor that is inherited."""


class Same(Wide):
    """A constructor that is inherited, and hands nothing on."""


class Closed(Wide):
    """One that hands nothing on."""

    def __init__(self, spec: Any, *, extra: int = 1) -> None:
        super().__init__(spec)


@pytest.mark.parametrize("target", [Wider, Widest])
def test_parameters_that_are_handed_on_to_a_base_are_in_the_schema(target: Any) -> None:
    schema = Schema(target, KINDS["model"], "wider")
    fields = {f.alias: f for f in schema.model.model_fields.values()}
    assert {n: (f.default, f.description) for n, f in fields.items()} == {
        "extra": (0.5, "what is more."),
        "width": (8, "of the first layer."),
        "depth": (2, "how many layers."),
    }
    arguments, problems = schema.validate({"depth": 3})
    assert problems == []
    assert schema.build(None, **arguments).seen == (8, 3)
    assert schema.validate({"dept": 3})[1][0][1].message == "unknown key 'dept'"


def test_a_base_that_is_handed_nothing_adds_no_parameters() -> None:
    assert [f.alias for f in Schema(Closed, KINDS["model"], "closed").model.model_fields.values()] == ["extra"]


def test_a_constructor_that_is_inherited_is_described_where_it_is() -> None:
    fields = {f.alias: f.description for f in Schema(Same, KINDS["model"], "same").model.model_fields.values()}
    assert fields == {"width": "of a layer.", "depth": "how many layers."}
