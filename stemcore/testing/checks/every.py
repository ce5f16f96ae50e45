"""What every component promises, whatever its kind."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from importlib import import_module

import yaml

from stemcore.component.kinds import KINDS
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.plugins.signature import Schema
from stemcore.testing.building import built
from stemcore.testing.examples import EXAMPLE_OF, Example
from stemcore.testing.promises import EVERY, Broken, NotApplicable, ensure, promise
from stemcore.testing.spawned import unpickle
from stemcore.testing.subject import Subject


def _configurable(subject: Subject) -> Schema:
    if subject.kind == "command":
        raise NotApplicable("a verb is configured by its options")
    return subject.schema


@promise("recipe")
@promise("option")
@promise(EVERY)
def check_examples(subject: Subject) -> None:
    """Its examples can be made, and are of its kind: without them the other checks cannot be made as they should."""
    subject.promised(EXAMPLE_OF.get(subject.kind, Example))


@promise(EVERY, once=True)
def check_name(subject: Subject) -> None:
    """The name is lower snake case (verbs may have hyphens): it is a key in recipes and part of metric names."""
    pattern = r"[a-z][a-z0-9_-]*" if subject.kind == "command" else r"[a-z][a-z0-9_]*"
    ensure(re.fullmatch(pattern, subject.entry.name), f"'{subject.entry.name}' is not a lower_snake name")


@promise(EVERY, once=True)
def check_import_string(subject: Subject) -> None:
    """The import string leads to a component that is there: hooks are not read when a recipe is written, only when it
    is run."""
    try:
        subject.load()
    except (Exception, SystemExit) as error:
        raise Broken(f"{subject.entry.target} cannot be imported: {cause_of(error)}") from error


@promise(EVERY, once=True)
def check_base_class(subject: Subject) -> None:
    """It is of its kind's public base class, where the kind has one: the core relies on what that provides."""
    base = KINDS[subject.kind].base
    if not base:
        ensure(callable(subject.target), f"{subject.entry.target} cannot be called")
        return
    expected = getattr(import_module("stemcore"), base)
    if subject.kind == "command":
        ensure(isinstance(subject.target, expected), "it is no stemcore.Command: @click.command(cls=Command) makes one")
        return
    ensure(
        inspect.isclass(subject.target) and issubclass(subject.target, expected),
        f"it is not a subclass of stemcore.{base}",
    )
    missing = sorted(getattr(subject.target, "__abstractmethods__", ()))
    ensure(not missing, f"it leaves out {', '.join(missing)}")


@promise(EVERY, once=True)
def check_docstring(subject: Subject) -> None:
    """It has a docstring of its own, which ``stem plugins show``, editors and the reference show to users."""
    if subject.kind == "command":
        ensure(getattr(subject.target, "help", None), "it has no docstring")
        return
    # Not inspect.getdoc: a docstring inherited from the base class says nothing about this component.
    ensure(inspect.cleandoc(getattr(subject.target, "__doc__", None) or ""), "it has no docstring")


@promise(EVERY, once=True)
def check_signature(subject: Subject) -> None:
    """Its configuration is keyword-only and annotated, and it takes by position what the core hands over to its kind:
    the signature is the schema."""
    if subject.kind == "command":
        raise NotApplicable("a verb is configured by its options")
    target = subject.target
    try:
        Schema(target, KINDS[subject.kind], subject.entry.name)
    except UserError as error:
        raise Broken(str(error)) from error
    except Exception as error:
        raise Broken(f"no schema can be made of its signature: {cause_of(error)}") from error


@promise(EVERY, once=True)
def check_parameters_are_described(subject: Subject) -> None:
    """Each parameter has a line under ``Args:`` in the docstring of the class: editors show it where it is set."""
    fields = _configurable(subject).model.model_fields.values()
    silent = [field.alias for field in fields if not field.description]
    ensure(not silent, f"its docstring says nothing of {', '.join(map(str, silent))} under 'Args:'")


@promise(EVERY, once=True)
def check_json_schema(subject: Subject) -> None:
    """A JSON Schema can be made of its parameters, defaults included: editors complete and check by it."""
    model = _configurable(subject).model
    try:
        json.dumps(model.model_json_schema(by_alias=True), allow_nan=False)
    except Exception as error:
        raise Broken(f"no JSON Schema can be made of its parameters: {cause_of(error)}") from error


@promise(EVERY)
def check_configuration_round_trips(subject: Subject) -> None:
    """A configuration written to YAML and read again is the same one: a resolved recipe repeats its run."""
    schema = _configurable(subject)
    arguments, problems = schema.validate(subject.config)
    ensure(not problems, f"the configuration {subject.config} is refused: {[str(p) for _, p in problems]}")
    try:
        text = yaml.safe_dump(schema.document(arguments))
    except Exception as error:
        raise Broken(f"the configuration {arguments} cannot be written as YAML: {cause_of(error)}") from error
    again, problems = schema.validate(yaml.safe_load(text))
    ensure(not problems, f"written as {text!r} it is refused: {[str(p) for _, p in problems]}")
    ensure(again == arguments, f"{arguments} was written as {text!r} and read as {again}")


@promise(EVERY)
def check_pickles_under_spawn(subject: Subject) -> None:
    """It can be sent to a process started afresh: that is how training on several devices starts on some platforms."""
    kinds = ("optimizer", "scheduler", "logger", "command")
    thing = subject.target if subject.kind in kinds else built(subject)
    if subject.kind == "command":
        raise NotApplicable("a verb runs in one process")
    try:
        data = pickle.dumps(thing)
    except Exception as error:
        raise Broken(f"it cannot be pickled: {cause_of(error)}") from error
    said = unpickle(data)
    ensure(not said, f"another process cannot take it: {said}")
