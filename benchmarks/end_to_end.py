"""Training from a compressed file, beside the same training on data that are in memory already.

    python benchmarks/end_to_end.py [--recipe stem4d] [--device cuda] [--rounds 5] [--steps 10] [--cache none]

One run, with all its callbacks. Every epoch is a round: some steps on batches read from the file (gzip, chunks of 16
patterns of 128 x 128 uint16), then as many on batches in memory; reported are steps per second and the ratio of the two
in each round. With ``--cache device`` or ``host`` the first of the two is that cache, filled before.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from data_files import GZIP, write
from torch import Tensor

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.data.fit import fit
from stemcore.progress import Lines, Reporter
from stemcore.trainer import Trainer
from stemcore.trainer.engine import launch
from stemcore.trainer.feed import Feed, keep_in_memory, loader_of

PATTERNS = 8192
WARM_UP = 3


class Rounds:
    """A feed that times the steps taken on its batches: from where ``feed`` has them, then from memory."""

    def __init__(self, feed: Feed, steps: int, device: torch.device) -> None:
        self.feed, self.steps, self.device = feed, steps, device
        self.batches_per_epoch = 2 * (WARM_UP + steps)
        self.held = list(islice(feed.batches(0), WARM_UP + steps))
        self.seconds: list[tuple[float, float]] = []

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """One round."""
        read = self.feed.batches(epoch)
        streamed = yield from self._timed(read)
        read.close()  # type: ignore[attr-defined]
        held = yield from self._timed(iter(self.held))
        self.seconds.append((streamed, held))

    def _timed(self, batches: Iterator[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
        yield from islice(batches, WARM_UP)
        started = self._now()
        yield from islice(batches, self.steps)
        return (self._now() - started) / self.steps

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="stem4d")
    parser.add_argument("--device", default="cpu", help="a backend: cpu, cuda, mps")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--cache", default="none", choices=["none", "host", "device"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STEM_CACHE_DIR"] = str(folder / "cache")
        write(folder / "scan.h5", PATTERNS, 128, dense=False, chunks=(16, 128, 128), **GZIP)
        found = measure(folder, options)
    print(json.dumps(found, indent=2))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """The figures."""
    changes = [
        f"data.train.path={folder / 'scan.h5'}",
        f"data.cache={options.cache}",
        "data.val=0",
        f"trainer.max_epochs={options.rounds + 1}",
        "trainer.checkpoint.monitor=train/loss",
        f"backend={options.device}",
        "figures=null",
        "metrics=null",
    ]
    parts = assemble(load_recipe(options.recipe, changes))
    fabric = launch(parts)
    model = parts.build_model()
    pipeline = parts.pipeline.to(fabric.device)
    keep_in_memory(parts, fabric)
    fit(pipeline, parts.sources.train, describe={}, loader=loader_of(parts, fabric), reporter=Reporter())
    trainer = Trainer(parts, model, fabric, folder, [], Lines(io.StringIO()), {})
    timed = Rounds(trainer.feed, options.steps, fabric.device)
    trainer.feed = timed  # type: ignore[assignment]
    (folder / "checkpoints").mkdir(exist_ok=True)
    trainer.fit()
    pairs = timed.seconds[1:]
    ratios = [round(held / streamed, 3) for streamed, held in pairs]
    return {
        "recipe": options.recipe,
        "device": options.device,
        "cache": options.cache,
        "steps_per_s": round(1 / statistics.median(s for s, _ in pairs), 2),
        "in_memory_per_s": round(1 / statistics.median(h for _, h in pairs), 2),
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }


if __name__ == "__main__":
    main()
