"""Names do the wiring: what each loss, metric and figure asks for, and where it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from stemcore.component.fields import FieldSpec, main_fields, target_of
from stemcore.data.chain import MODEL, Chain
from stemcore.errors import Problem, UserError, close_match

SPECIAL = ("model", "transforms", "progress", "spec", "history")


@dataclass(frozen=True)
class Wire:
    """One parameter of a component: the tensor that it is given, and in which space."""

    parameter: str
    source: str
    space: str | None
    optional: bool

    @property
    def name(self) -> str:
        """The source as a recipe writes it."""
        return f"{self.source}@{self.space}" if self.space else self.source


@dataclass(frozen=True)
class Wires:
    """What a component is called with."""

    wires: tuple[Wire, ...]
    special: tuple[str, ...]

    def __iter__(self) -> Iterator[Wire]:
        return iter(self.wires)

    def arguments(self, tensors: Tensors, context: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments: the named tensors (an optional one that is not there is left out) and the context."""
        given: dict[str, Any] = {name: context[name] for name in self.special}
        for wire in self.wires:
            if not wire.optional or wire.source in tensors:
                given[wire.parameter] = tensors.get(wire.source, wire.space)
        return given


class Tensors:
    """The batch and the outputs under one roof, in any space; a tensor taken back to a space is kept for the next.

    Args:
        batch: from the pipeline, tensors in other spaces under ``name@space``.
        outputs: the model's.
        chains: for each output or field, the transforms of the field it is like.
    """

    def __init__(self, batch: Mapping[str, Tensor], outputs: Mapping[str, Tensor], chains: Mapping[str, Chain]) -> None:
        self.tensors = {**batch, **outputs}
        self.chains = chains

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def get(self, name: str, space: str | None) -> Tensor:
        """The tensor ``name`` in ``space``."""
        if space is None or space == MODEL:
            return self.tensors[name]
        key = f"{name}@{space}"
        if key not in self.tensors:
            self.tensors[key] = self.chains[name].undo(self.tensors[name], space)
        return self.tensors[key]


def signature_of(call: Callable[..., Any]) -> dict[str, bool]:
    """The parameters of a component's call, each with whether it may be left out."""
    parameters = inspect.signature(call).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]
    return {p.name: p.default is not p.empty for p in named}


@dataclass(frozen=True)
class Supply:
    """What can be asked for: fields of the batch and outputs of the model, and the transforms each went through."""

    fields: Mapping[str, FieldSpec]
    outputs: Mapping[str, FieldSpec]
    chains: Mapping[str, Chain]

    def names(self) -> list[str]:
        """Everything that has a name."""
        return [*self.fields, *(n for n in self.outputs if n not in self.fields)]


def supply(fields: Mapping[str, FieldSpec], outputs: Mapping[str, FieldSpec], chains: Mapping[str, Chain]) -> Supply:
    """The supply of a model on data: ``target`` is there wherever ``input`` is, ``target_a`` where ``input_a`` is."""
    all_fields = dict(fields)
    through = {n: chains[n] for n in fields if n in chains}
    for name in main_fields(fields):
        all_fields.setdefault(target_of(name), fields[name])
        if name in through:
            through.setdefault(target_of(name), through[name])
    all_fields.setdefault("index", FieldSpec("index", (), dtype="int64"))
    # What is true or false has a field's geometry, but no value that its transforms could be undone for.
    valued = {n: f.like for n, f in outputs.items() if f.like is not None and f.dtype != "bool"}
    through.update({n: chains[like] for n, like in valued.items() if like in chains})
    return Supply(all_fields, outputs, through)


def wire(
    call: Callable[..., Any],
    supplied: Supply,
    *,
    own: Mapping[str, str],
    renamed: Mapping[str, str],
    space: str,
    where: str,
    who: str,
    allowed: Collection[str] = SPECIAL,
) -> tuple[Wires, list[Problem]]:
    """Works out what ``call`` is given.

    Args:
        call: ``forward`` of a loss, ``update`` of a metric, ``draw`` of a figure.
        supplied: what there is.
        own: the component's own renaming, ``{parameter: name@space}``.
        renamed: the recipe's ``inputs``, which comes before it.
        space: the space where none is asked for.
        where, who: for messages.
        allowed: which names besides tensors are there.
    """
    parameters = signature_of(call)
    problems = [
        Problem(f"{who} has no input '{name}'", where, close_match(name, parameters))
        for name in renamed
        if name not in parameters
    ]
    wires, special = [], []
    for parameter, optional in parameters.items():
        source, _, asked = renamed.get(parameter, own.get(parameter, parameter)).partition("@")
        if parameter in allowed and source == parameter and parameter not in supplied.names():
            special.append(parameter)
            continue
        if source not in supplied.names():
            if not optional or parameter in renamed:
                problems.append(_nobody(who, parameter, source, supplied, where))
            continue
        chain = supplied.chains.get(source)
        try:
            if asked and chain is None:
                raise UserError(f"'{source}' goes through no transforms and has no space '@{asked}'")
            if chain is not None:
                chain.undo_steps(asked or space)
        except UserError as error:
            problems += [Problem(f"{who} wants {source}@{asked}: {p.message}", where, p.hint) for p in error.problems]
            continue
        wires.append(Wire(parameter, source, (asked or space) if chain is not None else None, optional))
    return Wires(tuple(wires), tuple(special)), problems


def _nobody(who: str, parameter: str, source: str, supplied: Supply, where: str) -> Problem:
    wants = f"'{source}'" if source == parameter else f"'{source}' (as '{parameter}')"
    have = f"the data give {', '.join(supplied.fields)}; the model gives {', '.join(supplied.outputs)}"
    near = close_match(source, supplied.names())
    rename = f"rename with inputs: {{{parameter}: ...}}"
    return Problem(
        f"{who} wants {wants}, which nobody provides", where, f"{have}; {near if 'mean' in near else rename}"
    )
