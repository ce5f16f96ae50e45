from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from stem_paired.tables import Table, read_table, write_table

import stemcore
from stemcore.cli.main import execute

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics" / "breast_tcga"
A, B = tuple(f"gene {k}" for k in range(12)), tuple(f"protein, {k}" for k in range(7))
IDS = tuple(f"{k:04d}" for k in range(90))


def recipe(train: dict, **changes) -> dict:
    inputs = ("input_a", "input_b")
    terms = {
        f"{kind}_{p}": {"type": "mse", "inputs": {"prediction": f"{kind}_{p}", "target": f"input_{p}"}}
        for kind in ("recon", "cross")
        for p in "ab"
    }
    chain = [{"type": "impute"}, {"type": "standardize", "by": "feature"}]
    return {
        "name": "impute",
        "seed": 3,
        "data": {
            "train": {"type": "paired_tables", **train},
            "val": 0.1,
            "transforms": dict.fromkeys(inputs, chain),
            "batch_size": 16,
            **changes,
        },
        "model": {"type": "joint_vae", "latent_dim": 4, "encoder": [24], "decoder": [24], "dropout": 0.0},
        "losses": terms,
        "metrics": {},
        "optimizer": {"type": "adam", "lr": 1e-2},
        "trainer": {"max_epochs": 30},
        "backend": "cpu",
        "loggers": ["csv"],
        "figures": {},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a run on two platforms that follow three factors, and tables of the first 20 of its samples."""
    folder = tmp_path_factory.mktemp("impute")
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(len(IDS), 3))
    a, b = (hidden @ rng.normal(size=(3, n)) + 0.1 * rng.normal(size=(len(IDS), n)) + 5 for n in (len(A), len(B)))
    write_table(folder / "a.csv", IDS, A, a)
    write_table(folder / "b.csv", IDS, B, b)
    write_table(folder / "x.csv", IDS[:20], A, a[:20])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        stemcore.run(recipe({"a": str(folder / "a.csv"), "b": str(folder / "b.csv")}), output=folder / "run")
    return folder


@pytest.fixture
def desk(place, tmp_path, monkeypatch) -> Path:
    """An empty working folder; ``run``, ``x.csv``, ``a.csv`` and ``b.csv`` are links."""
    for name in ("run", "x.csv", "a.csv", "b.csv"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def impute(options: str = "", *, given: str = "x.csv", out: str = "y.csv", way: tuple[str, str] = ("a", "b")) -> int:
    call = f"-q impute run --from {way[0]} --to {way[1]} --input {given} --out {out} {options}"
    return execute(shlex.split(call))


def changed(name: str, **parts) -> None:
    """Writes the table ``name``, made of x.csv."""
    x = read_table(Path("x.csv"))
    table = Table(**{"ids": x.ids, "features": x.features, "values": x.values, **parts})
    write_table(Path(name), table.ids, table.features, table.values)


def test_imputed_tables_have_ids_features_and_physical_units(desk, capsys):
    assert impute() == 0
    assert capsys.readouterr().out == "y.csv\n"
    found, truth = read_table(Path("y.csv")), read_table(Path("b.csv"))
    assert (found.ids, found.features) == (IDS[:20], B)
    expected = stemcore.load_run("run").impute({"input_a": read_table(Path("x.csv")).values})["input_b"]
    np.testing.assert_array_equal(found.values, expected)
    r = [np.corrcoef(found.values[:, k], truth.values[:20, k])[0, 1] for k in range(len(B))]
    assert min(r) > 0.8
    assert np.abs(found.values - truth.values[:20]).mean() < 0.6 * truth.values.std(axis=0).mean()


def test_both_ways(desk):
    changed("z.csv", features=B, values=read_table(Path("b.csv")).values[:20])
    assert impute(given="z.csv", out="back.csv", way=("b", "a")) == 0
    assert read_table(Path("back.csv")).features == A


def test_the_same_bytes_twice_also_of_draws(desk):
    options = "--samples 5 --uncertainty u{0}.csv --latent z{0}.csv --importance i{0}.csv --method gradient_shap"
    for turn in (1, 2):
        assert impute(out=f"plain{turn}.parquet") == 0
        assert impute(options.format(turn), out=f"y{turn}.csv") == 0
    for name in ("plain{}.parquet", "y{}.csv", "u{}.csv", "z{}.csv", "i{}.csv"):
        assert Path(name.format(1)).read_bytes() == Path(name.format(2)).read_bytes(), name


def test_draws_give_their_mean_and_their_spread(desk):
    assert impute("--samples 6 --uncertainty u.tsv") == 0
    draws = stemcore.load_run("run").impute({"input_a": read_table(Path("x.csv")).values}, draws=6)["input_b"]
    expected = draws.astype(np.float64)
    np.testing.assert_allclose(read_table(Path("y.csv")).values, expected.mean(axis=0), rtol=1e-6)
    spread = read_table(Path("u.tsv"))
    assert (spread.ids, spread.features) == (IDS[:20], B)
    np.testing.assert_allclose(spread.values, expected.std(axis=0, ddof=1), rtol=1e-5)
    assert (spread.values > 0).all()


def test_draws_of_many_samples_are_taken_part_by_part(desk, monkeypatch):
    from stem_paired import imputation

    monkeypatch.setattr(imputation, "MOST_VALUES", 6 * len(B) * 8)
    assert impute("--samples 6 --uncertainty u.csv") == 0
    run, x = stemcore.load_run("run"), read_table(Path("x.csv")).values
    parts = [run.impute({"input_a": x[k : k + 8]}, draws=6)["input_b"] for k in (0, 8, 16)]
    draws = np.concatenate(parts, axis=1).astype(np.float64)
    np.testing.assert_allclose(read_table(Path("y.csv")).values, draws.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(read_table(Path("u.csv")).values, draws.std(axis=0, ddof=1), rtol=1e-5)


def test_latents(desk, capsys):
    assert impute("--latent z.csv") == 0
    assert capsys.readouterr().out == "y.csv\nz.csv\n"
    latents = read_table(Path("z.csv"))
    assert (latents.ids, latents.features) == (IDS[:20], ("latent_0", "latent_1", "latent_2", "latent_3"))
    expected = stemcore.load_run("run").predictor().encode_arrays({"input_a": read_table(Path("x.csv")).values})
    np.testing.assert_array_equal(latents.values, expected)


def test_features_in_another_order_and_unknown_ones_change_nothing(desk, caplog):
    assert impute() == 0
    x = read_table(Path("x.csv"))
    order = np.random.default_rng(1).permutation(len(A) + 1)
    values = np.concatenate([x.values, np.full((20, 1), 9, np.float32)], axis=1)[:, order]
    changed("other.csv", features=[(*A, "new")[k] for k in order], values=values)
    assert impute(given="other.csv", out="y2.csv") == 0
    assert Path("y.csv").read_bytes() == Path("y2.csv").read_bytes()
    assert caplog.messages == ["other.csv: 1 features are not the run's and left out: new"]


def test_a_transposed_input(desk):
    assert impute() == 0
    x = read_table(Path("x.csv"))
    write_table(Path("turned.csv"), x.features, x.ids, x.values.T)
    assert impute("--transpose", given="turned.csv", out="y2.csv") == 0
    assert Path("y.csv").read_bytes() == Path("y2.csv").read_bytes()


def test_missing_features_are_refused_by_name_or_filled_with_the_training_mean(desk, capsys):
    x = read_table(Path("x.csv"))
    changed("less.csv", features=A[2:], values=x.values[:, 2:])
    assert impute(given="less.csv") == 2
    said = (
        "error: less.csv: lacks 2 of the 12 features of the run: gene 0, gene 1; add them, or take them as missing by"
    )
    assert capsys.readouterr().err.startswith(said)
    assert impute("--allow-missing", given="less.csv") == 0
    train = stemcore.load_run("run").items()["train"].read()["input_a"]
    filled = x.values.copy()
    filled[:, :2] = train[:, :2].mean(axis=0)
    changed("filled.csv", values=filled)
    assert impute(given="filled.csv", out="y2.csv") == 0
    np.testing.assert_allclose(read_table(Path("y.csv")).values, read_table(Path("y2.csv")).values, atol=1e-4)


def test_missing_cells_are_filled_by_the_transforms_of_the_run(desk):
    values = read_table(Path("x.csv")).values.copy()
    values[3, 4] = np.nan
    changed("holes.csv", values=values)
    assert impute(given="holes.csv") == 0
    train = stemcore.load_run("run").items()["train"].read()["input_a"]
    values[3, 4] = train[:, 4].mean()
    changed("filled.csv", values=values)
    assert impute(given="filled.csv", out="y2.csv") == 0
    np.testing.assert_allclose(read_table(Path("y.csv")).values, read_table(Path("y2.csv")).values, atol=1e-4)


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "gradient_shap"])
def test_importance_of_every_feature_the_most_important_first(desk, method, capsys):
    named = f"--importance-of '{B[2]}' --importance-of '{B[5]}'"
    assert impute(f"--importance i.csv --method {method} {named}") == 0
    assert capsys.readouterr().out == "y.csv\ni.csv\n"
    table = read_table(Path("i.csv"))
    assert Path("i.csv").read_text().startswith('feature,importance,"protein, 2","protein, 5"\n')
    assert sorted(table.ids) == sorted(A)
    np.testing.assert_allclose(table.values[:, 0], table.values[:, 1:].mean(axis=1), rtol=1e-5)
    assert (np.diff(table.values[:, 0]) <= 0).all()
    assert table.values.min() > 0


def test_importance_for_all_features_is_their_mean(desk):
    assert impute("--importance i.csv --method deeplift") == 0
    table = read_table(Path("i.csv"))
    assert table.features == ("importance",)
    assert impute("--importance each.csv --method deeplift " + " ".join(f"--importance-of '{b}'" for b in B[:6])) == 0
    assert impute(f"--importance last.csv --method deeplift --importance-of '{B[6]}'") == 0
    each, last = read_table(Path("each.csv")), read_table(Path("last.csv"))
    sums = dict(zip(each.ids, each.values[:, 1:].sum(axis=1), strict=True))
    expected = {name: (sums[name] + row[0]) / 7 for name, row in zip(last.ids, last.values, strict=True)}
    np.testing.assert_allclose(table.values[:, 0], [expected[name] for name in table.ids], rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"way": ("a", "c")}, "error: --to: the run has no platform 'c'; it has a and b"),
        ({"way": ("mrna", "b")}, "error: --from: the run has no platform 'mrna'; it has a and b"),
        ({"way": ("a", "a")}, "error: --to: 'a' is what is imputed from; name the other one: b"),
        ({"given": "none.csv"}, "error: none.csv: there is no such file"),
        ({"given": "b.csv"}, "error: b.csv: has none of the 12 features that the run was trained on, such as gene 0"),
        ({"given": "turned.csv"}, "its sample ids are such names: give --transpose"),
        ({"out": "none/y.csv"}, "error: none/y.csv: its folder does not exist"),
        ({"out": "y.xlsx"}, "error: y.xlsx: is no kind of table that is written; end it in .csv, .tsv or .parquet"),
        ({"out": "x.csv"}, "error: x.csv: --out and --input are the same file"),
        ({"options": "--latent y.csv"}, "error: y.csv: --latent and --out are the same file"),
        ({"options": "--uncertainty u.csv"}, "error: --uncertainty: is the spread of draws; give their number by"),
        ({"options": "--method deeplift"}, "error: --method: is for --importance"),
        ({"options": "--importance-of x"}, "error: --importance-of: is for --importance"),
        ({"options": "--importance i.csv --importance-of 'protein 3'"}, "did you mean 'protein, 3'?"),
        ({"options": "--samples 1"}, "1 is not in the range x>=2"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(desk, capsys, call, said):
    x = read_table(Path("x.csv"))
    write_table(Path("turned.csv"), x.features, x.ids, x.values.T)
    before = sorted(path.name for path in desk.iterdir())
    assert impute(**call) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert sorted(path.name for path in desk.iterdir()) == before


def test_a_run_that_is_not_paired_is_refused(desk, monkeypatch, capsys):
    monkeypatch.setenv("STEM_CACHE_DIR", str(desk / "cache"))
    scan = recipe({}, transforms={"input": [{"type": "bin", "factor": 8}]})
    scan["data"]["train"] = {"type": "sample"}
    scan |= {"model": {"type": "conv_autoencoder", "latent_dim": 2, "channels": [4]}, "losses": {"mse": {}}}
    scan["trainer"] = {"max_epochs": 1}
    stemcore.run({**scan, "data": {**scan["data"], "batch_size": 512}}, output=desk / "scan")
    capsys.readouterr()
    assert execute(shlex.split("-q impute scan --from a --to b --input x.csv --out y.csv")) == 2
    assert capsys.readouterr().err == (
        "error: scan: is no run of paired data; train one on the data set paired_tables\n"
    )


@pytest.mark.skipif(not OMICS.is_dir(), reason="needs ../shared/data/omics")
def test_held_out_tumours_are_imputed_better_than_by_the_mean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEM_CACHE_DIR", str(tmp_path / "cache"))
    paths = {"a": OMICS / "mrna.csv", "b": OMICS / "protein.csv", "metadata": OMICS / "split.csv"}
    real = recipe({**{n: str(p) for n, p in paths.items()}, "split_column": "split"}, split="given")
    stemcore.run(real, output="run")
    test = stemcore.load_run("run").items()["test"]
    values = test.read()
    tables = {p: read_table(paths[p]) for p in "ab"}
    for given, wanted in (("a", "b"), ("b", "a")):
        write_table(Path("x.csv"), test.names, tables[given].features, values[f"input_{given}"])
        assert impute(way=(given, wanted)) == 0
        found, truth = read_table(Path("y.csv")).values, values[f"input_{wanted}"]
        rows = np.isin(tables[wanted].ids, test.names)
        mean = tables[wanted].values[~rows].mean(axis=0)
        assert np.square(found - truth).mean() < 0.95 * np.square(mean - truth).mean()
