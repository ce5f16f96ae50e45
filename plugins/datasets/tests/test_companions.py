import numpy as np
import pytest
from stem_datasets.companions import Companions
from stem_datasets.handles import Handles
from stem_datasets.stored import StoredArray

from stemcore import UserError


@pytest.fixture
def beside(write, counts):
    """The companions of 40 patterns (12, 10), scanned 5 x 8, that are in a file together with these arrays."""

    def beside(scan=(5, 8), **arrays):
        path = write(patterns=counts, **arrays)
        handles = Handles()
        return Companions(handles, StoredArray(handles, path, "patterns"), scan)

    return beside


@pytest.mark.parametrize("shape", [(40,), (5, 8)])
@pytest.mark.parametrize("dtype", ["int16", ">i4", "uint8", "bool"])
def test_labels_are_flattened_to_whole_numbers(beside, shape, dtype):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    found = beside(labels=values).numbers("labels", "labels")
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, values.ravel())


def test_without_a_known_scan_two_axes_with_as_many_values_are_one(beside):
    assert beside(None, labels=np.zeros((4, 10), int)).numbers("labels", "labels").shape == (40,)


@pytest.mark.parametrize("shape", [(39,), (8, 5), (40, 1, 1)])
def test_labels_of_another_shape_are_refused(beside, shape):
    with pytest.raises(UserError) as error:
        beside(labels=np.zeros(shape, int)).numbers("labels", "labels")
    assert f"labels 'labels' has shape {shape}; right would be (40,) or (5, 8)" in str(error.value)


def test_labels_are_whole_numbers(beside):
    with pytest.raises(UserError, match="give whole numbers"):
        beside(labels=np.zeros(40)).numbers("labels", "labels")


def test_one_mask_serves_every_pattern(beside):
    mask = np.eye(12, 10, dtype=np.uint8) * 7
    found = beside(bad=mask).mask("bad")
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask != 0)


@pytest.mark.parametrize("shape", [(40, 12, 10), (5, 8, 12, 10)])
def test_a_mask_for_each_pattern_stays_in_the_file(beside, shape):
    assert len(beside(bad=np.ones(shape, bool)).mask("bad")) == 40


def test_a_mask_of_another_shape_or_type_is_refused(beside):
    with pytest.raises(UserError, match=r"right would be \(12, 10\) or \(40, 12, 10\) or \(5, 8, 12, 10\)"):
        beside(bad=np.ones((10, 12), bool)).mask("bad")
    with pytest.raises(UserError, match="give true where a pixel counts"):
        beside(bad=np.ones((12, 10))).mask("bad")


def test_there_is_a_truth_of_each_pattern(beside):
    every, rows = beside(truth=np.ones((5, 8, 12, 10))).expected("truth", None)
    assert len(every) == 40
    np.testing.assert_array_equal(rows, np.arange(40))


def test_there_is_a_truth_of_some_patterns(beside):
    some, rows = beside(truth=np.ones((3, 12, 10)), which=[7, 2, 39]).expected("truth", "which")
    assert len(some) == 3
    assert rows[[7, 2, 39]].tolist() == [0, 1, 2]
    assert (np.delete(rows, [7, 2, 39]) == -1).all()


@pytest.mark.parametrize(
    ("truth", "which", "says"),
    [
        (np.ones((3, 12, 10)), None, "expected 'truth' has shape (3, 12, 10); right would be (40, 12, 10)"),
        (np.ones((3, 6, 5)), [0, 1, 2], "right would be (3, 12, 10)"),
        (np.ones((3, 12, 10)), [0, 1], "right would be (3,)"),
        (np.ones((3, 12, 10)), [0, 1, 40], "right are numbers from 0 to 39, none of them twice"),
        (np.ones((3, 12, 10)), [0, 1, -1], "does not name different patterns"),
        (np.ones((3, 12, 10)), [0, 1, 1], "none of them twice"),
        (np.ones((3, 12, 10)), [0.0, 1.0, 2.0], "give whole numbers"),
    ],
)
def test_a_truth_that_does_not_match_is_refused(beside, truth, which, says):
    arrays = {"truth": truth} | ({} if which is None else {"which": which})
    with pytest.raises(UserError) as error:
        beside(**arrays).expected("truth", "which" if which is not None else None)
    assert says in str(error.value)
