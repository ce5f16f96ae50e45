"""Training ``joint_vae`` on tables in memory, beside the same training fed by a plain DataLoader of rows.

    python benchmarks/table_training.py DIR [--model default small] [--batch-size 64 256] [--rounds 5] [--unfused]

3,000 samples of 2,168 and 2,731 features: the rows of the tables in DIR/brca_jive drawn with replacement through their
first principal components, with the scatter that these leave, and their features repeated. ``stem run`` trains the
recipe joint-vae on them, without validation and figures. Beside it goes the loop that one would write without a
framework: the same model, losses, optimizer and clipping, noise added to each batch, and a ``DataLoader`` with its
default collation over a data set that returns a dictionary of the rows of one sample, in the process and in two worker
processes that stay. Its rows are imputed and standardized beforehand; ``stem run`` does that to every batch anew.

The two take turns, an epoch each, and are compared round by round: ``loader``, batches alone, and ``training``, with
the steps taken on them. Given are samples a second (medians) and the ratios of ``stem run`` to the other, above 1 where
``stem run`` is faster. Both have PyTorch's fused kernel for the optimizer; with ``--unfused`` the plain loop has the
one that it gets unasked. The small model has hidden layers of 32 and 8 latents: there a step is mostly what goes on
around the arithmetic.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from stemcore import Model, load_recipe
from stemcore.assemble import Parts, assemble
from stemcore.data.fit import fit
from stemcore.progress import Lines, Reporter
from stemcore.trainer import Trainer
from stemcore.trainer.engine import launch
from stemcore.trainer.feed import Feed, keep_in_memory, loader_of
from stemcore.trainer.optim import fuse
from stemcore.trainer.step import Given, Step

SAMPLES, FEATURES, COMPONENTS = 3000, {"a": 2168, "b": 2731}, 32
TABLES = {"a": "expression", "b": "mirna"}
WORKERS = (0, 2)
SIZES = {"default": (), "small": ("model.encoder=[32]", "model.decoder=[32]", "model.latent_dim=8")}
OURS = "stem run"
Batch = dict[str, Tensor]


def write_tables(real: Path, folder: Path) -> list[str]:
    """Writes the tables; returns what a recipe says of them."""
    import pandas as pd

    frames = {p: pd.read_csv(real / f"{name}.csv", index_col=0) for p, name in TABLES.items()}
    values = [frame.loc[frames["a"].index].to_numpy(np.float64) for frame in frames.values()]
    both = np.concatenate([np.where(np.isnan(v), np.nanmean(v, axis=0), v) for v in values], axis=1)
    mean = both.mean(0)
    u, s, v = np.linalg.svd(both - mean, full_matrices=False)
    scores, axes = (u * s)[:, :COMPONENTS], v[:COMPONENTS]
    scatter = (both - mean - scores @ axes).std(0)
    rng = np.random.default_rng(0)
    drawn = scores[rng.integers(len(scores), size=SAMPLES)]
    start, changes = 0, []
    for p, frame in frames.items():
        chosen = start + np.arange(FEATURES[p]) % frame.shape[1]
        start += frame.shape[1]
        rows = mean[chosen] + drawn @ axes[:, chosen] + scatter[chosen] * rng.standard_normal((SAMPLES, len(chosen)))
        table = pd.DataFrame(rows.astype(np.float32), columns=[f"{p}{n}" for n in range(len(chosen))])
        table.insert(0, "sample_id", [f"s{n}" for n in range(SAMPLES)])
        table.to_parquet(folder / f"{p}.parquet")
        changes.append(f"data.train.{p}={folder / f'{p}.parquet'}")
    return changes


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The rows of one sample for each index, as most scripts have it."""

    def __init__(self, tables: Batch) -> None:
        self.tables = tables

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> Batch:
        return {name: table[index] for name, table in self.tables.items()}


class Plain:
    """The loop that one would write without a framework.

    Args:
        parts: whose losses and settings it has.
        model: its own copy.
        tables: imputed and standardized.
        fused: whether its optimizer has the fused kernel.
    """

    def __init__(self, parts: Parts, model: Model, tables: Batch, *, fused: bool) -> None:
        recipe = parts.recipe
        self.step = Step(model, parts)
        self.step.train()
        self.optimizer = recipe.optimizer["default"].component.build(list(model.parameters()))
        if fused:
            fuse(self.optimizer, model)
        self.parameters, self.clip = list(model.parameters()), recipe.trainer.gradient_clip_val
        self.weights = {name: weight(0.0) for name, weight in parts.weights.items()}
        self.noise = float(recipe.document()["data"]["augment"][0]["std"])
        self.loaders = {
            workers: DataLoader(
                Rows(tables),
                recipe.data.batch_size,
                shuffle=True,
                num_workers=workers,
                persistent_workers=workers > 0,
            )
            for workers in WORKERS
        }

    def train(self, batch: Batch) -> None:
        """One step."""
        for p in FEATURES:
            batch[f"target_{p}"] = x = batch[f"input_{p}"]
            batch[f"input_{p}"] = x + self.noise * torch.randn_like(x)
        objectives, _, _ = self.step(Given(batch), self.weights, 0.0)
        self.optimizer.zero_grad()
        objectives[0].backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()


class Rounds:
    """A feed that times an epoch of the plain loop, with each of its loaders, and then what its taker does with its
    own.

    Args:
        feed: of the trainer.
        plain: the other loop.
    """

    def __init__(self, feed: Feed, plain: Plain) -> None:
        self.feed, self.plain = feed, plain
        self.batches_per_epoch = feed.batches_per_epoch
        self.rounds: list[dict[str, float]] = []

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """One round."""
        found = {label(workers): _seconds(loader, self.plain.train) for workers, loader in self.plain.loaders.items()}
        started = time.perf_counter()
        yield from self.feed.batches(epoch)
        found[OURS] = time.perf_counter() - started
        self.rounds.append(found)


def loading(feed: Feed, plain: Plain, rounds: int) -> list[dict[str, float]]:
    """Seconds of an epoch of batches alone, for each loader; the first, in which caches are filled, is left out."""
    found = []
    # They are short: more rounds, for other work on the machine to come out even.
    for epoch in range(3 * rounds + 1):
        seconds = {label(workers): _seconds(loader, lambda _: None) for workers, loader in plain.loaders.items()}
        seconds[OURS] = _seconds(feed.batches(epoch), lambda _: None)
        found.append(seconds)
    return found[1:]


def label(workers: int) -> str:
    """The name of a plain loader."""
    return f"DataLoader, {workers} workers"


def _seconds(batches: Any, use: Callable[[Batch], None]) -> float:
    started = time.perf_counter()
    for batch in batches:
        use(batch)
    return time.perf_counter() - started


def figures(rounds: Sequence[dict[str, float]]) -> dict[str, object]:
    """Samples a second, and the ratios."""
    found: dict[str, dict[str, object]] = defaultdict(dict)
    for name in (OURS, *map(label, WORKERS)):
        found[name]["samples_per_s"] = round(SAMPLES / statistics.median(each[name] for each in rounds))
        if name != OURS:
            ratios = [each[name] / each[OURS] for each in rounds]
            spread = {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}
            found[name]["ratio"] = {part: round(value, 2) for part, value in spread.items()}
    return dict(found)


def measure(changes: Sequence[str], folder: Path, rounds: int, *, fused: bool, profile: bool) -> dict[str, object]:
    """The figures of one model and batch size."""
    fixed = (
        f"trainer.max_epochs={rounds + 1}",
        "trainer.checkpoint.monitor=train/loss",
        "trainer.early_stopping=null",
        "data.val=0",
        "data.test=0",
        "figures=null",
        "metrics=null",
    )
    parts = assemble(load_recipe("joint-vae", [*fixed, *changes]))
    fabric = launch(parts)
    model = parts.build_model()
    pipeline = parts.pipeline.to(fabric.device)
    keep_in_memory(parts, fabric)
    loader = loader_of(parts, fabric)
    fit(pipeline, parts.sources.train, describe={}, loader=loader, reporter=Reporter())
    with torch.no_grad():
        stored = next(iter(loader.ordered(parts.sources.train, SAMPLES)))
        tables = {n: t for n, t in pipeline(stored, checked=True).items() if n.startswith(("input_", "mask_"))}
    plain = Plain(parts, copy.deepcopy(model), tables, fused=fused)
    folder.mkdir()
    (folder / "checkpoints").mkdir()
    loggers = [component.build(folder) for component in parts.recipe.loggers]
    trainer = Trainer(parts, model, fabric, folder, loggers, Lines(io.StringIO()), {})
    loaded = loading(trainer.feed, plain, rounds)
    timed = Rounds(trainer.feed, plain)
    trainer.feed = timed  # type: ignore[assignment]
    if profile:
        _profiled(trainer)
    else:
        trainer.fit()
    return {"loader": figures(loaded), "training": figures(timed.rounds[1:])}


def _profiled(trainer: Trainer) -> None:
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(trainer.fit)
    pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the folder brca_jive is")
    parser.add_argument("--model", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--batch-size", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch's")
    parser.add_argument("--unfused", action="store_true", help="the plain loop's optimizer as it is by default")
    parser.add_argument("--profile", action="store_true", help="a profile of the Python functions, to stderr")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found: dict[str, object] = {"torch": torch.__version__, "threads": options.threads, "fused": not options.unfused}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STEM_CACHE_DIR"] = str(folder / "cache")
        tables = write_tables(options.folder / "brca_jive", folder)
        for size in options.model:
            for batch_size in options.batch_size:
                case = f"{size}, batches of {batch_size}"
                found[case] = measure(
                    [*tables, *SIZES[size], f"data.batch_size={batch_size}"],
                    folder / f"{size}-{batch_size}",
                    options.rounds,
                    fused=not options.unfused,
                    profile=options.profile,
                )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
