"""The batches of an epoch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning_fabric import Fabric

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.plugins.catalogue import catalogue
from stemcore.trainer.feed import Feed

SAMPLER = '''
from stemcore import Sampler, hookimpl

class Growing(Sampler):
    """A random number of the blocks."""

    def epoch(self, blocks, rng):
        return blocks[: int(rng.integers(1, len(blocks) + 1))]

@hookimpl
def stem_samplers():
    return {"uneven": "uneven_sampler:Growing"}
'''


@pytest.fixture
def uneven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an installed sampler whose epochs differ in length."""
    (tmp_path / "uneven_sampler.py").write_text(SAMPLER)
    information = tmp_path / "uneven-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: uneven\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[stemcore]\nuneven = uneven_sampler\n")
    monkeypatch.syspath_prepend(tmp_path)
    catalogue.cache_clear()
    yield "uneven"
    sys.modules.pop("uneven_sampler", None)
    catalogue.cache_clear()


def test_epochs_of_a_sampler_are_cut_to_the_shortest(small: Callable[..., dict[str, Any]], uneven: str) -> None:
    recipe = small(data={"sampler": uneven, "batch_size": 16}, trainer={"max_epochs": 6})
    feed = Feed(assemble(load_recipe(recipe)), Fabric(accelerator="cpu", devices=1))
    planned = [len(feed._plan(epoch)) for epoch in range(6)]
    assert len(set(planned)) > 1
    counts = [sum(1 for _ in feed.batches(epoch)) for epoch in range(6)]
    assert set(counts) == {feed.batches_per_epoch} == {min(planned) // 16}
