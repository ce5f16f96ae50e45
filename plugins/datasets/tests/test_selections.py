from __future__ import annotations

import h5py
import numpy as np
import pytest
from stem_datasets.selections import Selection

SHAPE = (4, 6, 5, 3)


def selected(*boxes):
    """The selection of boxes of ``SHAPE``, given by slices, and the points in them."""
    space, points = h5py.h5s.create_simple(SHAPE), np.zeros(SHAPE, bool)
    space.select_none()
    for box in boxes:
        low = [one.start for one in box]
        stride = [one.step or 1 for one in box]
        count = [len(range(one.start, one.stop, one.step or 1)) for one in box]
        space.select_hyperslab(tuple(low), tuple(count), tuple(stride), op=h5py.h5s.SELECT_OR)
        points[box] = True
    assert space.get_select_npoints() == points.sum()
    return Selection.of(space), points


def run_of(points):
    """By looking at every point: the run of whole images that they are, or ``None``."""
    images = points.reshape(-1, *SHAPE[-2:])
    items = np.flatnonzero(images.any((1, 2)))
    whole = images[items].all() and (np.diff(items) == 1).all()
    return (int(items[0]), len(items)) if whole else None


def box(rows, columns, height=slice(0, 5), width=slice(0, 3)):
    return slice(*rows), slice(*columns), height, width


@pytest.mark.parametrize(
    ("boxes", "run"),
    [
        ([box((0, 4), (0, 6))], (0, 24)),
        ([box((1, 3), (0, 6))], (6, 12)),
        ([box((2, 3), (1, 5))], (13, 4)),
        ([box((3, 4), (5, 6))], (23, 1)),
        ([box((0, 1), (4, 6)), box((1, 3), (0, 6)), box((3, 4), (0, 2))], (4, 16)),
        ([box((0, 1), (5, 6)), box((1, 2), (0, 1))], (5, 2)),
        ([box((1, 3), (0, 3))], None),
        ([box((0, 4, 2), (0, 6))], None),
        ([box((0, 1), (0, 6, 2))], None),
        ([box((0, 1), (0, 2)), box((0, 1), (3, 5))], None),
        ([box((0, 1), (5, 6)), box((1, 2), (1, 2))], None),
        ([box((0, 4), (0, 6), slice(0, 4))], None),
        ([box((0, 4), (0, 6), width=slice(1, 3))], None),
        ([box((0, 1), (0, 3)), box((0, 1), (3, 4), slice(0, 4))], None),
    ],
)
def test_runs_of_whole_images(boxes, run):
    selection, points = selected(*boxes)
    assert selection.run(SHAPE) == run == run_of(points)


def test_all_points_are_as_many_as_the_dataset_has():
    selection = Selection.of(h5py.h5s.create(h5py.h5s.SCALAR))
    assert selection.run((7, 5, 3)) == (0, 7)
    assert selection.run(SHAPE) == (0, 24)


def test_boxes_drawn_at_random():
    random = np.random.default_rng(0)
    runs = 0
    for _ in range(300):
        boxes = []
        for _ in range(random.integers(1, 4)):
            rows, columns = (sorted(random.choice(length + 1, 2, replace=False)) for length in SHAPE[:2])
            boxes.append(box(rows, columns if random.random() < 0.5 else (0, SHAPE[1])))
        selection, points = selected(*boxes)
        assert selection.run(SHAPE) == run_of(points), boxes
        runs += run_of(points) is not None
    assert 50 < runs < 250


def test_a_dataset_with_other_axes():
    selection, _ = selected(box((0, 1), (0, 6)))
    assert selection.run((24, 5, 3)) is None
    assert selection.run((4, 5, 5, 3)) is None


def test_nothing_single_points_and_what_has_no_end():
    space = h5py.h5s.create_simple(SHAPE, (h5py.h5s.UNLIMITED, *SHAPE[1:]))
    space.select_elements([(0, 0, 0, 0)])
    assert Selection.of(space) is None
    space.select_hyperslab((0, 0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1, 1), block=(1, *SHAPE[1:]))
    assert Selection.of(space) is None
    space.select_none()
    assert Selection.of(space) is None
