from __future__ import annotations

import h5py
import numpy as np
import pytest
from stem_datasets.encoding import LEVELS, encoding

from stemcore import UserError


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4"])
def test_each_compression_is_lossless_and_compresses(tmp_path, name, dtype):
    values = np.random.default_rng(0).poisson(0.05, (32, 64, 64)).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("x", data=values, chunks=(8, 64, 64), **encoding(name).filters(values.itemsize))
        file.flush()
        assert (stored.id.get_storage_size() < values.nbytes / 1.5) == encoding(name).compresses
        assert stored[()].tobytes() == values.tobytes()


def test_a_level_is_used():
    assert encoding("gzip", 9).filters(2) == {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    assert encoding("gzip").filters(1) == {"compression": "gzip", "compression_opts": 4}
    assert encoding("gzip", 9).name == "gzip 9"


@pytest.mark.parametrize(("name", "level"), [("gzip", 0), ("gzip", 10), ("zstd", 23), ("lz4", 1), ("none", 1)])
def test_levels_that_there_are_not(name, level):
    with pytest.raises(UserError, match="level"):
        encoding(name, level)
