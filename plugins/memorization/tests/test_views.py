"""Samples as they are read."""

from __future__ import annotations

import numpy as np
import pytest
from stem_memorization.views import read_array

from stemcore import UserError


def test_samples_can_be_handed_to_torch_and_their_file_stays_as_it_is(tmp_path) -> None:
    path = tmp_path / "samples.npy"
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(path, given)
    read = read_array(path)
    read[0] = 7  # torch warns of arrays that cannot be written to
    np.testing.assert_array_equal(np.load(path), given)


def test_what_holds_no_numbers_is_refused(tmp_path) -> None:
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    with pytest.raises(UserError, match="no array of numbers"):
        read_array(tmp_path / "words.npy")
    (tmp_path / "torn.npy").write_bytes(b"\x93NUM")
    with pytest.raises(UserError, match=r"cannot be read as \.npy"):
        read_array(tmp_path / "torn.npy")
