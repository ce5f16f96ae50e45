"""What a microscopist does with a scan of their own: train on it, look at the run, apply it to new data."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

from tests.acceptance.conftest import environment

SCANS = ["ws2_wse2_64.h5", "au_48.h5"]
SETTINGS = ["model.latent_dim=32", "trainer.max_epochs=3", "losses.divergence.weight=2e-4"]
SMALLER = [
    "data.transforms.input=[{type: bin, factor: 4}, log1p, standardize]",
    "data.batch_size=64",
    "model.channels=[8, 16]",
]
FEW_MAPS = "figures.latent_maps.maximum=4"
TERMS = ["loss", "mse", "lp", "divergence"]
METRICS = [
    *("psnr", "ssim", "metric_mse", "peak_preservation", "range_preservation", "log_correlation"),
    *("center_mse", "weighted_mse"),
]


def cut(scan: Path, folder: Path, rows: slice, name: str = "cut.h5") -> Path:
    """Some rows of a scan, 16 columns of each, as a 4-D scan."""
    with h5py.File(scan) as file:
        patterns = file["patterns"][:].reshape(*file["scan_shape"][:], 128, 128)[rows, :16]
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("patterns", data=patterns, chunks=(1, 16, *patterns.shape[2:]), compression="gzip")
    return folder / name


@pytest.fixture(scope="module")
def trained(shared_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run ``out``, made by the command line on a cut of a real-physics scan."""
    from stemcore.cli.main import execute

    folder = tmp_path_factory.mktemp("microscopist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        path = cut(shared_scans / SCANS[0], folder, slice(0, 16))
        args = [
            "run",
            "stem4d",
            f"data.train.path={path}",
            *SETTINGS,
            *SMALLER,
            FEW_MAPS,
            "--output",
            str(folder / "out"),
            "-q",
        ]
        assert execute(args) == 0
    return folder


def weights(directory: Path, name: str = "last.ckpt") -> dict[str, torch.Tensor]:
    return torch.load(directory / "checkpoints" / name, weights_only=True)["weights"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def holds_all_that_the_design_lists(out: Path, scan: Path, epochs: int) -> None:
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    events = {name for name in files if name.startswith("tensorboard/")}
    figures = {f"figures/{name}_epoch{epochs:03d}.png" for name in ("reconstruction", "latent_maps")}
    assert events
    assert files - events == {
        *("recipe.yaml", "environment.json", "metrics.csv", "log.txt", "summary.json"),
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt", "figures/loss.png", "transforms/input.json"),
        *figures,
    }

    recipe = yaml.safe_load((out / "recipe.yaml").read_text())
    assert recipe["model"]["latent_dim"] == 32
    assert recipe["losses"]["divergence"]["weight"] == 2e-4
    assert recipe["trainer"]["max_epochs"] == epochs
    assert recipe["data"]["train"]["path"] == str(scan)

    around = json.loads((out / "environment.json").read_text())
    assert {"stemcore", "torch", "lightning-fabric"} <= around["versions"].keys()
    assert around["plugins"]["models"].startswith("stemcore ")
    assert around["device"]
    assert "git" in around
    assert len(around["data"]["fingerprint"]) == 64

    for name in ("best.ckpt", "last.ckpt"):
        contents = torch.load(out / "checkpoints" / name, weights_only=True)
        assert any(n.startswith("model.") for n in contents["weights"])
        assert any(n.startswith("transforms.") and n.endswith(".std") for n in contents["weights"])
        assert {"optimizers", "schedulers", "random", "epoch", "batch", "meter"} <= contents["training"].keys()

    with (out / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    assert [int(float(row["epoch"])) for row in rows] == list(range(1, epochs + 1))
    for name in [f"{part}/{term}" for part in ("train", "val") for term in TERMS] + [f"val/{m}" for m in METRICS]:
        assert all(np.isfinite(float(row[name])) for row in rows), name
    assert float(rows[-1]["train/mse"]) < float(rows[0]["train/mse"])

    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["final"]["val/psnr"] == pytest.approx(float(rows[-1]["val/psnr"]))
    best = min(range(epochs), key=lambda i: float(rows[i]["val/loss"]))
    lowest = {"value": pytest.approx(float(rows[best]["val/loss"])), "epoch": best + 1, "direction": "min"}
    assert summary["best"]["val/loss"] == lowest
    assert summary["wall_seconds"] > 0
    assert summary["items_per_second"] > 0
    log = (out / "log.txt").read_text()
    assert "training stem4d" in log
    assert "finished" in log


def test_a_run_on_a_scan_of_ones_own(trained: Path) -> None:
    holds_all_that_the_design_lists(trained / "out", trained / "cut.h5", epochs=3)


def test_tensorboard_shows_terms_rate_metrics_and_figures(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "out" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/divergence", "val/mse", "val/psnr", "lr"} <= set(tags["scalars"])
    assert len(events.Scalars("val/psnr")) == 3
    assert {"loss", "reconstruction", "latent_maps"} <= set(tags["images"])


def test_the_resolved_recipe_run_again_is_the_same_run(trained: Path, stem: Callable[..., Any], folder: Path) -> None:
    recipe = trained / "out" / "recipe.yaml"
    assert stem("validate", recipe, "--resolved").out == recipe.read_text()
    assert stem("run", recipe, "figures=null", "--output", "again").code == 0  # pictures take longer than training here
    assert same(weights(folder / "again"), weights(trained / "out"))
    assert (folder / "again/metrics.csv").read_text() == (trained / "out/metrics.csv").read_text()


def test_a_notebook_gets_the_same_as_the_command_line(trained: Path, folder: Path) -> None:
    """Cells run in an event loop, where there already is one."""
    from stemcore import load_recipe, load_run, run

    async def cells() -> None:
        recipe = load_recipe("stem4d", [f"data.train.path={trained / 'cut.h5'}", *SETTINGS, *SMALLER])
        assert recipe.model.arguments["latent_dim"] == 32
        recipe = load_recipe(recipe.document(), ["figures.reconstruction=null", "figures.latent_maps=null"])
        made = run(recipe, output=folder / "out")
        assert same(weights(made.directory), weights(trained / "out"))
        assert same(weights(made.directory, "best.ckpt"), weights(trained / "out", "best.ckpt"))
        ours, theirs = made.summary, load_run(trained / "out").summary
        assert (ours["final"], ours["best"]) == (theirs["final"], theirs["best"])
        again = load_run(folder / "out")
        latents = again.encode()
        assert isinstance(latents, np.ndarray)
        assert latents.shape == (16, 16, 32)
        assert np.isfinite(latents).all()
        assert [path.name for path in again.figures] == ["loss.png"]

    asyncio.run(cells())


def by_hand(run: Path, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents and reconstructions of patterns (n, 128, 128), with the network alone: everything around it in NumPy."""
    from stemcore import load_run

    model = load_run(run).load()[0].model
    kept = weights(run, "best.ckpt")
    mean, std = (float(next(t for n, t in kept.items() if n.startswith("transforms.") and n.endswith(e)))
                 for e in (".mean", ".std"))  # fmt: skip
    n, h, w = patterns.shape
    binned = patterns.astype(np.float64).reshape(n, h // 4, 4, w // 4, 4).sum(axis=(2, 4))
    x = torch.from_numpy(((np.log1p(binned) - mean) / std).astype(np.float32))[:, None]
    with torch.no_grad():
        outputs = model(input=x)
    prediction = outputs["prediction"][:, 0].numpy().astype(np.float64)
    return outputs["latent"].numpy(), np.expm1(prediction * std + mean)


def test_new_data_are_encoded_and_reconstructed(
    trained: Path, shared_scans: Path, stem: Callable[..., Any], folder: Path
) -> None:
    new = cut(shared_scans / SCANS[0], folder, slice(20, 25), "new.h5")
    out = trained / "out"
    with h5py.File(new) as file:
        patterns = file["patterns"][:]
    latents, counts = by_hand(out, patterns.reshape(-1, 128, 128))
    for name in ("z.h5", "z.npz"):
        assert stem("encode", out, "--data", new, "--out", name).code == 0
    with h5py.File("z.h5") as file:
        found = file["latents"]
        assert found.shape == (5, 16, 32)
        np.testing.assert_allclose(found[:].reshape(-1, 32), latents, rtol=1e-4, atol=1e-5)
        assert found.attrs["source"] == str(new)
    np.testing.assert_allclose(np.load("z.npz")["latents"].reshape(-1, 32), latents, rtol=1e-4, atol=1e-5)
    assert np.load("z.npz")["latents"].shape == (5, 16, 32)
    assert stem("reconstruct", out, "--data", new, "--out", "r.h5").code == 0
    with h5py.File("r.h5") as file:
        found = file["patterns"]
        assert found.shape == (5, 16, 32, 32)
        assert found.attrs["unit"] == "counts"
        np.testing.assert_allclose(found[:].reshape(-1, 32, 32), counts, rtol=1e-3, atol=1e-4)
    assert sorted(path.name for path in folder.iterdir()) == ["new.h5", "r.h5", "z.h5", "z.npz"]


def test_evaluation_is_one_json_document_with_simple_predictions_beside(
    trained: Path, stem: Callable[..., Any]
) -> None:
    said = stem("evaluate", trained / "out", "--json")
    assert said.code == 0
    document = json.loads(said.out)
    scores = document["scores"]
    assert document["data"] == "validation split"
    assert document["items"] == 51
    assert list(scores) == ["model", "zeros", "mean", "pca32"]
    final = json.loads((trained / "out/summary.json").read_text())["best"]["val/loss"]["epoch"]
    with (trained / "out/metrics.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["train/loss"] and int(float(r["epoch"])) == final)
    for name, logged in (("psnr", "psnr"), ("mse", "metric_mse"), ("log_correlation", "log_correlation")):
        assert scores["model"][name] == pytest.approx(float(row[f"val/{logged}"]), rel=1e-4)
    assert scores["zeros"]["mse"] > scores["mean"]["mse"] > scores["pca32"]["mse"]
    with h5py.File(trained / "cut.h5") as file:
        patterns = file["patterns"][:].reshape(-1, 32, 4, 32, 4).sum(axis=(2, 4)).astype(np.float64)
    order = np.random.default_rng([42, 0x5EED]).permutation(256)
    held_out = patterns[np.sort(order[:51])]
    assert scores["zeros"]["mse"] == pytest.approx((held_out**2).mean(), rel=1e-5)
    mean = patterns[np.sort(order[51:])].mean(axis=0)
    assert scores["mean"]["mse"] == pytest.approx(((held_out - mean) ** 2).mean(), rel=1e-5)


PEAK = """
import resource, sys
from stemcore import load_run
from stemcore.progress import reporter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)

run, quiet = load_run("out"), reporter(quiet=True)
for data in ("small.h5", "small.h5", "large.h5"):
    run.encode("z.h5", data=data, reporter=quiet)
    run.reconstruct("r.h5", data=data, reporter=quiet)
    print(peak())
"""


def test_memory_does_not_grow_with_the_data(
    on: Callable[..., Path], scan_file: Callable[..., Path], stem: Callable[..., Any], folder: Path
) -> None:
    """The reconstruction of the large file alone is 78 MiB, that of the small one 16."""
    rng = np.random.default_rng(0)
    patterns = rng.poisson(2.0, (1000, 64, 64)).astype(np.uint16)
    small = scan_file("small.h5", patterns=patterns, chunks=(50, 64, 64))
    with h5py.File(folder / "large.h5", "w") as file:
        data = file.create_dataset("patterns", (5000, 64, 64), "uint16", chunks=(50, 64, 64))
        for start in range(0, 5000, 1000):
            data[start : start + 1000] = patterns
    recipe = on(small, model={"channels": [2, 4]}, metrics={}, data={"batch_size": 128})
    assert stem("run", recipe, "--output", "out", "--fast-dev-run").code == 0
    command = [sys.executable, "-c", PEAK]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    _, before, after = map(float, done.stdout.split())
    assert after - before < 40, f"{before:.0f} MiB at 1000 patterns, {after:.0f} MiB at 5000"
    with h5py.File("r.h5") as file:
        assert file["patterns"].shape == (5000, 64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCANS)
def test_the_whole_of_both_scans(shared_scans: Path, stem: Callable[..., Any], folder: Path, name: str) -> None:
    scan = shared_scans / name
    assert stem("run", "stem4d", f"data.train.path={scan}", *SETTINGS, "--output", "OUT").code == 0
    holds_all_that_the_design_lists(folder / "OUT", scan, epochs=3)
    with h5py.File(scan) as file:
        items = len(file["patterns"])
    side = int(items**0.5)
    assert stem("encode", "OUT", "--out", "z.h5").code == 0
    with h5py.File("z.h5") as file:
        assert file["latents"].shape == (side, side, 32)
