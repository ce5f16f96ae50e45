"""Small tables of each format, for contract checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stem_paired.tables import write_table
from stemcore.testing import CommandExample, DatasetExample, RecipeExample

SAMPLES = 14


def paired_tables(folder: Path) -> list[DatasetExample]:
    """Two tables of text with metadata and missing values, and a MuData file."""
    return [_text(folder), _mudata(folder)]


def impute(folder: Path) -> CommandExample:
    """Calls without a run, or with options that say nothing: a call that succeeds needs a run that was trained."""
    table = folder / "a.csv"
    write_table(table, [f"{k}" for k in range(SAMPLES)], ["g"], measured(1, 0.0))
    call = (str(folder / "no-run"), "--from", "a", "--to", "b", "--input", str(table), "--out")
    out = str(folder / "b.csv")
    return CommandExample(
        wrong=((*call, out), (*call, str(table)), (*call, out, "--uncertainty", str(folder / "u.csv")))
    )


def recipe(folder: Path) -> RecipeExample:
    """Two tables of text."""
    for name, start in (("a", 0.0), ("b", 1.0)):
        ids, features = [f"{k}" for k in range(SAMPLES)], [f"{name}{k}" for k in range(5)]
        write_table(folder / f"{name}.csv", ids, features, measured(5, start))
    return RecipeExample(overrides=[f"data.train.{name}={folder / name}.csv" for name in ("a", "b")])


def measured(features: int, start: float) -> np.ndarray:
    """Values (SAMPLES, features) float32 that follow three things about a sample."""
    sample, feature = np.indices((SAMPLES, features))
    hidden = (np.sin(start + (k + 1) * 0.9 * sample + feature * (0.3 + 0.2 * k)) for k in range(3))
    return np.asarray(sum(hidden), dtype=np.float32)


def _text(folder: Path) -> DatasetExample:
    a, b = measured(6, 0.0), measured(4, 1.0)
    a[2, 3] = np.nan
    ids = [f"{k:03d}" for k in range(SAMPLES)]
    write_table(folder / "a.csv", ids, [f"gene {k}" for k in range(6)], a)
    write_table(folder / "b.tsv", ids[::-1], [f"protein {k}" for k in range(4)], b)
    rows = (f"{name},{'train' if k % 4 else 'test'},{k / 2},patient {k // 2}" for k, name in enumerate(ids))
    (folder / "samples.csv").write_text("\n".join(["sample_id,split,age,patient", *rows]), encoding="utf-8")
    config = {"a": str(folder / "a.csv"), "b": str(folder / "b.tsv"), "metadata": str(folder / "samples.csv")}
    config |= {"split_column": "split", "group_column": "patient"}
    broken = {
        what: {**config, "a": str(_written(folder, what, text))}
        for what, text in {
            "no numbers": "id,g\n000,one\n001,2\n",
            "an infinite value": "id,g\n000,inf\n001,2\n",
            "rows of other lengths": "id,g,h\n000,1,2\n001,1\n",
            "a sample twice": "id,g\n000,1\n000,2\n",
            "a feature twice": "id,g,g\n000,1,2\n001,1,3\n",
            "no sample in common": "id,g\nA,1\nB,2\n",
            "semicolons": "id;g\n000;1\n",
            "nothing": "",
        }.items()
    }
    broken |= {
        "no such file": {**config, "b": str(folder / "c.tsv")},
        "no such column": {**config, "split_column": "x"},
    }
    return DatasetExample(label="text", config=config, broken=broken)


def _mudata(folder: Path) -> DatasetExample:
    path = folder / "both.h5mu"
    write_mudata(path, lambda k: f"S{k}")
    config = {"path": str(path)}
    broken = {"no such modality": {**config, "modality_b": "methylation"}, "a table besides": {**config, "a": "a.csv"}}
    return DatasetExample(label="mudata", config=config, broken=broken)


def write_mudata(path: Path, name: Callable[[int], str]) -> None:
    """A MuData file of two modalities, mrna (sparse) and protein, the latter without the first sample."""
    import anndata
    import mudata
    import pandas
    import scipy.sparse

    def of(values: np.ndarray, first: int, kind: str) -> anndata.AnnData:
        obs = pandas.DataFrame({"tissue": [f"t{k % 3}" for k in range(first, SAMPLES)]})
        obs.index = pandas.Index([name(k) for k in range(first, SAMPLES)])
        var = pandas.DataFrame(index=[f"{kind}{k}" for k in range(values.shape[1])])
        return anndata.AnnData(values[first:], obs=obs, var=var)

    mrna, protein = of(measured(6, 0.0), 0, "g"), of(measured(4, 1.0), 1, "p")
    mrna.X = scipy.sparse.csr_matrix(mrna.X)
    with mudata.set_options(pull_on_update=False):
        mudata.MuData({"mrna": mrna, "protein": protein}).write(path)


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.csv"
    path.write_text(text, encoding="utf-8")
    return path
