"""Backends broken in one way each."""

from __future__ import annotations

from itertools import count
from typing import ClassVar

import torch
from lightning_fabric.accelerators import CPUAccelerator

from stemcore import Backend
from stemcore.testing import Example
from tests.testing.mutation import Mutant

HERE = "tests.testing.mutants.backend"


class Sound(Backend):
    """The processor with a single thread.

    Args:
        threads: how many.
    """

    priority: ClassVar[int] = -1
    channels_last: ClassVar[bool] = True

    def __init__(self, *, threads: int = 1):
        self.threads = threads

    @classmethod
    def available(cls) -> bool:
        return True

    @classmethod
    def describe(cls) -> str:
        return "CPU, one thread"

    def accelerator(self) -> str:
        torch.set_num_threads(self.threads)
        return "cpu"

    def precisions(self) -> tuple[str, ...]:
        return ("32", "bf16-mixed")


class Absent(Sound):
    """A device that is nowhere."""

    def __init__(self):
        super().__init__()

    @classmethod
    def available(cls) -> bool:
        return False

    @classmethod
    def describe(cls) -> str:
        return "no such device was ever built"

    def accelerator(self) -> str:
        return "npu"


class AsObject(Sound):
    """The processor, as an accelerator object.

    Args:
        threads: how many.
    """

    def accelerator(self):
        return CPUAccelerator()

    def precisions(self):
        return ("32",)  # Fabric takes any object for a CUDA device where it comes to mixed precision.


class Raises(Sound):
    @classmethod
    def available(cls):
        raise OSError("libdriver.so: cannot open shared object file")


class Counts(Sound):
    @classmethod
    def available(cls):
        return 2


class Flickers(Sound):
    turns = count()

    @classmethod
    def available(cls):
        return next(cls.turns) % 2 == 0


class RaisesInWords(Absent):
    @classmethod
    def describe(cls):
        return cls.device.name


class SaysNothing(Absent):
    @classmethod
    def describe(cls):
        return ""


class SaysTooMuch(Sound):
    @classmethod
    def describe(cls):
        return "one device\nanother device"


class HighPriority(Sound):
    priority = "high"


class Faster(Sound):
    channels_last = 1


class NeedsThreads(Sound):
    """Args:
    threads: how many.
    """

    def __init__(self, *, threads: int):
        super().__init__(threads=threads)


class NeedsDriver(Absent):
    def __init__(self):
        raise RuntimeError("no driver")


class Unknown(Sound):
    def accelerator(self):
        return "abacus"


class NoName(Sound):
    def accelerator(self):
        return torch.device("cpu")


class Elsewhere(Sound):
    def accelerator(self):
        return Meta()


class Meta(CPUAccelerator):
    """Fabric gives an accelerator that it does not know the processor."""

    @staticmethod
    def get_parallel_devices(devices):
        return [torch.device("meta")] * devices


class Eight(Sound):
    def precisions(self):
        return ("32", "8-mixed")


class Double(Sound):
    def precisions(self):
        return ("32", "64")


class Twice(Sound):
    def precisions(self):
        return ("32", "32")


class NoPrecision(Sound):
    def precisions(self):
        return None


class AsksTheDriver(Absent):
    def precisions(self):
        return self.driver.precisions


class Half(Sound):
    def precisions(self):
        return ("32", "16-mixed")


def with_threads(folder):
    return [Example(config={"threads": 2})]


SOUND = [(Sound, with_threads), (f"{HERE}:Absent", lambda f: [Example()]), (AsObject, lambda f: [Example()])]
MUTANTS = [
    Mutant("check_availability", Raises, "available raised OSError: libdriver.so"),
    Mutant("check_availability", Counts, "available returned int, not True or False"),
    Mutant("check_availability", Flickers, "available returned True, then False"),
    Mutant("check_description", RaisesInWords, "describe raised AttributeError"),
    Mutant("check_description", SaysNothing, "describe returned '', not a line in words"),
    Mutant("check_description", SaysTooMuch, "not a line in words"),
    Mutant("check_attributes", HighPriority, "its priority is 'high', not a whole number"),
    Mutant("check_attributes", Faster, "its channels_last is 1, not True or False"),
    Mutant("check_builds_by_itself", NeedsThreads, "it cannot be made without threads"),
    Mutant("check_builds_by_itself", NeedsDriver, "made without configuration it raised RuntimeError: no driver"),
    Mutant("check_refusal", f"{HERE}:RaisesInWords", "a recipe that asks for it ends in AttributeError"),
    Mutant("check_refusal", f"{HERE}:SaysNothing", "describe returned '', not a line in words"),
    Mutant("check_accelerator", Unknown, "Fabric cannot use 'abacus' in precision 32"),
    Mutant("check_accelerator", NoName, "accelerator returned device"),
    Mutant("check_accelerator", Elsewhere, "Fabric takes cpu for it, its accelerator says meta"),
    Mutant("check_precisions", Double, r"it lists \['64'\], of which a recipe can ask for none"),
    Mutant("check_precisions", Twice, r"it lists \['32', '32'\], one of them twice"),
    Mutant("check_precisions", NoPrecision, "precisions returned None, not names"),
    Mutant("check_precisions", AsksTheDriver, "precisions raised AttributeError"),
    Mutant("check_precisions_are_real", Half, "precision 16-mixed computes in torch.bfloat16"),
    Mutant("check_trains", Eight, "Fabric cannot use 'cpu' in precision 8-mixed"),
]
