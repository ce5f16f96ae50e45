from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from stemcore.testing.promises import Broken
from stemcore.testing.randomness import without_global_randomness


@pytest.mark.parametrize(
    ("draw", "name"), [(random.random, "Python"), (np.random.rand, "NumPy"), (lambda: torch.rand(2), "torch")]
)
def test_the_generator_that_was_used_is_named(draw, name) -> None:
    with pytest.raises(Broken, match=f"^it changed the state of the global generator of {name}$"):
        without_global_randomness(draw)


def test_generators_are_left_as_they_were() -> None:
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    with pytest.raises(Broken):
        without_global_randomness(lambda: torch.rand(2))
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_the_call_is_made_under_two_seeds() -> None:
    first, second = without_global_randomness(torch.initial_seed)
    assert first != second
    own = without_global_randomness(lambda: torch.rand(3, generator=torch.Generator().manual_seed(1)).tolist())
    assert own[0] == own[1]
