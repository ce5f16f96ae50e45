from __future__ import annotations

import numpy as np
import pytest
from stem_probes.draws import Protocol, draws

from stemcore import UserError

CODES = np.random.default_rng(0).choice(3, 120, p=[0.6, 0.3, 0.1])


def test_so_many_of_each_class_and_the_rest(items, labelled) -> None:
    rows, targets = labelled(CODES)
    found = draws(rows, targets, items(120), Protocol(per_class=4, repeats=5))
    assert len(found) == 5
    for train, test in found:
        assert np.bincount(CODES[train]).tolist() == [4, 4, 4]
        assert sorted([*train, *test]) == list(range(120))
    assert len({tuple(train) for train, _ in found}) == 5


def test_a_share_of_each_class(items, labelled) -> None:
    rows, targets = labelled(CODES)
    ((train, test),) = draws(rows, targets, items(120), Protocol(train_share=0.25, repeats=1))
    assert np.bincount(CODES[train]).tolist() == [round(0.25 * n) for n in np.bincount(CODES)]
    assert sorted([*train, *test]) == list(range(120))


def test_the_seed_decides(items, labelled) -> None:
    rows, targets = labelled(CODES)
    first, again, other = (
        draws(rows, targets, items(120), Protocol(per_class=4, repeats=3, seed=seed)) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))
    longer = draws(rows, targets, items(120), Protocol(per_class=4, repeats=5, seed=1))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, longer[:3], strict=True))


def test_usual_amounts() -> None:
    assert Protocol().completed(regression=False).per_class == 10
    assert Protocol().completed(regression=True).train_share == 0.5
    assert Protocol(train_share=0.1).completed(regression=False) == Protocol(train_share=0.1)


def test_classes_with_too_few_labels_are_listed(items, labelled) -> None:
    rows, targets = labelled(np.array([0] * 9 + [1] * 4 + [2] * 5))
    with pytest.raises(UserError, match=r"too few .* 5 labels of each class and score others: b \(4\), c \(5\)"):
        draws(rows, targets, items(18), Protocol(per_class=5))


def test_whole_groups_are_held_out(items, labelled) -> None:
    rows, targets = labelled(CODES)
    groups = np.repeat(np.arange(12) + 100, 10)
    of = items(120, groups=groups)
    for train, test in draws(rows, targets, of, Protocol("group", per_class=2, repeats=5)):
        assert not set(groups[train]) & set(groups[test])
        assert len(set(groups[test])) == 6
        assert np.bincount(CODES[train]).tolist() == [2, 2, 2]
        assert (np.bincount(CODES[test], minlength=3) > 0).all()
    for train, test in draws(rows, targets, of, Protocol("group", train_share=0.75, repeats=2)):
        assert (len(set(groups[train])), len(train), len(test)) == (9, 90, 30)


def test_images_are_groups_of_their_places(items, labelled) -> None:
    image = np.repeat(np.arange(6), 20)
    place = np.zeros((120, 2), int)
    rows, targets = labelled(CODES, item=image, place=place, extent=(1, 1), within=True)
    for train, test in draws(rows, targets, items(6), Protocol("group", per_class=1, repeats=3)):
        assert not set(image[train]) & set(image[test])


def test_regions_are_held_out(items, labelled) -> None:
    place = np.stack(np.unravel_index(np.arange(120), (10, 12)), axis=1)
    rows, targets = labelled(CODES, place=place, extent=(10, 12))
    region = [(y * 4 // 10, x * 4 // 12) for y, x in place.tolist()]
    for train, test in draws(rows, targets, items(120), Protocol("region", train_share=0.5, repeats=4)):
        there = [{region[k] for k in side} for side in (train, test)]
        assert not there[0] & there[1]
        assert (len(there[0]), len(there[1])) == (8, 8)
    with pytest.raises(UserError, match="neither a scan nor places"):
        draws(*labelled(CODES), items(120), Protocol("region"))


def test_as_the_data_say(items, labelled) -> None:
    parts = np.array(["train", "test", "val", "none"] * 30)
    rows, targets = labelled(CODES)
    ((train, test),) = draws(rows, targets, items(120, parts=parts), Protocol("given"))
    assert train.tolist() == list(range(0, 120, 4))
    assert test.tolist() == list(range(1, 120, 4))
    several = draws(rows, targets, items(120, parts=parts), Protocol("given", per_class=1, repeats=3))
    assert [len(train) for train, _ in several] == [3, 3, 3]
    assert all(np.array_equal(other, test) for _, other in several)
    without = np.where(parts == "test", "none", parts)
    ((_, test),) = draws(rows, targets, items(120, parts=without), Protocol("given"))
    assert test.tolist() == list(range(2, 120, 4))


def test_divisions_that_cannot_be(items, labelled) -> None:
    rows, targets = labelled(np.array([0] * 6 + [1] * 4))
    with pytest.raises(UserError, match="the data have no groups"):
        draws(rows, targets, items(10), Protocol("group"))
    with pytest.raises(UserError, match="do not say what their items are for"):
        draws(rows, targets, items(10), Protocol("given"))
    with pytest.raises(UserError, match="none to test"):
        draws(rows, targets, items(10, parts=np.array(["train"] * 10)), Protocol("given"))
    with pytest.raises(UserError, match="all labels are of one group"):
        draws(rows, targets, items(10, groups=np.zeros(10, int)), Protocol("group"))
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    with pytest.raises(UserError, match=r"no division of 4 groups .* a \(3\), b \(1\)"):
        draws(rows, targets, items(10, groups=groups), Protocol("group", per_class=1))


def test_numbers(items, labelled) -> None:
    rows, targets = labelled(np.random.default_rng(0).normal(size=(40, 1)))
    ((train, test),) = draws(rows, targets, items(40), Protocol(train_share=0.25, repeats=1))
    assert (len(train), len(test)) == (10, 30)
    assert sorted([*train, *test]) == list(range(40))
