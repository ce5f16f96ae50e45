"""Every recipe of paired models, on real tables: mRNA and proteins of 150 breast tumours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from stem_paired.comparison import compare
from stem_paired.plugin import stem_recipes

from stemcore import Run, UserError, load_recipe, load_run, run
from stemcore.cli.main import execute
from stemcore.progress import reporter

OMICS = Path(__file__).resolve().parents[4] / "shared" / "data" / "omics" / "breast_tcga"
NAMES = sorted(stem_recipes())
TABLES = ["data.train.a=/data/a.csv", "data.train.b=/data/b.csv"]
QUIET = reporter(quiet=True)
FEW = {"latent_dim": 16, "encoder": "[64]", "decoder": "[64]"}
SMALLER: dict[str, dict[str, Any]] = {
    "joint-vae-vampprior": {"pseudo_inputs": 20},
    "generative-vae": {"denoiser": "[64]", "draws": 2},
    "generative-vae-gan": {"critic": "[32]"},
    "res-unet": {"widths": "[64, 32]"},
}


def small(name: str, epochs: int = 40) -> list[str]:
    """What makes a recipe a matter of seconds, on the fixed split."""
    data = {"a": OMICS / "mrna.csv", "b": OMICS / "protein.csv", "metadata": OMICS / "split.csv"}
    model = SMALLER.get(name, {}) if name == "res-unet" else {**FEW, **SMALLER.get(name, {})}
    return [
        *(f"data.train.{key}={value}" for key, value in data.items()),
        *("data.train.split_column=split", "data.split=given", "data.batch_size=32", "loggers=[]", "figures=null"),
        *(f"model.{key}={value}" for key, value in {**model, "dropout": 0.2}.items()),
        *(f"trainer.max_epochs={epochs}", "trainer.val_every_n_epochs=5", "trainer.checkpoint.save_top_k=1"),
        *("backend=cpu", "optimizer.main.lr=3e-3" if name.endswith("gan") else "optimizer.lr=3e-3"),
    ]


@pytest.fixture(scope="module", autouse=True)
def _needs_the_tables() -> None:
    if not OMICS.is_dir():
        pytest.skip("needs ../shared/data/omics")


@pytest.fixture(scope="module")
def joint_vae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of ``joint-vae``, with its figures."""
    options = [o for o in small("joint-vae", 30) if o != "figures=null"]
    options[options.index("trainer.val_every_n_epochs=5")] = "trainer.val_every_n_epochs=10"
    return run("joint-vae", overrides=options, output=tmp_path_factory.mktemp("runs") / "joint-vae", reporter=QUIET)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_and_stays_so_when_written(name: str) -> None:
    recipe = load_recipe(name, TABLES)
    assert recipe.name == name
    assert load_recipe(recipe.document()) == recipe
    text = (Path(__file__).parents[1] / "stem_paired" / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    assert f"stem run {name} " in text


def test_the_original_has_the_defaults_of_its_script() -> None:
    recipe = load_recipe("joint-vae-original", TABLES)
    model = recipe.model.arguments
    assert (model["latent_dim"], model["encoder"], model["decoder"]) == (128, [1024], [512])
    assert (model["activation"], model["dropout"]) == ("leaky_relu", 0.15)
    assert model["batch_norm"]
    assert model["residual"]
    weights = {key: term.weight for key, term in recipe.losses.items()}
    assert weights["recon_a"] + weights["recon_b"] == pytest.approx(0.9)
    assert weights["cross_a"] + weights["cross_b"] == pytest.approx(1.4)
    assert weights["kl_a"] + weights["kl_b"] == pytest.approx(0.00014)
    assert weights["align"] == 1.9
    assert recipe.losses["align"].component.arguments == {"bandwidth": 1.0, "unbiased": True}
    assert recipe.optimizer["default"].component.arguments["lr"] == 4e-4
    assert recipe.data.augment[0].arguments["std"] == 0.4
    trainer = recipe.trainer
    assert (trainer.max_epochs, trainer.gradient_clip_val, recipe.data.batch_size) == (200, 0.65, 256)
    assert (trainer.early_stopping.patience, trainer.checkpoint.save_top_k) == (10, 3)
    assert (recipe.scheduler.arguments["patience"], recipe.scheduler.arguments["factor"]) == (5, 0.5)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "joint-vae"])
def test_it_learns_to_impute_both_ways(name: str, tmp_path: Path) -> None:
    run(name, overrides=small(name), output=tmp_path / name, reporter=QUIET)
    beats_the_mean(tmp_path / name)


def test_joint_vae_learns_to_impute_both_ways(joint_vae: Run) -> None:
    beats_the_mean(joint_vae.directory)
    drawn = {path.stem.split("_epoch")[0] for path in joint_vae.figures}
    assert drawn == {"loss", "imputed_a", "imputed_b", "latents"}
    assert 0 < joint_vae.summary["best"]["val/r_b_feature_mean"]["value"] < 1


def beats_the_mean(directory: Path) -> None:
    """On the 30 tumours that were held out: nobody knew them before."""
    found = compare([directory], ["mean"])
    assert (found.part, found.items) == ("test", 30)
    for source in "ab":
        ours, mean = (r for r in found.results if r.source == source)
        assert (ours.is_run, mean.method) == (True, "mean")
        assert ours.scores["feature r mean"] > 0.15
        assert ours.scores["R2 mean"] > mean.scores["R2 mean"]
        assert ours.scores["sample r mean"] > 0.15


def test_comparison_is_that_of_scikit_learn(joint_vae: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "compared"
    code = execute(["compare", str(joint_vae.directory), "--baselines", "mean,ridge", "--out", str(out), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (code, document["part"], document["items"]) == (0, "test", 30)
    (found,) = (r for r in document["results"] if (r["from"], r["method"]) == ("a", "ridge"))
    alpha = float(found["setting"].removeprefix("alpha "))
    items = joint_vae.items()
    seen = [items[part].read() for part in ("train", "val")]
    held_out = items["test"].read()
    a, b = (StandardScaler().fit(np.concatenate([rows[f"input_{p}"] for rows in seen])) for p in "ab")
    known = [scaler.transform(np.concatenate([r[f"input_{p}"] for r in seen])) for p, scaler in (("a", a), ("b", b))]
    predicted = Ridge(alpha=alpha).fit(*known).predict(a.transform(held_out["input_a"]))
    measured = b.transform(held_out["input_b"])
    by_feature = [pearsonr(p, m)[0] for p, m in zip(predicted.T, measured.T, strict=True)]
    by_sample = [pearsonr(p, m)[0] for p, m in zip(predicted, measured, strict=True)]
    assert found["scores"]["feature r median"] == pytest.approx(np.median(by_feature), abs=1e-4)
    assert found["scores"]["feature r mean"] == pytest.approx(np.mean(by_feature), abs=1e-4)
    assert found["scores"]["sample r mean"] == pytest.approx(np.mean(by_sample), abs=1e-4)
    table = np.genfromtxt(out / "features.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert list(table.dtype.names) == ["platform", "feature", "jointvae", "mean", "ridge"]
    np.testing.assert_allclose(table["ridge"][table["platform"] == "b"], by_feature, atol=1e-4)
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "scores.csv").read_text().count("\n") == 7


def test_every_baseline_in_a_table(joint_vae: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["compare", str(joint_vae.directory), "--part", "val"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "val: 12 samples"
    rows = [line.split()[:4] for line in lines[2:14]]
    methods = ["joint-vae", "mean", "knn", "wnn", "ridge", "pls"]
    assert [row[3] for row in rows] == methods * 2
    assert {tuple(row[:3]) for row in rows} == {("a", "->", "b"), ("b", "->", "a")}
    assert all(Path(path).is_file() for path in lines[14:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baselines", "mean,rigde"], "--baselines: there is no baseline 'rigde'; choose from mean, knn"),
        (["--out", "nowhere/out"], "nowhere: there is no such folder to write to"),
    ],
)
def test_what_compare_refuses(
    joint_vae: Run, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["compare", str(joint_vae.directory), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_runs_that_hold_out_other_samples_are_not_compared(joint_vae: Run, tmp_path: Path) -> None:
    options = [o for o in small("joint-vae", 1) if o != "data.split=given"]
    other = run("joint-vae", overrides=options, output=tmp_path / "other", reporter=QUIET)
    with pytest.raises(UserError, match="other: it was trained on other samples, or holds out others"):
        compare([joint_vae.directory, other.directory], [])


def test_a_platform_is_imputed_without_the_data_that_it_was_trained_on(joint_vae: Run, tmp_path: Path) -> None:
    held_out = joint_vae.items()["test"]
    table = held_out.read()["input_a"]
    assert held_out.names[0] == "A0FJ"
    moved = joint_vae.directory.rename(tmp_path / "moved")
    try:
        loaded = load_run(moved)
        assert loaded.fields["input_b"].features[:2] == ("14-3-3_epsilon", "4E-BP1")
        once, again = (loaded.impute({"input_a": table})["input_b"] for _ in range(2))
        np.testing.assert_array_equal(once, again)
        assert once.shape == (30, 142)
        draws = loaded.impute({"input_a": table}, draws=3)["input_b"]
        assert draws.shape == (3, 30, 142)
        assert draws.std(axis=0).min() > 0
        with pytest.raises(UserError, match="'input_a' has shape"):
            loaded.impute({"input_a": table[:, :5]})
        with pytest.raises(UserError, match="knows no field 'input_c'"):
            loaded.impute({"input_c": table})
    finally:
        moved.rename(joint_vae.directory)


def test_columns_in_another_order_are_refused(joint_vae: Run, tmp_path: Path) -> None:
    for name in ("mrna", "protein", "split"):
        lines = [line.split(",") for line in (OMICS / f"{name}.csv").read_text().splitlines()]
        if name == "protein":
            lines = [[row[0], row[2], row[1], *row[3:]] for row in lines]
        (tmp_path / f"{name}.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    said = "'input_b' has other features: 4E-BP1 where the run was trained on 14-3-3_epsilon"
    with pytest.raises(UserError, match=said):
        joint_vae.encode(data=tmp_path)
