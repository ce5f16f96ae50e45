import h5py
import numpy as np
import pytest
from stem_datasets.handles import Handles
from stem_datasets.lookup import find

from stemcore import UserError


def problem(path, name):
    with pytest.raises(UserError) as error:
        find(Handles().file(path), path, name, "dataset")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_dataset_lists_those_that_are_there(write, counts):
    path = write(entry__data__patterns=counts, labels=np.arange(40))
    text = problem(path, "patterns")
    assert "there is no dataset 'patterns'; did you mean 'entry/data/patterns'?" in text
    assert "entry/data/patterns (40, 12, 10) uint16, labels (40,) int64" in text
    assert "did you mean 'labels'?" in problem(path, "lables")
    assert "did you mean" not in problem(path, "q")


def test_a_long_list_is_cut(write):
    path = write(**{f"d{n}": np.arange(3) for n in range(40)})
    assert "and 28 more" in problem(path, "patterns")


def test_a_file_without_datasets_says_so(write):
    assert "there are no datasets in it" in problem(write(), "patterns")


def test_a_group_is_no_dataset_and_lists_its_own(write, counts):
    path = write(entry__data__patterns=counts, labels=np.arange(40))
    text = problem(path, "entry/data")
    assert "'entry/data' is a group; there are: entry/data/patterns (40, 12, 10) uint16" in text
    assert "labels" not in text


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 3, 3), np.complex64), "has the type complex64; store intensities"),
        (np.zeros((4, 3), [("a", "f4"), ("b", "i2")]), "has the type compound"),
        (np.array([b"one", b"two"]), "has the type |S3"),
        (np.zeros((4, 3, 3), np.longdouble), "has the type float128"),
        (np.zeros((0, 3, 3)), "is empty (shape (0, 3, 3))"),
        (np.zeros((4, 0, 3)), "is empty (shape (4, 0, 3))"),
        (np.float32(1), "is empty (shape ())"),
        (h5py.Empty("f4"), "is empty (shape None)"),
    ],
)
def test_what_holds_no_numbers_is_refused(write, array, says):
    text = problem(write(patterns=array), "patterns")
    assert says.replace("|S3", "text") in text or says in text


def test_text_is_refused(write):
    assert "has the type text" in problem(write(patterns=["one", "two"]), "patterns")


def test_a_broken_link_is_no_dataset(write, counts):
    path = write(labels=np.arange(3))
    with h5py.File(path, "a") as file:
        file["patterns"] = h5py.ExternalLink("gone.h5", "/patterns")
    assert "dataset 'patterns'" in problem(path, "patterns")


def test_a_virtual_dataset_needs_its_sources(write, counts):
    source = write("source.h5", patterns=counts)
    path = write("virtual.h5")
    layout = h5py.VirtualLayout(counts.shape, counts.dtype)
    layout[:] = h5py.VirtualSource("source.h5", "patterns", counts.shape)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("patterns", layout)
    found = find(Handles().file(path), path, "patterns", "dataset")
    np.testing.assert_array_equal(found[()], counts)
    source.unlink()
    assert "its source source.h5 is missing" in problem(path, "patterns")


def test_a_filter_that_is_not_installed_is_named(write, counts):
    path = write(patterns=counts)
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((4, 12, 10))
    create.set_filter(305, h5py.h5z.FLAG_OPTIONAL)  # LZO, which hdf5plugin does not ship
    with h5py.File(path, "a") as file:
        space = h5py.h5s.create_simple(counts.shape)
        h5py.h5d.create(file.id, b"packed", h5py.h5t.NATIVE_UINT16, space, create)
    assert "is compressed by filter 305" in problem(path, "packed")
