"""The signature is the schema: a component's keyword-only parameters are its configuration."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from stemcore.component.kinds import Kind
from stemcore.errors import Problem, UserError, close_match
from stemcore.plugins.deprecation import deprecation_of

_CONFIG = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, ser_json_inf_nan="constants")
_PREFIX = "p_"
"""Before the names of the model's fields: a parameter may be called ``copy`` or ``_x``, a field may not."""


CORE_KEYS: dict[str, tuple[str, ...]] = {
    "loss": ("weight", "inputs", "gather"),
    "metric": ("inputs", "every_n_steps"),
    "figure": ("inputs", "every_n_epochs"),
    "optimizer": ("parameters", "losses"),
}
"""Keys of a recipe that stand beside a component's own and are the core's, besides ``type``."""


class Schema:
    """The configuration of one component.

    A parameter that ends in an underscore (``from_``) is written without it. A class whose constructor hands ``**rest``
    on to that of its base has the base's keyword-only parameters, too, as far as it names none of its own.

    Values are checked strictly, as JSON: ``true`` is not 1 and ``"32"`` is not 32, while a list serves for a tuple and
    text for a path.

    Args:
        target: the component's class or function.
        kind: its kind, whose ``given`` positional parameters the core hands over.
        name: its name in a recipe.

    Attributes:
        deprecated: what to use in place of the component, null where it is not deprecated.
        deprecations: the same for each of its parameters that is, by its name in a recipe.

    Raises:
        UserError: if the signature cannot be one of this kind; for the plugin's author.
    """

    def __init__(self, target: Callable[..., Any], kind: Kind, name: str) -> None:
        self.target, self.kind, self.name = target, kind, name
        self.deprecated = deprecation_of(target)
        parameters = list(_signature(target).parameters.values())
        own: list[inspect.Parameter] = []
        hints: dict[str, Any] = {}
        described: dict[str, str] = {}
        for level in _levels(target):
            known = {p.name for p in own}
            new = [p for p in _keywords(level) if p.name not in known]
            own += new
            hints |= _hints(level, new)
            doc = docstring_parser.parse(inspect.getdoc(level) or "")
            described = {p.arg_name: p.description or "" for p in doc.params} | described
        self.summary = docstring_parser.parse(inspect.getdoc(target) or "").short_description or ""
        given = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(given) != len(kind.given):
            hands = ", ".join(kind.given) or "nothing"
            raise UserError(
                f"{kind.name} '{name}' takes ({', '.join(given)}) by position, the core hands over {hands}",
                hint="make configuration keyword-only, behind a '*'",
            )
        fields: dict[str, Any] = {}
        for p in own:
            if p.name not in hints:
                raise UserError(f"{kind.name} '{name}': parameter '{p.name}' has no annotation")
            if p.name.rstrip("_") in ("type", *CORE_KEYS.get(kind.name, ())):
                raise UserError(f"{kind.name} '{name}': the key '{p.name}' is the core's; rename the parameter")
            fields[_PREFIX + p.name] = _field(p.name, hints[p.name], p.default, described.get(p.name, ""))
        self.model: type[BaseModel] = create_model(f"{kind.name}_{name}", __config__=_CONFIG, **fields)
        own_fields = self.model.model_fields.items()
        advice = {f.alias or n: f.deprecation_message for n, f in own_fields}
        self.deprecations: dict[str, str] = {n: text for n, text in advice.items() if text is not None}

    def validate(self, config: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[tuple[str | int, ...], Problem]]]:
        """Checks a configuration: the keyword arguments (defaults filled in, paths made absolute) and the problems,
        each with its place within the configuration."""
        try:
            model = self.model.model_validate_json(json.dumps(config))
        except (ValidationError, TypeError, ValueError) as error:
            if not isinstance(error, ValidationError):
                return {}, [((), Problem(str(error)))]
            return {}, problems_of(error, self.model, config)
        values = vars(model)  # not getattr, by which pydantic warns of each deprecated field, set or not
        return {n.removeprefix(_PREFIX): _absolute(values[n]) for n in self.model.model_fields}, []

    def document(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments as plain data under the names that a recipe uses.

        A deprecated parameter that has its default is left out: what is written can be read when it is gone, and does
        not look as if somebody had set it.
        """
        model = self.model.model_construct(**{_PREFIX + name: value for name, value in arguments.items()})
        dumped: dict[str, Any] = model.model_dump(mode="json", by_alias=True, warnings=False)
        return {name: value for name, value in dumped.items() if not self._is_unused(name, arguments)}

    def _is_unused(self, alias: str, arguments: Mapping[str, Any]) -> bool:
        if alias not in self.deprecations:
            return False
        name, field = next((n, f) for n, f in self.model.model_fields.items() if f.alias == alias)
        if field.is_required():
            return False
        default = field.get_default(call_default_factory=True, validated_data={})
        return bool(arguments.get(name.removeprefix(_PREFIX)) == _absolute(default))

    def build(self, *given: Any, **arguments: Any) -> Any:
        """The component."""
        return self.target(*given, **arguments)


def _field(name: str, annotation: Any, default: Any, description: str) -> tuple[Any, FieldInfo]:
    given = ... if default is inspect.Parameter.empty else default
    return annotation, Field(given, alias=name.rstrip("_"), title=name.rstrip("_"), description=description or None)


def _signature(target: Callable[..., Any]) -> inspect.Signature:
    """The signature of a component. The decorator of PEP 702 wraps ``__new__``, behind which Python does not look for
    ``__init__``."""
    if inspect.isclass(target) and inspect.unwrap(target.__new__) is object.__new__ is not target.__new__:
        whole = inspect.signature(target.__init__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])
    return inspect.signature(target)


def _keywords(target: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in _signature(target).parameters.values() if p.kind is p.KEYWORD_ONLY]


def _levels(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The component, then the bases whose constructor it has, or to which constructors hand ``**rest`` on."""
    levels: list[Callable[..., Any]] = [target]
    bases = [c for c in inspect.getmro(target)[1:] if "__init__" in vars(c)] if inspect.isclass(target) else []
    for base in bases:
        inherited = "__init__" not in vars(levels[-1])
        handed_on = any(p.kind is p.VAR_KEYWORD for p in _signature(levels[-1]).parameters.values())
        if not (inherited or handed_on) or base is object:
            break
        levels.append(base)
    return levels


def _hints(target: Callable[..., Any], parameters: list[inspect.Parameter]) -> dict[str, Any]:
    """The annotations of the configuration alone: those of what the core hands over may be for type checkers only."""
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    annotations = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
    bare = SimpleNamespace(__annotations__=annotations)
    return get_type_hints(bare, globalns=getattr(function, "__globals__", {}), include_extras=True)


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return Path.cwd() / os.path.expanduser(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_absolute(v) for v in value)
    if isinstance(value, dict):
        return {key: _absolute(v) for key, v in value.items()}
    return value


def problems_of(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any]
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """What pydantic found, in plain words, each with its place in ``data``.

    The arms of a union, which pydantic reports one by one, become one problem.
    """
    messages: dict[tuple[str | int, ...], list[str]] = {}
    inputs: dict[tuple[str | int, ...], Any] = {}
    hints: dict[tuple[str | int, ...], str] = {}
    for found in error.errors(include_url=False):
        place = _place(found["loc"], data, found["type"])
        inputs[place] = found["input"]
        if found["type"] == "extra_forbidden":
            text, hints[place] = f"unknown key '{place[-1]}'", close_match(str(place[-1]), _known(model, place))
        elif found["type"] == "missing":
            text = "is required"
        else:
            text = re.sub(r"^(Value error, |\w+ (?=should ))", "", found["msg"])
        if text not in messages.setdefault(place, []):
            messages[place].append(text)
    return [(place, _one_problem(texts, inputs[place], hints.get(place, ""))) for place, texts in messages.items()]


def _one_problem(texts: list[str], given: Any, hint: str) -> Problem:
    if texts[0] == "is required" or texts[0].startswith("unknown key"):
        return Problem(texts[0], hint=hint)
    value = json.dumps(given, default=str)
    shown = value if len(value) <= 60 else f"{value[:57]}..."
    either = " or ".join([texts[0], *(text.removeprefix("should be ") for text in texts[1:])])
    return Problem(f"{either}, got {shown}", hint=hint)


def _place(loc: tuple[str | int, ...], data: Any, kind: str) -> tuple[str | int, ...]:
    """Where in the data an error is: pydantic also names arms of unions, which are not in the data."""
    place: list[str | int] = []
    for i, key in enumerate(loc):
        inside = (isinstance(data, Mapping) and key in data) or (
            isinstance(data, (list, tuple)) and isinstance(key, int) and key < len(data)
        )
        if inside:
            place.append(key)
            data = data[key]
        elif i == len(loc) - 1 and kind == "missing":
            place.append(key)
    return tuple(place)


def _known(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """The keys that the model knows at the place of an unknown one."""
    for key in place[:-1]:
        field = next((f for n, f in model.model_fields.items() if key in (n, f.alias)), None)
        arms = [field.annotation, *get_args(field.annotation)] if field else []
        forms = [getattr(arm, "address", arm) for arm in arms]
        inner = [form for form in forms if inspect.isclass(form) and issubclass(form, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return [f.alias or n for n, f in model.model_fields.items()]
