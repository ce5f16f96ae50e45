"""A file sorted by class trains nearly as well as a shuffled one, since block shuffling mixes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import stemcore.trainer.feed as feed
from stemcore import run
from stemcore.data.order import Epoch, Window
from stemcore.progress import reporter
from tests.conftest import bundled_patterns

QUIET = reporter(quiet=True)


def in_file_order(blocks: list[np.ndarray], **settings: Any) -> Epoch:
    windows = [Window((block,), np.arange(len(block))) for block in blocks]
    return Epoch([windows], sum(map(len, blocks)))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Patterns sorted by grain, the same in random order, and others to judge by."""
    from importlib.resources import files as resources

    with h5py.File(str(resources("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as file:
        labels = file["labels"][()].reshape(-1)
    patterns, rng = bundled_patterns(), np.random.default_rng(0)
    held_out = rng.permutation(len(patterns))[:256]
    rest = np.setdiff1d(np.arange(len(patterns)), held_out)
    orders = {"sorted": rest[np.argsort(labels[rest], kind="stable")], "shuffled": rng.permutation(rest)}
    found = {}
    for name, items in {**orders, "held_out": held_out}.items():
        found[name] = tmp_path / f"{name}.h5"
        with h5py.File(found[name], "w") as file:
            file.create_dataset("patterns", data=patterns[items], chunks=(16, 16, 16), compression="gzip")
    return found


def held_out_loss(recipe: dict[str, Any], train: Path, val: Path, out: Path) -> float:
    recipe["data"]["train"] = {"type": "hdf5", "path": str(train)}
    recipe["data"]["val"] = {"type": "hdf5", "path": str(val)}
    done = run(recipe, output=out, reporter=QUIET)
    return float(done.summary["final"]["val/loss"])


@pytest.mark.parametrize("seeds", [(1,), pytest.param((1, 2, 3), marks=pytest.mark.slow)], ids=["one", "mean"])
def test_a_file_sorted_by_class_trains_nearly_as_well_as_a_shuffled_one(
    small: Callable[..., dict[str, Any]],
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seeds: tuple[int, ...],
) -> None:
    """With half of the patterns in the buffer; read in order, the sorted file trains much worse."""
    losses: dict[str, list[float]] = {"sorted": [], "shuffled": [], "unmixed": []}
    for seed in seeds:
        settings = {"batch_size": 32, "cache": "none", "shuffle_buffer_mb": 0.26}
        recipe = small(seed=seed, data=settings, trainer={"max_epochs": 10})
        for name in ("sorted", "shuffled"):
            losses[name].append(held_out_loss(recipe, files[name], files["held_out"], tmp_path / f"{name}{seed}"))
        with monkeypatch.context() as patch:
            patch.setattr(feed, "plan_epoch", in_file_order)
            out = tmp_path / f"unmixed{seed}"
            losses["unmixed"].append(held_out_loss(recipe, files["sorted"], files["held_out"], out))
    mean = {name: float(np.mean(values)) for name, values in losses.items()}
    assert mean["sorted"] < 1.12 * mean["shuffled"]
    assert mean["unmixed"] > 1.4 * mean["shuffled"], "the classes do not differ enough for this test to mean anything"
