"""Shuffled epochs over files in the layouts that detectors and programs write, beside the ways to read them that people
use, each pair alternating within one run.

    python benchmarks/data_engine.py [--rounds 5] [--only gzip_dense ...] [--megabytes 512] [--json]

- ``map-style``: a dataset that reads one pattern for each index, under PyTorch's shuffling DataLoader, two processes.
- ``in order``: decoding every chunk once, in storage order, in as many threads as the epoch, and doing nothing else.
- ``h5py``: reading the whole set with h5py, 256 patterns at a time, in order.
- ``random access``: h5py, one pattern at a time in random order.

The slow ones are measured over part of the set (some seconds). Given are patterns a second (medians) and
the ratio of the shuffled epoch to the other in each round (median and range).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters
import numpy as np
import torch
from data_files import BITSHUFFLE, GZIP, write

from stemcore.component.dataset import Dataset
from stemcore.data.assembly import Scratch
from stemcore.data.loader import Loader
from stemcore.data.memory import cores
from stemcore.data.order import plan_epoch
from stemcore.data.source import whole
from stemcore.data.tensors import item_bytes
from stemcore.plugins import catalogue

BATCH = 128
SECONDS = 3.0


@dataclass(frozen=True)
class Case:
    """A file, what its shuffled epoch is compared with, and the ratio that is wanted."""

    size: int
    dense: bool
    chunks: tuple[int, ...] | None
    filters: dict[str, object]
    wanted: dict[str, float]


CASES = {
    "gzip_sparse": Case(128, False, (16, 128, 128), GZIP, {"map-style": 7.0, "in order": 0.8}),
    "gzip_dense": Case(256, True, (16, 256, 256), GZIP, {"map-style": 7.0, "in order": 0.8}),
    "bitshuffle": Case(256, True, (1, 256, 256), BITSHUFFLE, {"h5py": 0.9}),
    "contiguous": Case(256, True, None, {}, {"h5py": 0.9}),
    "hyperspy": Case(128, False, (32, 64, 128, 128), {"compression": "gzip"}, {"random access": 300.0}),
}


class MapStyle(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """One pattern for each index, as most scripts have it."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.shape = file["patterns"].shape

    def __len__(self) -> int:
        return int(np.prod(self.shape[:-2]))

    def __getitem__(self, index: int) -> np.ndarray:
        if self.file is None:
            self.file = h5py.File(self.path)["patterns"]
        where = np.unravel_index(index, self.shape[:-2])
        pattern: np.ndarray = self.file[tuple(int(i) for i in where)]
        return pattern


def shuffled_epoch(dataset: Dataset, epoch: int, loader: Loader) -> float:
    """Patterns a second of an epoch of batches in host memory."""
    blocks, each = dataset.blocks(), item_bytes(dataset)
    plan = plan_epoch(blocks, seed=0, epoch=epoch, item_bytes=each, buffer_bytes=loader.buffer_bytes)
    started, seen = time.perf_counter(), 0
    for batch in loader.epoch(whole(dataset), plan, BATCH):
        seen += len(batch["index"])
    return seen / (time.perf_counter() - started)


def in_order(dataset: Dataset) -> float:
    """Patterns a second of decoding all blocks, in as many threads as an epoch, each into its own memory."""
    blocks = iter(dataset.blocks())
    lock = threading.Lock()

    def work() -> None:
        scratch = Scratch(dataset)
        while True:
            with lock:
                block = next(blocks, None)
            if block is None:
                return
            dataset.read_into(block, scratch.take(len(block)))

    largest = max(map(len, dataset.blocks())) * item_bytes(dataset)
    threads = [threading.Thread(target=work) for _ in range(Loader().threads(dataset, largest))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(dataset) / (time.perf_counter() - started)


def map_style(path: Path) -> float:
    """Patterns a second of the shuffling DataLoader, its start left out."""
    loader = torch.utils.data.DataLoader(MapStyle(path), BATCH, shuffle=True, num_workers=2)
    batches = iter(loader)
    next(batches)
    return _paced(batches, len)


def h5py_whole(path: Path) -> float:
    """Patterns a second of reading everything in order."""
    with h5py.File(path) as file:
        patterns = file["patterns"]
        started = time.perf_counter()
        for start in range(0, len(patterns), 256):
            patterns[start : start + 256]
        return len(patterns) / (time.perf_counter() - started)


def random_access(path: Path) -> float:
    """Patterns a second, one at a time."""
    dataset = MapStyle(path)
    order = np.random.default_rng(0).permutation(len(dataset))
    dataset[int(order[0])]
    return _paced((dataset[int(i)] for i in order[1:]), lambda pattern: 1)


def _paced(items: object, count: Callable[[object], int]) -> float:
    started, seen = time.perf_counter(), 0
    for item in items:  # type: ignore[attr-defined]
        seen += count(item)
        if time.perf_counter() - started > SECONDS:
            break
    return seen / (time.perf_counter() - started)


def measure(case: Case, folder: Path, megabytes: float, rounds: int) -> dict[str, object]:
    """The figures of one case."""
    count = int(megabytes * 1e6 / (case.size**2 * 2)) // 2048 * 2048
    path = write(folder / "scan.h5", count, case.size, dense=case.dense, chunks=case.chunks, **case.filters)
    dataset = catalogue().load(catalogue().find("dataset", "hdf5"))(path=path)
    others: dict[str, Callable[[], float]] = {
        "map-style": lambda: map_style(path),
        "in order": lambda: in_order(dataset),
        "h5py": lambda: h5py_whole(path),
        "random access": lambda: random_access(path),
    }
    mine: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in case.wanted}
    loader = Loader()
    shuffled_epoch(dataset, 99, loader)  # the page cache is warm for everyone, and the loader's memory is there
    for number in range(rounds):
        mine.append(shuffled_epoch(dataset, number, loader))
        for name, found in theirs.items():
            found.append(others[name]())
    dataset.close()
    return {
        "patterns": count,
        "megabytes": round(path.stat().st_size / 1e6),
        "epoch_per_s": statistics.median(mine),
        "against": {
            name: {"per_s": statistics.median(found), "wanted": case.wanted[name], **_ratios(mine, found)}
            for name, found in theirs.items()
        },
    }


def _ratios(mine: list[float], theirs: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    return {"ratio": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--megabytes", type=float, default=512.0, help="of decoded patterns in each file")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(CASES[name], Path(folder), options.megabytes, options.rounds)
        if not options.json:
            _say(name, results[name])
    if options.json:
        print(json.dumps({"threads": cores(), "cases": results}, indent=2))


def _say(name: str, found: dict[str, object]) -> None:
    print(
        f"{name}: {found['patterns']} patterns, {found['megabytes']} MB, {found['epoch_per_s']:.0f} patterns/s shuffled"
    )
    against: dict[str, dict[str, float]] = found["against"]  # type: ignore[assignment]
    for other, f in against.items():
        print(
            f"    {other:14} {f['per_s']:9.0f} patterns/s   "
            f"ratio {f['ratio']:7.2f} ({f['min']:.2f} to {f['max']:.2f}), wanted {f['wanted']:g}"
        )


if __name__ == "__main__":
    main()
