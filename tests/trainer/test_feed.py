"""The batches of an epoch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from lightning_fabric import Fabric

from stemcore import UserError, load_recipe, run
from stemcore.assemble import assemble
from stemcore.plugins.catalogue import catalogue
from stemcore.trainer.feed import Feed
from tests.conftest import bundled_patterns

SAMPLER = '''
import numpy as np
from stemcore import Sampler, UserError, hookimpl

class Growing(Sampler):
    """A random number of the blocks."""

    def epoch(self, blocks, rng):
        return blocks[: int(rng.integers(1, len(blocks) + 1))]

class ByLabel(Sampler):
    """Items of the greatest label."""

    bindings = []

    def __init__(self, *, field: str = "label"):
        self.field = field

    @property
    def fields(self):
        return [self.field]

    def bind(self, dataset, indices):
        self.bindings.append(indices)
        labels = dataset.values(self.field)
        if labels.max() > 90:
            raise UserError("label 91 is too great")
        self.wanted = indices[labels[indices] == labels[indices].max()]

    def epoch(self, blocks, rng):
        return [block for block in (b[np.isin(b, self.wanted)] for b in blocks) if len(block)]

@hookimpl
def stem_samplers():
    return {"uneven": "uneven_sampler:Growing", "by_label": "uneven_sampler:ByLabel"}
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


def labelled(small: Callable[..., dict[str, Any]], path: Path, labels: np.ndarray, **sampler: Any) -> dict[str, Any]:
    """A recipe whose items have labels, beside their patterns in a file."""
    with h5py.File(path, "w") as file:
        file["patterns"] = bundled_patterns()[: len(labels)]
        file["labels"] = labels
    train = {"type": "hdf5", "path": str(path), "dataset": "patterns", "labels": "labels"}
    recipe = small(data={"train": train, "sampler": {"type": "by_label", **sampler}, "batch_size": 8})
    recipe["data"]["transforms"] = {"input": [{"type": "log1p"}]}
    return recipe


@pytest.mark.usefixtures("uneven")
def test_a_sampler_sees_the_data_once_before_the_first_epoch(
    small: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    labels = np.arange(96) % 3
    parts = assemble(load_recipe(labelled(small, tmp_path / "labelled.h5", labels)))
    feed = Feed(parts, Fabric(accelerator="cpu", devices=1))
    seen = [[int(i) for rows in feed.batches(epoch) for i in rows["index"]] for epoch in (0, 1)]
    assert sys.modules["uneven_sampler"].ByLabel.bindings[0].tolist() == parts.sources.train.indices.tolist()
    assert len(sys.modules["uneven_sampler"].ByLabel.bindings) == 1
    assert set(seen[0]) == set(seen[1]) == set(parts.sources.train.indices[labels[parts.sources.train.indices] == 2])
    assert seen[0] != seen[1]


@pytest.mark.usefixtures("uneven")
def test_a_sampler_that_cannot_go_by_the_data_is_refused(small: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    recipe = labelled(small, tmp_path / "labelled.h5", np.arange(96), field="lable")
    with pytest.raises(UserError, match=r"the data have no field 'lable', which the sampler goes by; did you mean"):
        assemble(load_recipe(recipe))
    recipe["data"]["sampler"] = "by_label"
    with pytest.raises(UserError, match="label 91 is too great"):
        run(recipe, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
