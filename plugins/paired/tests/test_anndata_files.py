from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stem_paired.anndata_files import read_h5ad, read_h5mu
from stem_paired.table_examples import SAMPLES, measured, write_mudata

from stemcore import UserError

anndata = pytest.importorskip("anndata")
pd = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mudata") / "both.h5mu"
    write_mudata(path, lambda k: f"S{k}")
    return path


def written(folder: Path, matrix, **names) -> Path:
    held = anndata.AnnData(matrix)
    held.obs_names = names.get("ids", [f"S{k}" for k in range(matrix.shape[0])])
    held.var_names = names.get("features", [f"g{k}" for k in range(matrix.shape[1])])
    held.write_h5ad(folder / "a.h5ad")
    return folder / "a.h5ad"


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_dense_and_sparse_matrices_are_read_as_they_are(tmp_path, form):
    values = np.array([[1.5, 0, 3], [0, 0.25, 1e-3]])
    table, _ = read_h5ad(written(tmp_path, form(values)))
    assert (table.ids, table.features) == (("S0", "S1"), ("g0", "g1", "g2"))
    np.testing.assert_array_equal(table.values, values.astype(np.float32))
    assert table.values.flags.c_contiguous


def test_modalities_are_the_first_two_or_those_named(both):
    first = read_h5mu(both, None, None)
    assert first.names == ("mrna", "protein")
    np.testing.assert_array_equal(first.tables[0].values, measured(6, 0.0))
    np.testing.assert_array_equal(first.tables[1].values, measured(4, 1.0)[1:])
    assert first.tables[1].ids[0] == "S1"
    assert read_h5mu(both, "protein", None).names == ("protein", "mrna")
    assert read_h5mu(both, None, "mrna").names == ("protein", "mrna")


def test_metadata_are_those_of_the_samples(both):
    obs = read_h5mu(both, None, None).obs
    assert obs.index.tolist() == [f"S{k}" for k in range(SAMPLES)]
    assert obs["tissue"].tolist() == [f"t{k % 3}" for k in range(SAMPLES)]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(("dna", None), "has no modality 'dna'; it has mrna, protein"), (("mrna", "mrna"), "'mrna' is both modalities")],
)
def test_modalities_that_are_not_there_are_refused(both, wanted, said):
    with pytest.raises(UserError) as caught:
        read_h5mu(both, *wanted)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"ids": ["A", "A"]}, "a sample id is there several times: 'A' (rows 1, 2)"),
        ({"features": ["g", "g", "h"]}, "a feature name is there several times: 'g' (columns 1, 2)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*not unique")
def test_names_that_are_there_twice_are_refused(tmp_path, names, said):
    path = written(tmp_path, np.ones((2, 3)), **names)
    with pytest.raises(UserError) as caught:
        read_h5ad(path)
    assert said in str(caught.value)


def test_infinite_values_and_damaged_files_are_refused(tmp_path):
    path = written(tmp_path, np.array([[1.0, np.inf], [1, 2]]))
    with pytest.raises(UserError, match="1 cell is infinite or too large for float32: 'inf' in row 'S0', column 'g1'"):
        read_h5ad(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"cannot be read as \.h5ad"):
        read_h5ad(path)
