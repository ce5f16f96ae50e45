import logging

import h5py
import numpy as np
import pytest
from stem_datasets.handles import Handles
from stem_datasets.scan_file import Names, ScanFile

from stemcore import UserError


def scan(path, names=None, **options):
    return ScanFile(Handles(), path, names or Names("patterns"), **options)


@pytest.mark.parametrize("place", ["dataset attribute", "root attribute", "root dataset"])
def test_the_scan_s_shape_is_found(write, counts, place):
    path = write(patterns=counts)
    with h5py.File(path, "a") as file:
        if place == "root dataset":
            file["scan_shape"] = [5, 8]
        else:
            (file if place == "root attribute" else file["patterns"]).attrs["scan_shape"] = [5, 8]
    assert scan(path).scan_shape == (5, 8)


@pytest.mark.parametrize("value", [[5, 9], [-5, -8], 40, [4.0, 10.0], "5x8"])
def test_a_scan_s_shape_that_does_not_match_is_left_with_a_warning(write, counts, caplog, value):
    path = write(patterns=counts, attrs={"scan_shape": value})
    with caplog.at_level(logging.WARNING, "stemcore"):
        assert scan(path).scan_shape is None
    assert "is not used: there are 40 patterns" in caplog.text


def test_four_axes_are_a_scan(write):
    assert scan(write(patterns=np.ones((2, 3, 4, 5)), attrs={"scan_shape": [6, 1]})).scan_shape == (2, 3)


def test_a_given_scan_must_have_as_many_positions(write, counts):
    path = write(patterns=counts, attrs={"scan_shape": [5, 8]})
    assert scan(path, scan_shape=(4, 10)).scan_shape == (4, 10)
    with pytest.raises(UserError, match=r"'scan_shape' \[4, 9\] has 36 positions, there are 40 patterns"):
        scan(path, scan_shape=(4, 9))


def test_unreadable_patterns_are_left_out_with_all_that_belongs_to_them(write, spoil, counts, caplog):
    labels, truth = np.arange(40), np.random.default_rng(1).random((3, 12, 10)).astype(np.float32)
    path = write(
        patterns=counts,
        labels=labels,
        truth=truth,
        which=[22, 39, 3],
        options={"chunks": (4, 12, 10), "compression": "gzip"},
    )
    spoil(path, (20, 0, 0))
    names = Names("patterns", labels="labels", groups="labels", expected="truth", expected_index="which")
    with caplog.at_level(logging.WARNING, "stemcore"):
        sound = scan(path, names, skip_unreadable=True)
    assert "left out 4 of 40 patterns" in caplog.text
    left = np.r_[0:20, 24:40]
    assert len(sound) == 36
    np.testing.assert_array_equal(sound.groups, left)
    np.testing.assert_array_equal(np.sort(np.concatenate(sound.blocks())), np.arange(36))
    out = {"input": np.empty((36, 1, 12, 10), np.uint16), "label": np.empty(36, np.int64)}
    out["expected"] = np.empty((36, 1, 12, 10), np.float32)
    sound.read(np.arange(36), out)
    np.testing.assert_array_equal(out["input"][:, 0], counts[left])
    np.testing.assert_array_equal(out["label"], left)
    np.testing.assert_array_equal(out["expected"][[3, 35], 0], truth[[2, 1]])
    assert np.isnan(np.delete(out["expected"], [3, 35], axis=0)).all()


def test_a_file_of_which_nothing_can_be_read_is_refused(write, spoil, counts):
    path = write(patterns=counts, options={"chunks": (40, 12, 10), "compression": "gzip"})
    spoil(path, (0, 0, 0))
    with pytest.raises(UserError, match="none of its patterns can be read"):
        scan(path, skip_unreadable=True)
