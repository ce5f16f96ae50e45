"""Samplers broken in one way each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from stemcore import Sampler, UserError
from stemcore.testing import SamplerExample
from tests.testing.mutation import Mutant

Blocks = Sequence[np.ndarray]


class Part(Sampler):
    """A random part of the blocks in each epoch.

    Args:
        share: how many of them.
    """

    def __init__(self, *, share: Annotated[float, Field(gt=0, le=1)] = 0.5) -> None:
        self.share = share

    def epoch(self, blocks: Blocks, rng: np.random.Generator) -> Blocks:
        """The blocks of an epoch."""
        count = max(1, round(self.share * len(blocks)))
        return [blocks[i] for i in rng.permutation(len(blocks))[:count]]


class EverySecond(Sampler):
    """The first and every second item after it, in all epochs alike, in one block."""

    def epoch(self, blocks: Blocks, rng: np.random.Generator) -> Blocks:
        """The block of an epoch."""
        return (np.concatenate(blocks)[::2],)


class Weighted(Sampler):
    """Draws items with a weight for each, with replacement.

    Args:
        weights: of the items.
    """

    def __init__(self, *, weights: list[Annotated[float, Field(gt=0)]]) -> None:
        self.weights = np.array(weights)

    def epoch(self, blocks: Blocks, rng: np.random.Generator) -> Blocks:
        """As many blocks as there are."""
        items = np.concatenate(blocks)
        if items.max() >= len(self.weights):
            raise UserError(f"there is no weight for item {items.max()}", hint="give one for each item")
        weights = self.weights[items]
        drawn = rng.choice(items, len(items), p=weights / weights.sum())
        return np.array_split(np.sort(drawn), len(blocks))


def weighted(folder: Path) -> list[SamplerExample]:
    blocks = [np.array([0, 2, 3]), np.array([5, 6])]
    return [SamplerExample(config={"weights": [1, 2, 3, 4, 5, 6, 7]}, blocks=blocks)]


class Labelled(Sampler):
    """All items of one class, another one in each epoch.

    Args:
        field: that holds the classes.
    """

    def __init__(self, *, field: str = "label") -> None:
        self.field = field

    @property
    def fields(self) -> Sequence[str]:
        """The one that holds the classes."""
        return [self.field]

    def bind(self, dataset, indices) -> None:
        """Notes the classes."""
        self.labels = dataset.values(self.field)
        self.classes = np.unique(self.labels[indices])

    def epoch(self, blocks: Blocks, rng: np.random.Generator) -> Blocks:
        """The blocks of an epoch."""
        present = np.unique(self.labels[np.concatenate(blocks)])
        chosen = [block[self.labels[block] == rng.permutation(present)[0]] for block in blocks]
        return [block for block in chosen if len(block)] or blocks


def grains(folder: Path) -> list[SamplerExample]:
    values = {"grain": np.arange(320) % 3}
    return [SamplerExample(), SamplerExample(config={"field": "grain"}, values=values)]


class OneName(Labelled):
    @property
    def fields(self):
        return self.field


class Silent(Labelled):
    @property
    def fields(self):
        return []


class Refusing(Labelled):
    def bind(self, dataset, indices):
        if "weight" not in dataset.fields and "input" in dataset.fields and len(dataset.fields) < 3:
            raise UserError("there is no weight")
        super().bind(dataset, indices)


class LooksAtAll(Labelled):
    def bind(self, dataset, indices):
        super().bind(dataset, indices)
        self.shift = int(self.labels.sum())

    def epoch(self, blocks, rng):
        return [np.roll(block, self.shift) for block in super().epoch(blocks, rng)]


def two_fields(folder: Path) -> list[SamplerExample]:
    values = {"label": np.arange(320) % 3, "weight": np.ones(320, np.float32)}
    return [SamplerExample(values=values)]


class Neighbours(Part):
    def epoch(self, blocks, rng):
        return [np.arange(block[0], block[-1] + 2) for block in super().epoch(blocks, rng)]


class OneBlock(Part):
    def epoch(self, blocks, rng):
        return np.concatenate(super().epoch(blocks, rng)).tolist()


class AtATime(Part):
    def epoch(self, blocks, rng):
        yield from super().epoch(blocks, rng)


class Weights(Part):
    def epoch(self, blocks, rng):
        return [block * 1.0 for block in super().epoch(blocks, rng)]


class Nothing(Part):
    def epoch(self, blocks, rng):
        return [blocks[i] for i in rng.permutation(len(blocks))[: int(self.share * len(blocks))]]


class EmptyBlocks(Part):
    def epoch(self, blocks, rng):
        return [block[: len(block) // 2] for block in super().epoch(blocks, rng)]


class Counting(Part):
    def __init__(self, *, share: float = 0.5) -> None:
        super().__init__(share=share)
        self.count = 0

    def epoch(self, blocks, rng):
        self.count += 1
        return blocks[self.count % len(blocks) :]


class OwnGenerator(Part):
    def epoch(self, blocks, rng):
        return super().epoch(blocks, np.random.default_rng())


class GlobalGenerator(Part):
    def epoch(self, blocks, rng):
        return [blocks[i] for i in np.random.permutation(len(blocks))]


class Shuffling(Part):
    def epoch(self, blocks, rng):
        random.shuffle(chosen := list(super().epoch(blocks, rng)))
        return chosen


class TorchSeeding(Part):
    def epoch(self, blocks, rng):
        torch.manual_seed(int(rng.integers(1000)))
        return [blocks[i] for i in torch.randperm(len(blocks))]


class SeedOfTheRun(Part):
    """Draws its seed where the state of the generator does not move."""

    def epoch(self, blocks, rng):
        return super().epoch(blocks, np.random.default_rng(torch.initial_seed()))


class InPlace(Part):
    def epoch(self, blocks, rng):
        for block in blocks:
            rng.shuffle(block)
        return blocks


class Popping(Part):
    def epoch(self, blocks, rng):
        while len(blocks) > 1 and rng.random() > 0.1:
            blocks.pop()
        return blocks


def nothing(folder: Path) -> list[SamplerExample]:
    return [SamplerExample()]


SOUND = [(Part, nothing), (EverySecond, nothing), (Weighted, weighted), (Labelled, grains)]
MUTANTS = [
    Mutant("check_training_items_alone", Neighbours, r"has item \[\d+\], which is in none of the training blocks"),
    Mutant("check_training_items_alone", OneBlock, "block 0 is int, no NumPy array"),
    Mutant("check_training_items_alone", AtATime, "epoch returned generator, which is no sequence"),
    Mutant("check_training_items_alone", Weights, r"block 0 has shape \(\d+,\) and type float64"),
    Mutant("check_any_number_of_blocks", Nothing, "given one block of one item, its epoch has no item"),
    Mutant("check_any_number_of_blocks", EmptyBlocks, "given one block of one item, its epoch has no item"),
    Mutant("check_depends_on_nothing_else", Counting, "its second epoch is another one than that of a new sampler"),
    Mutant("check_depends_on_nothing_else", OwnGenerator, "built again, with the same rng, it gives another epoch"),
    Mutant("check_no_global_randomness", GlobalGenerator, "changed the state of the global generator of NumPy"),
    Mutant("check_no_global_randomness", Shuffling, "changed the state of the global generator of Python"),
    Mutant("check_no_global_randomness", TorchSeeding, "changed the state of the global generator of torch"),
    Mutant("check_no_global_randomness", SeedOfTheRun, "its epoch depends on the seeds of global generators"),
    Mutant("check_leaves_blocks_alone", InPlace, r"block \d+ was \[.*\] and is \[.*\] after it"),
    Mutant("check_leaves_blocks_alone", Popping, r"it was given 40 blocks and left \d+"),
    Mutant("check_fields", OneName, "fields is 'label', not a sequence of names"),
    Mutant("check_fields", Silent, "bound to data with input alone it refuses them: the data have no field 'label'"),
    Mutant("check_fields", Refusing, "bound to data with input, label alone it refuses them: there is no", two_fields),
    Mutant("check_training_items_decide", LooksAtAll, "its epoch is another one where held-out items have other"),
]
