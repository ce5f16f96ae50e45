"""What a training step costs beside a bare PyTorch loop over the same batches in memory.

    python benchmarks/step_overhead.py [--device cuda] [--rounds 7] [--case trivial quick-mse quick]

Three cases: ``trivial``, a linear layer of 16 x 16 under ``mse`` with default settings (one thread: the cost of
Python); ``quick-mse``, the model, optimizer, schedule and clipping of ``stem4d-quick`` under ``mse``, without
augmentation; and ``quick``, that recipe as it is. The bare loop has the same model, memory format, optimizer, schedule
and clipping, and calls the same augmentation, transforms and likelihood by hand; it logs nothing and looks for nothing.

The trainer is that of ``stem run``, with its callbacks, loggers and progress. Only the loader is left out: both loops
take the same stored batches, read before, on the device (the loader has benchmarks of its own). Each epoch is a round
of both loops, one after the other; reported are medians, and the medians of the rounds' ratios and differences.
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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stemcore import DataSpec, FieldSpec, Model, hookimpl, load_recipe
from stemcore.assemble import Parts, assemble
from stemcore.data.fit import fit
from stemcore.progress import Lines, Reporter
from stemcore.trainer import Trainer
from stemcore.trainer.engine import channels_last, launch
from stemcore.trainer.feed import loader_of
from stemcore.trainer.optim import fuse

WIDTH, BATCH, BATCHES = 16, 64, 500
NAME = "step_overhead"
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


class Trivial(Model):
    """A linear layer, for a step that is nothing but overhead."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.layer = nn.Linear(WIDTH, WIDTH)

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction``."""
        return {"prediction": FieldSpec("prediction", (1, WIDTH, 1), like="input")}

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """(n, 1, WIDTH, 1) to the same."""
        return {"prediction": self.layer(input.flatten(1)).view_as(input)}


@hookimpl
def stem_models() -> dict[str, str]:
    """The trivial model."""
    return {"trivial": f"{NAME}:Trivial"}


def installed(folder: Path) -> None:
    """Makes this script a plugin, whose model a recipe may name."""
    information = folder / "step_overhead-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: step-overhead\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[stemcore]\noverhead = {NAME}\n")
    sys.path[:0] = [str(folder), str(Path(__file__).parent)]


def trivial(folder: Path, device: str, rounds: int) -> Parts:
    """A linear layer on vectors."""
    rng = np.random.default_rng(0)
    np.save(folder / "vectors.npy", rng.random((BATCHES * BATCH, 1, WIDTH, 1), dtype=np.float32))
    document = {
        "name": "trivial",
        "data": {"train": {"type": "tensor", "path": str(folder / "vectors.npy")}, "val": 0, "batch_size": BATCH},
        "model": "trivial",
        "losses": {"mse": {}},
        "trainer": {"max_epochs": rounds, "checkpoint": {"monitor": "train/loss"}},
        "backend": device,
    }
    return assemble(load_recipe(document))


def quick(folder: Path, device: str, rounds: int, *changes: str) -> Parts:
    """``stem4d-quick`` without validation and figures, neither of which belongs to a step."""
    fixed = (f"trainer.max_epochs={rounds}", "trainer.checkpoint.monitor=train/loss", "data.val=0", f"backend={device}")
    return assemble(load_recipe("stem4d-quick", [*fixed, "figures=null", "metrics=null", *changes]))


def quick_mse(folder: Path, device: str, rounds: int) -> Parts:
    """Its model, optimizer and schedule alone."""
    return quick(folder, device, rounds, "losses.poisson_nll=null", "losses.mse.weight=1", "data.augment=[]")


CASES: dict[str, Callable[[Path, str, int], Parts]] = {"trivial": trivial, "quick-mse": quick_mse, "quick": quick}


class Bare:
    """The loop that one would write without a framework.

    Args:
        parts: whose components it calls.
        model: its own copy.
        steps: of all rounds together, for the schedule.
        device: where the batches are.
    """

    def __init__(self, parts: Parts, model: Model, steps: int, device: torch.device) -> None:
        recipe = parts.recipe
        self.model = model.to(device)
        self.layout = torch.channels_last if channels_last(parts) else torch.contiguous_format
        self.model.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.optimizer = recipe.optimizer["default"].component.build(list(self.model.parameters()))
        fuse(self.optimizer, self.model)
        self.scheduler = recipe.scheduler.build(self.optimizer, steps) if recipe.scheduler is not None else None
        self.by_step = getattr(self.scheduler, "interval", "epoch") == "step"
        self.clip = recipe.trainer.gradient_clip_val
        chain = parts.pipeline.chain("input")
        assert chain is not None
        self.chain, self.augmentations = chain, parts.pipeline.augmentations
        self.likelihood, self.nll = parts.losses[0].component, parts.losses[0].name == "poisson_nll"
        self.generator = torch.Generator(device)

    def step(self, stored: dict[str, Tensor]) -> None:
        """One step."""
        with torch.no_grad():
            x = stored["input"].float()
            y = x
            for augmentation in self.augmentations:
                halves = augmentation({"input": x, "target": y}, self.generator)
                x, y = halves["input"], halves["target"]
            given = self.chain(x).contiguous(memory_format=self.layout)
            target = y if self.nll else given
        prediction = self.model(input=given)["prediction"]
        if self.nll:
            loss = self.likelihood(self.chain.inverse(prediction), target)
        else:
            loss = nn.functional.mse_loss(prediction, target)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        if self.by_step:
            self.scheduler.step()


class Rounds:
    """A feed of batches in memory that times what its taker does with them, and the bare loop before it.

    Args:
        batches: as stored, on the device.
        bare: the other loop.
        device: waited for at both ends of a round.
        clock: seconds.
    """

    def __init__(
        self, batches: list[dict[str, Tensor]], bare: Bare, device: torch.device, clock: Callable[[], float]
    ) -> None:
        self.stored, self.bare, self.device, self.clock = batches, bare, device, clock
        self.batches_per_epoch = len(batches)
        self.seconds: list[tuple[float, float]] = []

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, Tensor]]:
        """One round."""
        bare = self._timed(self._bare)
        yield from self.stored[:2]  # for whatever an epoch's first step does once
        started = self._now()
        yield from self.stored[2:]
        took = (self._now() - started) / (len(self.stored) - 2)
        self.seconds.append((bare / len(self.stored), took))

    def _bare(self) -> None:
        for stored in self.stored:
            self.bare.step(stored)

    def _timed(self, act: Callable[[], None]) -> float:
        started = self._now()
        act()
        return self._now() - started

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock()


def measure(
    case: str, device: str, rounds: int, folder: Path, *, clock: Callable[[], float], profile: bool
) -> dict[str, float]:
    """The figures of a case, in microseconds per step."""
    parts = CASES[case](folder, device, rounds + 1)
    fabric = launch(parts)
    model = parts.build_model()
    pipeline = parts.pipeline.to(fabric.device)
    fit(pipeline, parts.sources.train, describe={}, loader=loader_of(parts, fabric), reporter=Reporter())
    own = copy.deepcopy(model)
    directory = folder / case
    directory.mkdir()
    loggers = [component.build(directory) for component in parts.recipe.loggers]
    trainer = Trainer(parts, model, fabric, directory, loggers, Lines(io.StringIO()), {})
    stored = list(trainer.feed.batches(0))
    bare = Bare(parts, own, len(stored) * (rounds + 1), fabric.device)
    timed = Rounds(stored, bare, fabric.device, clock)
    trainer.feed = timed  # type: ignore[assignment]
    if profile:
        _profiled(trainer)
    else:
        trainer.fit()
    pairs = timed.seconds[1:]
    spread = sorted(1e6 * (ours - theirs) for theirs, ours in pairs)
    return {
        "bare_us": round(1e6 * statistics.median(b for b, _ in pairs), 1),
        "stem_us": round(1e6 * statistics.median(t for _, t in pairs), 1),
        "more_us": round(statistics.median(spread), 1),
        "more_us_least": round(spread[0], 1),
        "ratio": round(statistics.median(t / b for b, t in pairs), 3),
        "steps_per_round": len(stored),
    }


def _profiled(trainer: Trainer) -> None:
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(trainer.fit)
    pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="a backend: cpu, cuda, mps")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="for all but trivial")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: time of the processor, if it is shared"
    )
    parser.add_argument("--profile", action="store_true", help="a profile of the Python functions, to stderr")
    options = parser.parse_args()
    found: dict[str, Any] = {"torch": torch.__version__, "device": options.device, "threads": options.threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STEM_CACHE_DIR"] = str(folder / "cache")
        installed(folder)
        for case in options.case:
            torch.set_num_threads(1 if case == "trivial" else options.threads)
            found[case] = measure(
                case, options.device, options.rounds, folder, clock=CLOCKS[options.clock], profile=options.profile
            )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
