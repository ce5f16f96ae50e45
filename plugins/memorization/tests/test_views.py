"""Samples as they are read."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from stem_memorization.views import View, read_array

from stemcore import FieldSpec, UserError


def test_latents_of_a_folder_are_scaled_by_whichever_name_they_are_given(tmp_path) -> None:
    view = View.__new__(View)  # of a run on latents (2,), whose decoder is not asked
    field = FieldSpec("input", (2,), scale=0.25)
    view._decoder, view._field, view.native = object(), field, True
    view.loaded = SimpleNamespace(parts=SimpleNamespace(spec={"input": field}))
    np.save(tmp_path / "latents.npy", np.array([[4, 8]], np.float32))
    np.save(tmp_path / "mine.npy", np.array([[1, 2]], np.float32))
    (tmp_path / "samples.json").write_text("{}")
    for place in (tmp_path, tmp_path / "latents.npy", tmp_path / "mine.npy"):
        np.testing.assert_array_equal(view.samples(place), [[1, 2]])


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
