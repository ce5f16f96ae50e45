"""Components (losses, where it does not matter) broken in one way each."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer
from torch import Tensor

from stemcore import Loss, Metric
from stemcore.testing import LossExample, MetricExample
from tests.testing.mutation import Mutant, no_examples


class Sound(Loss):
    """A mean squared error with a power and a way to take it.

    Args:
        power: of the difference.
        reduce: how pixels are taken together.
    """

    def __init__(self, *, power: Annotated[float, Field(gt=0)] = 2.0, reduce: Literal["mean", "max"] = "mean") -> None:
        super().__init__()
        self.power, self.reduce = power, reduce

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of images (n, c, h, w)."""
        error = (prediction - target).abs() ** self.power
        return error.mean() if self.reduce == "mean" else error.amax()


class NoLoss:
    """Is not a loss."""

    def forward(self, prediction):
        return prediction.mean()


class Unfinished(Metric):
    """Has no compute."""

    def update(self, prediction):
        pass


class Silent(Sound):
    pass


Silent.__doc__ = None


class Positional(Sound):
    """Takes its configuration by position."""

    def __init__(self, power: float = 2.0) -> None:
        super().__init__(power=power)


class Unannotated(Sound):
    """Does not say what its power is."""

    def __init__(self, *, power=2.0) -> None:
        super().__init__(power=power)


class OfTheCore(Sound):
    """Has a weight of its own."""

    def __init__(self, *, weight: float = 2.0) -> None:
        super().__init__()


class Undescribed(Sound):
    """A mean squared error.

    Args:
        power: of the difference.
    """

    def __init__(self, *, power: float = 2.0, reduce: str = "mean") -> None:
        super().__init__(power=power)


class Lens:
    """Something that JSON has no word for."""


class NotInJson(Sound):
    """A mean squared error.

    Args:
        lens: seen through this.
    """

    def __init__(self, *, lens: Lens | None = None) -> None:
        super().__init__()


Negated = Annotated[float, PlainSerializer(lambda value: -value)]


class Turned(Sound):
    """A mean squared error.

    Args:
        power: of the difference.
    """

    def __init__(self, *, power: Negated = 2.0) -> None:
        super().__init__(power=power)


class Refused(Sound):
    """A mean squared error.

    Args:
        power: of the difference, which is too low by default.
    """

    def __init__(self, *, power: Annotated[float, Field(gt=0), PlainSerializer(lambda value: -value)] = 2.0) -> None:
        super().__init__()


class Locked(Sound):
    """A mean squared error with a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def _unwilling() -> None:
    raise OSError("no licence in this process")


@dataclass
class Licence:
    """Belongs to one process."""

    def __reduce__(self):
        return _unwilling, ()


class Licensed(Sound):
    """A mean squared error under licence."""

    def __init__(self) -> None:
        super().__init__()
        self.licence = Licence()


def no_file(folder):
    return [LossExample(config={"power": float((folder / "power.txt").read_text())})]


def of_another_kind(folder):
    return [MetricExample()]


def wrong_configuration(folder):
    return [LossExample(config={"power": -1.0})]


SOUND = [(Sound, no_examples)]
MUTANTS = [
    Mutant("check_examples", Sound, "its examples cannot be made: FileNotFoundError", no_file, kind="loss"),
    Mutant(
        "check_examples", Sound, "its example is a MetricExample; a loss has LossExample", of_another_kind, kind="loss"
    ),
    Mutant("check_name", Sound, "'MyLoss' is not a lower_snake name", kind="loss", name="MyLoss"),
    Mutant("check_import_string", "tests.testing.mutants.every:Gone", "has no attribute 'Gone'", kind="loss"),
    Mutant("check_import_string", "tests.testing.gone:Sound", "No module named", kind="loss"),
    Mutant("check_base_class", NoLoss, "not a subclass of stemcore.Loss", kind="loss"),
    Mutant("check_base_class", Sound(), "not a subclass of stemcore.Loss", kind="loss"),
    Mutant("check_base_class", Unfinished, "it leaves out compute", kind="metric"),
    Mutant("check_base_class", "tests.testing.mutants.every:__doc__", "cannot be called", kind="optimizer"),
    Mutant("check_base_class", Sound, "no stemcore.Command", kind="command"),
    Mutant("check_docstring", Silent, "it has no docstring", kind="loss"),
    Mutant("check_signature", Positional, r"takes \(power\) by position, the core hands over nothing", kind="loss"),
    Mutant("check_signature", Unannotated, "parameter 'power' has no annotation", kind="loss"),
    Mutant("check_signature", OfTheCore, "the key 'weight' is the core's", kind="loss"),
    Mutant("check_parameters_are_described", Undescribed, "says nothing of reduce under 'Args:'", kind="loss"),
    Mutant("check_json_schema", NotInJson, "no JSON Schema can be made of its parameters", kind="loss"),
    Mutant("check_configuration_round_trips", Turned, "'power': 2.0.*was written as.*read as.*-2.0", kind="loss"),
    Mutant("check_configuration_round_trips", Refused, "it is refused", kind="loss"),
    Mutant("check_configuration_round_trips", Sound, "refused.*greater than 0", wrong_configuration, kind="loss"),
    Mutant("check_pickles_under_spawn", Locked, "cannot be pickled: TypeError: cannot pickle", kind="loss"),
    Mutant("check_pickles_under_spawn", Licensed, "another process cannot take it: OSError: no licence", kind="loss"),
]
