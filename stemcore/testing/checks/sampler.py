"""What a sampler promises."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stemcore.testing.building import built
from stemcore.testing.examples import SamplerExample
from stemcore.testing.promises import ensure, promise
from stemcore.testing.subject import Subject

SEED = 20

Blocks = Sequence[np.ndarray]


def _blocks(subject: Subject) -> list[np.ndarray]:
    """The training blocks: those of its example, else 40 of 1 to 12 items, with gaps where validation items were."""
    given = [np.asarray(block, np.int64) for block in subject.promised(SamplerExample).blocks]
    if given:
        return given
    items = np.setdiff1d(np.arange(320), np.arange(5, 320, 6))
    return np.split(items, np.cumsum([1 + (5 * k) % 12 for k in range(39)]))


def _epoch(sampler: Any, blocks: Blocks, seed: int = SEED) -> list[np.ndarray]:
    """The blocks of an epoch, checked to be arrays of indices."""
    chosen = sampler.epoch([block.copy() for block in blocks], np.random.default_rng(seed))
    sequence = hasattr(chosen, "__len__") and hasattr(chosen, "__getitem__")
    ensure(sequence, f"epoch returned {type(chosen).__name__}, which is no sequence of blocks")
    for number, block in enumerate(chosen):
        ensure(isinstance(block, np.ndarray), f"block {number} is {type(block).__name__}, no NumPy array")
        flat = block.ndim == 1 and block.dtype.kind in "iu"
        ensure(flat, f"block {number} has shape {block.shape} and type {block.dtype}: right are (n,) whole numbers")
    return list(chosen)


def _same(first: Blocks, second: Blocks) -> bool:
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@promise("sampler")
def check_training_items_alone(subject: Subject) -> None:
    """Every item of an epoch is one of the training blocks' (some may be left out, others repeated): anything else
    would be trained on what validates, or not be there at all."""
    blocks = _blocks(subject)
    for seed in range(SEED, SEED + 5):
        chosen = _epoch(built(subject), blocks, seed)
        strange = np.setdiff1d(np.concatenate([*chosen, np.empty(0, np.int64)]), np.concatenate(blocks))
        ensure(not len(strange), f"its epoch has item {strange[:1]}, which is in none of the training blocks")


@promise("sampler")
def check_any_number_of_blocks(subject: Subject) -> None:
    """An epoch has at least one item, however few blocks there are: a file may be one chunk, and a trial of a recipe
    trains on a few items."""
    blocks = _blocks(subject)
    cases = {"one block of one item": [blocks[0][:1]], "one block": blocks[-1:], "two blocks": blocks[:2]}
    for what, given in {**cases, f"{len(blocks)} blocks": blocks}.items():
        for seed in range(SEED, SEED + 3):
            chosen = _epoch(built(subject), given, seed)
            ensure(sum(len(block) for block in chosen), f"given {what}, its epoch has no item")


@promise("sampler")
def check_depends_on_nothing_else(subject: Subject) -> None:
    """An epoch depends on configuration, blocks and ``rng`` alone, not on the epochs before it: a sampler is built anew
    for each, so that a resumed run goes on in the same order, and all processes have the same one."""
    blocks = _blocks(subject)
    sampler = built(subject)
    first, second = _epoch(sampler, blocks), _epoch(sampler, blocks, SEED + 1)
    ensure(_same(_epoch(built(subject), blocks), first), "built again, with the same rng, it gives another epoch")
    fresh = _epoch(built(subject), blocks, SEED + 1)
    ensure(_same(fresh, second), "its second epoch is another one than that of a new sampler with the same rng")


@promise("sampler")
def check_no_global_randomness(subject: Subject) -> None:
    """Randomness comes from ``rng`` alone: NumPy's, Python's and torch's global generators are neither used nor
    changed."""
    blocks = _blocks(subject)
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        found = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            before = _states()
            found.append(_epoch(built(subject), blocks))
            moved = [name for name, state in _states().items() if state != before[name]]
            ensure(not moved, f"it changed the state of the global generator of {', '.join(moved)}")
        ensure(_same(*found), "its epoch depends on the seeds of global generators")
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])


def _states() -> dict[str, str]:
    numpy = np.random.get_state(legacy=False)
    return {
        "Python": repr(random.getstate()),
        "NumPy": repr((numpy["state"]["key"].tolist(), numpy["state"]["pos"])),
        "torch": repr(torch.get_rng_state().tolist()),
    }


@promise("sampler")
def check_leaves_blocks_alone(subject: Subject) -> None:
    """It changes neither the list of blocks nor their items: the same blocks are given to it in every epoch."""
    blocks = _blocks(subject)
    given = [block.copy() for block in blocks]
    built(subject).epoch(given, np.random.default_rng(SEED))
    ensure(len(given) == len(blocks), f"it was given {len(blocks)} blocks and left {len(given)}")
    for number, (seen, block) in enumerate(zip(given, blocks, strict=True)):
        ensure(np.array_equal(seen, block), f"block {number} was {block[:6]} and is {seen[:6]} after it")
