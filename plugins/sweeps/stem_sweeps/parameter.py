"""One key of a recipe and the values that it may take in a sweep."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from stemcore import Node, UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

WORDS = ("values", "low", "high", "step", "log")
_FORM = "write a list of values, or {low: 1e-4, high: 1e-2, log: true}"


@dataclass(frozen=True)
class Parameter:
    """A key and its values: those of a list, or a range.

    Attributes:
        key: of the recipe, dotted as in an override.
        where: ``file:line``.
        values: to choose from; empty for a range.
        low, high: ends of the range, both within it. Whole numbers are drawn if both are whole.
        step: distance between the values of a range; ``None`` for every number (every whole number) in it.
        log: whether the logarithm is drawn evenly.
    """

    key: str
    where: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether a range is one of whole numbers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.values:
            return CategoricalDistribution([_choice(value) for value in self.values])
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def override(self, drawn: Any) -> str:
        """``KEY=VALUE`` of what Optuna has drawn."""
        values = {_choice(value): value for value in self.values}
        return f"{self.key}={json.dumps(values.get(drawn, drawn) if self.values else drawn)}"

    def ends(self) -> list[Any]:
        """What Optuna may draw: all of a list, the ends of a range."""
        return [_choice(value) for value in self.values] or [self.low, self.high]

    def points(self) -> list[Any] | None:
        """Everything that Optuna may draw, ``None`` for a range without steps."""
        if self.values:
            return self.ends()
        if self.log or (self.step is None and not self.whole):
            return None
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return [self.low + i * step for i in range(count)]

    def document(self) -> Any:
        """As it would be written."""
        if self.values:
            return list(self.values)
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}


def _choice(value: Any) -> Any:
    """A value as Optuna takes it: scalars, anything else as JSON."""
    return value if value is None or isinstance(value, (str, bool, int, float)) else json.dumps(value)


def read_parameter(key: str, node: Node) -> Parameter:
    """A key of a space file.

    Raises:
        UserError: with everything that is wrong with it.
    """
    if isinstance(node.value, list):
        return _of_list(key, node, node.where)
    if not isinstance(node.value, dict):
        raise UserError(f"{key}: {node.plain()!r} is one value, not a space", where=node.where, hint=_FORM)
    if unknown := [word for word in node.value if word not in WORDS]:
        near = {word: get_close_matches(word, WORDS, n=1) for word in unknown}
        errors = [
            UserError(
                f"{key}: unknown key '{word}'",
                where=node.value[word].where,
                hint=f"did you mean '{near[word][0]}'?" if near[word] else f"known: {', '.join(WORDS)}",
            )
            for word in unknown
        ]
        raise UserError(*(problem for error in errors for problem in error.problems))
    values = node.get("values")
    if values is None:
        return _of_range(key, node)
    if len(node.value) > 1:
        others = ", ".join(f"'{word}'" for word in node.value if word != "values")
        raise UserError(f"{key}: 'values' beside {others}", where=node.where, hint=_FORM)
    return _of_list(key, values, node.where)


def _of_list(key: str, node: Node, where: str) -> Parameter:
    values = node.plain()
    if not isinstance(values, list) or not values:
        raise UserError(f"{key}: no list of values", where=where, hint=_FORM)
    choices = [_choice(value) for value in values]
    if twice := [choice for place, choice in enumerate(choices) if choice in choices[:place]]:
        raise UserError(f"{key}: {twice[0]!r} is there twice", where=where)
    if any(isinstance(choice, float) and not math.isfinite(choice) for choice in choices):
        raise UserError(f"{key}: a value is not finite", where=where)
    if len(values) == 1:
        raise _constant(key, values[0], where)
    return Parameter(key, where, tuple(values))


def _of_range(key: str, node: Node) -> Parameter:
    given = node.plain()
    low, high, step, log = given.get("low"), given.get("high"), given.get("step"), given.get("log", False)
    where = node.where
    if missing := [word for word in ("low", "high") if given.get(word) is None]:
        raise UserError(f"{key}: no '{missing[0]}'", where=where, hint=_FORM)
    for word, number in (("low", low), ("high", high), ("step", 1 if step is None else step)):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise UserError(f"{key}: '{word}' is {number!r}, not a number", where=node.value[word].where)
    if not isinstance(log, bool):
        raise UserError(f"{key}: 'log' is {log!r}", where=node.value["log"].where, hint="write true or false")
    if low > high:
        raise UserError(f"{key}: low {low} is above high {high}", where=where)
    if low == high:
        raise _constant(key, low, where)
    if log and low <= 0:
        raise UserError(f"{key}: a range with log must be above 0, low is {low}", where=where)
    if log and step is not None:
        raise UserError(f"{key}: 'log' and 'step' exclude each other", where=where)
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"{key}: step {step} is not above 0 and within the range", where=where)
    return Parameter(key, where, low=low, high=high, step=step, log=log)


def _constant(key: str, value: Any, where: str) -> UserError:
    return UserError(
        f"{key}: there is only one value, so that it changes nothing",
        where=where,
        hint=f"give it on the command line: {key}={json.dumps(value)}",
    )
