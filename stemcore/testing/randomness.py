"""Global random number generators: whether a component leaves them alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from stemcore.testing.promises import ensure

T = TypeVar("T")


def without_global_randomness(call: Callable[[], T]) -> tuple[T, T]:
    """What a call returns under two different seeds of the global generators, which it must not have used."""
    found = []
    with _kept():
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            before = generator_states()
            found.append(call())
            touched = [name for name, state in generator_states().items() if state != before[name]]
            ensure(not touched, f"it changed the state of the global generator of {', '.join(touched)}")
    return found[0], found[1]


@contextmanager
def _kept() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def generator_states() -> dict[str, object]:
    """The state of each global generator, by whose it is."""
    numpy = np.random.get_state(legacy=False)
    return {
        "Python": random.getstate(),
        "NumPy": (numpy["state"]["key"].tobytes(), numpy["state"]["pos"]),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
