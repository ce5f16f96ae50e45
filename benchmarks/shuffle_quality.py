"""How well block shuffling mixes a file, beside a full shuffle and beside a file read in order.

python benchmarks/shuffle_quality.py

Three figures of an epoch of batches: the mean distance in the file between neighbours in a batch, over that of a full
shuffle; the number of items in a batch that come from the same block as another item of it, over the batch size; and
the share of the commonest of ten classes in a batch, where the file is sorted by class (a full shuffle has about 0.14
at 128 items).
"""

from __future__ import annotations

import numpy as np

from stemcore.data.order import plan_epoch

ITEMS, BLOCK, BATCH, ITEM_BYTES = 65_536, 16, 128, 8192
CLASSES = 10


def main() -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    rows = {"file order": np.arange(ITEMS), "full shuffle": rng.permutation(ITEMS)}
    blocks = np.array_split(np.arange(ITEMS), ITEMS // BLOCK)
    for windows in (1, 4, 16, 64):
        buffer = windows * BLOCK * ITEM_BYTES * 8
        epoch = plan_epoch(blocks, seed=1, epoch=0, item_bytes=ITEM_BYTES, buffer_bytes=buffer)
        rows[f"{windows * 8} blocks in memory ({buffer / 2**20:.0f} MB)"] = epoch.sequence()
    print(f"{ITEMS:,} items, blocks of {BLOCK}, batches of {BATCH}")
    for name, order in rows.items():
        distance, together, share = figures(order)
        print(f"{name:32} neighbours {distance:5.3f}   same block {together:5.3f}   commonest class {share:5.3f}")


def figures(order: np.ndarray) -> tuple[float, float, float]:
    """The three figures of an order of the items."""
    batches = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
    distance = np.abs(np.diff(batches, axis=1)).mean() / (ITEMS / 3)
    sizes = [np.unique(batch // BLOCK, return_counts=True)[1] for batch in batches]
    together = np.mean([counts[counts > 1].sum() / BATCH for counts in sizes])
    classes = batches * CLASSES // ITEMS
    share = np.mean([np.bincount(batch, minlength=CLASSES).max() / BATCH for batch in classes])
    return float(distance), float(together), float(share)


if __name__ == "__main__":
    main()
