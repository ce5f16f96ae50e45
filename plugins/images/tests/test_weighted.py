"""Drawing by class: how often, from which blocks, and in a run."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from stem_images.weighted import Weighted

from stemcore import Dataset, FieldSpec, UserError

MANIFEST = (
    Path(__file__).resolve().parents[3].parent / "shared" / "data" / "images" / "dsb2018_nuclei_128" / "labels.csv"
)


class Labelled(Dataset):
    """Items of which only the label matters."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        shape = self.labels.shape[1:]
        return {"input": FieldSpec("input", (1,)), "label": FieldSpec("label", shape, self.labels.dtype.name)}

    def read(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {"input": np.zeros((len(indices), 1), np.float32), "label": self.labels[indices]}


def modalities() -> tuple[np.ndarray, np.ndarray]:
    """The class of each shared image, and which ones are trained on."""
    if not MANIFEST.is_file():
        pytest.skip("needs ../shared/data/images")
    with MANIFEST.open() as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["modality"] for row in rows})
    labels = np.array([names.index(row["modality"]) for row in rows])
    return labels, np.flatnonzero([row["split"] == "train" for row in rows])


def bound(labels: np.ndarray, items: np.ndarray | None = None, **config: object) -> Weighted:
    sampler = Weighted(**config)
    sampler.bind(Labelled(labels), np.arange(len(labels)) if items is None else items)
    return sampler


def expected(labels: np.ndarray, least: float, most: float) -> np.ndarray:
    """The probability that a drawn item is of each class, by a weight for each item."""
    with_class = labels[labels >= 0]
    counts = {int(c): int((with_class == c).sum()) for c in with_class}
    weight = {c: min(max(len(with_class) / (len(counts) * n), least), most) for c, n in counts.items()}
    item = np.array([1.0 if c < 0 else weight[int(c)] for c in labels])
    kinds = np.unique(labels)
    return np.array([item[labels == c].sum() for c in kinds]) / item.sum()


@pytest.mark.parametrize(("least", "most"), [(1.0, 20.0), (0.01, 100.0), (1.0, 3.0)])
def test_classes_are_drawn_as_often_as_their_weights_say(least: float, most: float) -> None:
    labels, items = modalities()
    sampler = bound(labels, items, minimum=least, maximum=most, length=2000)
    blocks = np.array_split(items, 9)
    drawn = np.concatenate([b for seed in range(20) for b in sampler.epoch(blocks, np.random.default_rng(seed))])
    assert len(drawn) == 20 * 2000
    shares = expected(labels[items], least, most)
    seen = np.bincount(labels[drawn])
    assert stats.chisquare(seen, shares * len(drawn)).pvalue > 0.01
    if least < 1 and most == 100:
        np.testing.assert_allclose(shares, 0.25)  # without bounds all classes are equal
    uniform = np.bincount(labels[items]) / len(items)
    assert stats.chisquare(seen, uniform * len(drawn)).pvalue < 1e-6
    # Within a class each item is as likely as any other.
    rare = items[labels[items] == 0]
    times = np.array([(drawn == item).sum() for item in rare])
    assert stats.chisquare(times).pvalue > 0.01


def test_items_without_a_class_have_the_weight_one() -> None:
    labels = np.repeat([0, 1, -1, -5], [600, 60, 200, 100])
    sampler = bound(labels, length=50_000)
    drawn = np.concatenate(sampler.epoch(np.array_split(np.arange(960), 4), np.random.default_rng(3)))
    seen = np.array([(labels[drawn] == c).sum() for c in (0, 1, -1, -5)])
    # 660 items of two classes: the weights are 660 / 1200, raised to 1, and 660 / 120.
    shares = np.array([600 * 1.0, 60 * 5.5, 200.0, 100.0])
    assert stats.chisquare(seen, shares / shares.sum() * len(drawn)).pvalue > 0.01


def test_an_epoch_stays_in_the_blocks_and_none_grows() -> None:
    labels = np.repeat([0, 1], [900, 12])
    blocks = [b.astype(np.int32) for b in np.array_split(np.arange(912), 19)]
    chosen = bound(labels).epoch(blocks, np.random.default_rng(0))
    assert sum(map(len, chosen)) == 912
    home = np.concatenate([np.full(len(b), k) for k, b in enumerate(blocks)])
    assert all(len(set(home[block])) == 1 for block in chosen)
    assert all(1 <= len(block) <= len(blocks[home[block[0]]]) for block in chosen)
    assert all((np.diff(block) >= 0).all() for block in chosen)  # read in the order of storage
    assert (labels[np.concatenate(chosen)] == 1).sum() > 100  # 12 of 912 by themselves


def test_an_epoch_is_as_long_as_it_is_asked_to_be() -> None:
    labels = np.arange(40) % 4
    blocks = np.array_split(np.arange(40), 4)
    assert sum(map(len, bound(labels).epoch(blocks, np.random.default_rng(0)))) == 40
    assert sum(map(len, bound(labels, length=7).epoch(blocks, np.random.default_rng(0)))) == 7


def test_classes_of_held_out_items_alone_are_no_trouble() -> None:
    labels = np.array([0, 0, 0, 1, 7, 7])
    sampler = bound(labels, np.arange(4))
    drawn = np.concatenate(sampler.epoch([np.arange(4)], np.random.default_rng(0)))
    assert set(drawn) <= {0, 1, 2, 3}


def test_what_cannot_be_gone_by_is_refused() -> None:
    with pytest.raises(UserError, match="minimum 3 is greater than maximum 2"):
        Weighted(minimum=3.0, maximum=2.0)
    with pytest.raises(UserError, match="no training item has a class in 'label'"):
        bound(np.array([0, 1, -1, -1]), np.array([2, 3]))
    with pytest.raises(UserError, match=r"'label' is float32 of shape \(\) for each item"):
        bound(np.zeros(4, np.float32))
    with pytest.raises(UserError, match=r"'label' is int64 of shape \(2,\)"):
        bound(np.zeros((4, 2), np.int64))
    with pytest.raises(UserError, match="the data have no field 'lable'; did you mean 'label'"):
        bound(np.zeros(4, np.int64), field="lable")
