"""What a sampler promises."""

from __future__ import annotations

import numpy as np

from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import built
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.randomness import without_global_randomness
from stemcore.testing.subject import Subject
from stemcore.testing.trial_sampler import SEED, SmallFields, bind, bound, data_of, epoch_of, same, some_blocks


@promise("sampler")
def check_training_items_alone(subject: Subject) -> None:
    """Every item of an epoch is one of the training blocks' (some may be left out, others repeated): anything else
    would be trained on what validates, or not be there at all."""
    blocks = some_blocks(subject)
    for seed in range(SEED, SEED + 5):
        chosen = epoch_of(bound(subject), blocks, seed)
        strange = np.setdiff1d(np.concatenate([*chosen, np.empty(0, np.int64)]), np.concatenate(blocks))
        ensure(not len(strange), f"its epoch has item {strange[:1]}, which is in none of the training blocks")


@promise("sampler")
def check_any_number_of_blocks(subject: Subject) -> None:
    """An epoch has at least one item, however few blocks there are: a file may be one chunk, and a trial of a recipe
    trains on a few items."""
    blocks = some_blocks(subject)
    cases = {"one block of one item": [blocks[0][:1]], "one block": blocks[-1:], "two blocks": blocks[:2]}
    for what, given in {**cases, f"{len(blocks)} blocks": blocks}.items():
        for seed in range(SEED, SEED + 3):
            chosen = epoch_of(bound(subject, given), given, seed)
            ensure(sum(len(block) for block in chosen), f"given {what}, its epoch has no item")


@promise("sampler")
def check_depends_on_nothing_else(subject: Subject) -> None:
    """An epoch depends on configuration, data, blocks and ``rng`` alone, not on the epochs before it: a resumed run
    goes on in the same order, and all processes have the same one."""
    blocks = some_blocks(subject)
    sampler = bound(subject)
    first, second = epoch_of(sampler, blocks), epoch_of(sampler, blocks, SEED + 1)
    ensure(same(epoch_of(bound(subject), blocks), first), "built again, with the same rng, it gives another epoch")
    fresh = epoch_of(bound(subject), blocks, SEED + 1)
    ensure(same(fresh, second), "its second epoch is another one than that of a new sampler with the same rng")


@promise("sampler")
def check_no_global_randomness(subject: Subject) -> None:
    """Randomness comes from ``rng`` alone: NumPy's, Python's and torch's global generators are neither used nor
    changed."""
    blocks = some_blocks(subject)
    found = without_global_randomness(lambda: epoch_of(bound(subject), blocks))
    ensure(same(*found), "its epoch depends on the seeds of global generators")


@promise("sampler")
def check_leaves_blocks_alone(subject: Subject) -> None:
    """It changes neither the list of blocks nor their items: the same blocks are given to it in every epoch."""
    blocks = some_blocks(subject)
    given = [block.copy() for block in blocks]
    bound(subject).epoch(given, np.random.default_rng(SEED))
    ensure(len(given) == len(blocks), f"it was given {len(blocks)} blocks and left {len(given)}")
    for number, (seen, block) in enumerate(zip(given, blocks, strict=True)):
        ensure(np.array_equal(seen, block), f"block {number} was {block[:6]} and is {seen[:6]} after it")


@promise("sampler")
def check_fields(subject: Subject) -> None:
    """``fields`` names what it goes by: bound to data that have nothing else it works, and data that lack it are
    refused when a recipe is read, rather than by an error of ``bind``."""
    named = built(subject).fields
    plain = not isinstance(named, str) and all(isinstance(name, str) for name in named)
    ensure(plain, f"fields is {named!r}, not a sequence of names")
    data, blocks = data_of(subject), some_blocks(subject)
    lacking = [name for name in named if name not in data.fields]
    if lacking:
        raise NotApplicable(f"it goes by '{lacking[0]}': give an example with its 'values'")
    alone = SmallFields(len(data), {name: data.held[name] for name in named if name != "input"})
    sampler = built(subject)
    try:
        sampler.bind(alone, np.sort(np.concatenate(blocks)))
    except UserError as error:
        raise Broken(f"bound to data with {', '.join(alone.fields)} alone it refuses them: {error}") from error
    except Exception as error:
        raise Broken(f"bound to data with {', '.join(alone.fields)} alone it raised {cause_of(error)}") from error
    epoch_of(sampler, blocks)


@promise("sampler")
def check_training_items_decide(subject: Subject) -> None:
    """What ``bind`` takes from the data is of training items alone: an epoch is the same whatever the held-out ones
    have in their fields."""
    data, blocks = data_of(subject), some_blocks(subject)
    held_out = np.setdiff1d(np.arange(len(data)), np.concatenate(blocks))
    if not len(held_out):
        raise NotApplicable("all items of its example are trained on")
    other = {name: held.copy() for name, held in data.held.items() if name != "input"}
    for held in other.values():
        held[held_out] = held[np.concatenate(blocks)[0]]
    epochs = []
    for values in ({name: data.held[name] for name in other}, other):
        sampler = built(subject)
        bind(sampler, SmallFields(len(data), values), blocks)
        epochs.append(epoch_of(sampler, blocks))
    ensure(same(*epochs), "its epoch is another one where held-out items have other values: it looks at them")
