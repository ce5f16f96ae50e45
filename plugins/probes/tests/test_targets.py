from __future__ import annotations

import numpy as np
import pytest
from stem_probes.label_files import Given
from stem_probes.targets import field_labels, targets_of

from stemcore import UserError


def given(values, **more) -> Given:
    return Given(np.array(values), "labels", **more)


def test_classes_are_counted_from_zero_in_their_order(items) -> None:
    found = targets_of(given([7, -1, 3, 7]), items(4), "auto", ())
    assert (found.values.tolist(), found.names, found.regression) == ([1, -1, 0, 1], ("3", "7"), False)
    found = targets_of(given(["tree", "", "road", "tree"]), items(4), "auto", ())
    assert (found.values.tolist(), found.names) == ([1, -1, 0, 1], ("road", "tree"))
    found = targets_of(given([1.0, np.nan, 0.0, 2.0]), items(4), "auto", ("2",))
    assert (found.values.tolist(), found.names) == ([1, -1, 0, -1], ("0", "1"))


def test_names_of_classes_and_labels_that_stand_for_none(items) -> None:
    labels = given([0, 1, 2, 9], classes=("none", "tree", "water"))
    for ignored in (("none",), ("0",)):
        found = targets_of(labels, items(4), "auto", ignored)
        assert (found.values.tolist(), found.names) == ([-1, 0, 1, 2], ("tree", "water", "9"))
    with pytest.raises(UserError, match="no item has the label soil; there are none, tree, water, 9"):
        targets_of(labels, items(4), "auto", ("soil",))
    with pytest.raises(UserError, match="two classes at least, and there is only 9"):
        targets_of(labels, items(4), "auto", ("none", "tree", "water"))
    with pytest.raises(UserError, match="there is none"):
        targets_of(given([-1, -1]), items(2), "auto", ())


def test_labels_by_id(items) -> None:
    by_name = items(4, names=("a", "b", "c", "d"))
    found = targets_of(given(["x", "y", "x"], ids=("d", "a", "zz")), by_name, "auto", ())
    assert (found.values.tolist(), found.names) == ([1, -1, -1, 0], ("x", "y"))
    assert found.notes == ("1 ids are not in the data, such as zz",)
    assert targets_of(given([5, 6], ids=("2", "0")), items(3), "auto", ()).values.tolist() == [1, -1, 0]
    with pytest.raises(UserError, match="none of its ids is one of the data's; the data's are a, b, c"):
        targets_of(given([5, 6], ids=("2", "0")), by_name, "auto", ())


@pytest.mark.parametrize(
    ("count", "scan", "shape", "whole", "numbers"),
    [
        (6, None, (6,), (6,), (6, 1)),
        (6, (2, 3), (2, 3), (6,), (6, 1)),
        (6, (2, 3), (6,), (6,), (6, 1)),
        (6, (2, 3), (2, 3, 4), None, (6, 4)),
        (6, (2, 3), (2, 3, 4, 5), (6, 4, 5), (6, 1, 4, 5)),
        (3, None, (3, 4, 5), (3, 4, 5), (3, 1, 4, 5)),
        (3, None, (3, 1, 4, 5), (3, 4, 5), (3, 1, 4, 5)),
        (3, None, (3, 2, 4, 5), None, (3, 2, 4, 5)),
        (1, None, (4, 5), (1, 4, 5), (1, 1, 4, 5)),
        (1, None, (1, 4, 5), (1, 4, 5), (1, 1, 4, 5)),
        (1, None, (2, 4, 5), None, (1, 2, 4, 5)),
        (6, (2, 4), (6,), (6,), (6, 1)),
        (6, None, (2, 3), None, None),
        (6, (2, 3), (3, 2), None, None),
        (6, None, (5,), None, None),
    ],
)
def test_shapes(items, count, scan, shape, whole, numbers) -> None:
    of = items(count, scan=scan)
    labels = np.arange(np.prod(shape)).reshape(shape)
    for task, wanted in (("classification", whole), ("regression", numbers)):
        if wanted is None:
            with pytest.raises(UserError, match="labels: labels of shape"):
                targets_of(Given(labels, "labels"), of, task, ())
        else:
            found = targets_of(Given(labels, "labels"), of, task, ())
            np.testing.assert_array_equal(found.values, labels.reshape(wanted))
            assert found.of_pixels == (len(wanted) >= 3)


def test_wrong_lengths_are_said(items) -> None:
    with pytest.raises(UserError, match="labels of shape 5 do not fit 6 items, laid out as 2 x 3"):
        targets_of(given([0, 1, 0, 1, 0]), items(6, scan=(2, 3)), "auto", ())


def test_numbers(items) -> None:
    found = targets_of(given([0.5, np.nan, 2.0]), items(3), "auto", ())
    assert found.regression
    np.testing.assert_array_equal(found.values, [[0.5], [np.nan], [2.0]])
    assert targets_of(given([[1, 2], [3, 4]], classes=("u", "v")), items(2), "regression", ()).names == ("u", "v")
    with pytest.raises(UserError, match="no classes"):
        targets_of(given([0.5, 1.0]), items(2), "classification", ())
    with pytest.raises(UserError, match="text is no number"):
        targets_of(given(["a", "b"]), items(2), "regression", ())
    with pytest.raises(UserError, match="--ignore-label"):
        targets_of(given([0.5, 1.0]), items(2), "auto", ("1",))


def test_fields_of_the_data(items) -> None:
    specs = {"label": {"classes": ("tree", "road")}, "dose": {"scale": 0.5, "offset": 1.0}}
    of = items(3, label=np.array([1, 0, -1]), dose=np.array([1, 2, 4], np.uint8), specs=specs)
    found = targets_of(field_labels("label", of), of, "auto", ())
    assert (found.values.tolist(), found.names, found.where) == ([1, 0, -1], ("tree", "road"), "field:label")
    np.testing.assert_array_equal(field_labels("dose", of).values, [1.5, 2.0, 3.0])
    with pytest.raises(UserError, match="no field 'labels'; only label, dose, input"):
        field_labels("labels", of)
