"""Bad input: one clear line that says what, where and what would be right, exit code 2, nothing half-written."""

from __future__ import annotations

import os
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

from stemcore.cli.main import execute
from stemcore.plugins import catalogue

DATA_TERMS = ["mse", "l1", "huber", "ssim", "scale_aligned", "poisson_nll"]
Refused = Callable[..., list[str]]
Recipe = Callable[..., Path]
Scan = Callable[..., Path]


def counts(n: int = 64, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, (n, side, side))


def one(lines: list[str], *words: str) -> str:
    """The only line, after checking that it holds every one of ``words``."""
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0], (word, lines[0])
    return lines[0]


# ------------------------------------------------------------------ files


def test_missing_file(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    scan_file("scan_a.h5")
    one(refused("run", on("scan_b.h5")), "scan_b.h5: there is no such file", "did you mean scan_a.h5?")


def test_missing_folder(on: Recipe, refused: Refused) -> None:
    one(refused("run", on("there/scan.h5")), "there/scan.h5: there is no such file", "there is no folder")


def test_a_path_that_was_not_given(refused: Refused) -> None:
    one(refused("run", "stem4d"), "stem4d.yaml:", "data.train.path is required")


def test_no_such_recipe(refused: Refused) -> None:
    one(refused("run", "stem4d-quik"), "stem4d-quik", "did you mean 'stem4d-quick'?")


def test_not_hdf5(on: Recipe, refused: Refused, folder: Path) -> None:
    (folder / "scan.h5").write_bytes(b"\x93NUMPY not an HDF5 file" * 50)
    one(refused("run", on("scan.h5")), "scan.h5: not an HDF5 file", "'tensor' reads .pt, .npy and .npz")


def test_truncated_hdf5(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=counts().astype(np.uint16))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    one(refused("run", on(path)), "scan.h5: truncated", f"{len(whole) // 2:,} bytes", "copy it again")


def test_missing_dataset_lists_what_is_there(on: Recipe, refused: Refused, folder: Path) -> None:
    with h5py.File(folder / "scan.h5", "w") as file:
        file["entry/data/patterns"] = counts(4).astype(np.uint16)
        file["energy"] = 80.0
    one(
        refused("run", on("scan.h5")),
        "scan.h5: there is no dataset 'patterns'",
        "did you mean 'entry/data/patterns'?",
        "entry/data/patterns (4, 16, 16) uint16",
        "energy () float64",
    )


@pytest.mark.parametrize("shape", [(64,), (64, 16), (2, 2, 2, 16, 16)])
def test_wrong_rank(on: Recipe, scan_file: Scan, refused: Refused, shape: tuple[int, ...]) -> None:
    path = scan_file(patterns=np.ones(shape, np.uint16))
    one(refused("run", on(path)), "scan.h5", f"shape {shape}", "(patterns, height, width)", "(scan rows, scan columns")


def test_empty(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=np.ones((0, 16, 16), np.uint16))
    one(refused("run", on(path)), "scan.h5: dataset 'patterns' is empty (shape (0, 16, 16))")


def test_a_single_pattern(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=counts(1).astype(np.uint16))
    one(refused("run", on(path)), "small.yaml:", "the data have a single item, which cannot be trained on")


def test_not_numbers(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=counts().astype(np.complex64))
    one(refused("run", on(path)), "type complex64", "the squared modulus")


def test_a_pattern_too_small_for_the_model(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=counts(side=3).astype(np.uint16))
    one(refused("run", on(path)), "small.yaml:", "3 x 3", "4")


def test_constant_data(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    path = scan_file(patterns=np.full((64, 16, 16), 7, np.uint16))
    one(refused("run", on(path)), "standardize", "leave")


# ------------------------------------------------------------------ values


@pytest.fixture
def spoilt(scan_file: Scan) -> Path:
    """64 patterns; the items 5 and 9 hold 3 NaN, one infinite and two negative values."""
    patterns = counts().astype(np.float32)
    patterns[5, 0, :2] = np.nan
    patterns[9, 3, 3] = np.nan
    patterns[9, 4, 4] = np.inf
    patterns[9, 5, :2] = -1
    return scan_file(patterns=patterns)


@pytest.mark.parametrize("transforms", [["log1p", "standardize"], ["log1p"], []])
def test_invalid_values_are_counted(on: Recipe, spoilt: Path, refused: Refused, transforms: list[str]) -> None:
    recipe = on(spoilt, data={"transforms": {"input": transforms}})
    one(
        refused("run", recipe),
        "scan.h5: 3 NaN and 1 infinite and 2 negative values in 2 items of 'input', first in item 5",
        "set data.invalid to 'mask'",
        "'clip'",
    )


@pytest.mark.parametrize("seed", range(3))
def test_invalid_values_are_found_wherever_the_split_put_them(
    on: Recipe, scan_file: Scan, refused: Refused, seed: int
) -> None:
    """In the validation items, too, before anything is trained or written."""
    patterns = counts().astype(np.float32)
    patterns[::4, 2, 2] = np.nan
    recipe = on(scan_file(patterns=patterns), seed=seed, data={"val": 0.5})
    one(refused("run", recipe), "16 NaN values in 16 items of 'input', first in item 0")


def test_invalid_values_in_validation_data_of_their_own(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    good = scan_file("good.h5", patterns=counts().astype(np.float32))
    patterns = counts(8).astype(np.float32)
    patterns[3] = -1
    bad = scan_file("bad.h5", patterns=patterns)
    recipe = on(good, data={"val": {"type": "hdf5", "path": str(bad)}})
    one(refused("run", recipe), "bad.h5: 256 negative values in 1 items of 'input', first in item 3")


def test_negative_integers(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    patterns = counts().astype(np.int16)
    patterns[40, 0, 0] = -3
    one(refused("run", on(scan_file(patterns=patterns))), "1 negative values in 1 items of 'input', first in item 40")


@pytest.mark.parametrize("invalid", ["clip", "mask"])
def test_invalid_values_can_be_clipped_or_masked(
    on: Recipe, spoilt: Path, stem: Callable[..., Any], folder: Path, invalid: str
) -> None:
    metrics = {"psnr": {}, "ssim": {}, "mse": {}, "r2": {}, "log_correlation": {}, "peak_preservation": {}}
    recipe = on(spoilt, data={"invalid": invalid}, metrics=metrics)
    assert stem("run", recipe, "--output", "out").code == 0
    final = yaml.safe_load((folder / "out/summary.json").read_text())["final"]
    assert {"train/loss", "val/loss", "val/ssim", "val/r2"} <= set(final)
    assert all(np.isfinite(value) for value in final.values()), final


OTHERS = {"accuracy", "dice", "expected_error", "miou", "perplexity"}
"""Metrics of a truth, of codes and of classes, which these scans do not have."""


def test_what_is_masked_has_no_influence(on: Recipe, scan_file: Scan, stem: Callable[..., Any], folder: Path) -> None:
    """Two scans that differ only under their mask give the same weights, bit for bit, and the same scores, with every
    shipped data term and metric."""
    rng = np.random.default_rng(1)
    mask = rng.random((64, 16, 16)) > 0.1
    clean = counts().astype(np.float32)
    hot = np.where(mask, clean, rng.choice([np.nan, np.inf, -5.0, 1e6], clean.shape)).astype(np.float32)
    found = []
    for name, patterns in (("clean", clean), ("hot", hot)):
        path = scan_file(f"{name}.h5", patterns=patterns)
        with h5py.File(path, "a") as file:
            file["mask"] = mask
        losses = {name: {"weight": 0.1} for name in DATA_TERMS}
        metrics = {name: {} for name in catalogue().names("metric") if name not in OTHERS}
        recipe = on(path, train={"mask": "mask"}, data={"invalid": "mask"}, losses=losses, metrics=metrics)
        assert stem("run", recipe, "--output", name).code == 0
        checkpoint = torch.load(folder / name / "checkpoints/last.ckpt", weights_only=True)
        found.append((checkpoint["weights"], yaml.safe_load((folder / name / "summary.json").read_text())["final"]))
    (a, scores_a), (b, scores_b) = found
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert any(n.startswith("transforms.") for n in a)
    assert scores_a == scores_b
    assert all(np.isfinite(value) for value in scores_a.values()), scores_a


# ------------------------------------------------------------------ damage


@pytest.fixture
def damaged(scan_file: Scan) -> Path:
    """64 patterns in chunks of 8; the chunk of the items 24 to 31 cannot be decoded."""
    path = scan_file(patterns=counts().astype(np.uint16), chunks=(8, 16, 16), compression="gzip")
    with h5py.File(path, "r") as file:
        place = file["patterns"].id.get_chunk_info_by_coord((24, 0, 0))
    with path.open("rb+") as f:
        f.seek(place.byte_offset)
        f.write(b"\xff" * place.size)
    return path


@pytest.mark.parametrize("transforms", [["log1p", "standardize"], ["log1p"]])
def test_an_unreadable_chunk_in_the_middle(on: Recipe, damaged: Path, refused: Refused, transforms: list[str]) -> None:
    """Met while fitting, or, where nothing is to be fitted, while training: either way nothing is left behind."""
    recipe = on(damaged, data={"transforms": {"input": transforms}})
    line = one(refused("run", recipe), "scan.h5: pattern ", "(chunk 3) of dataset 'patterns' cannot be read")
    assert "'skip_unreadable: true'" in line
    assert 24 <= int(line.split("pattern ")[1].split()[0]) < 32


def test_an_unreadable_chunk_among_the_validation_items(
    on: Recipe, scan_file: Scan, damaged: Path, refused: Refused
) -> None:
    """Met after the first epoch's training: nothing is left of it, but folders that were there before."""
    good = scan_file("good.h5", patterns=counts().astype(np.uint16))
    recipe = on(good, data={"val": {"type": "hdf5", "path": str(damaged)}})
    one(refused("run", recipe, "--output", "out"), "(chunk 3) of dataset 'patterns' cannot be read")
    Path("runs").mkdir()
    Path("runs/empty").mkdir()
    one(refused("run", recipe, "--output", "runs/empty"), "(chunk 3)")


def test_unreadable_chunks_can_be_left_out(on: Recipe, damaged: Path, stem: Callable[..., Any], folder: Path) -> None:
    assert stem("run", on(damaged, train={"skip_unreadable": True}), "--output", "out").code == 0
    assert yaml.safe_load((folder / "out/environment.json").read_text())["data"]["items"] == 56


# ------------------------------------------------------------------ the recipe


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.latent_dim=0", ["model.latent_dim should be greater than or equal to 1, got 0"]),
        ("model.latent_dim=true", ["model.latent_dim", "integer", "got true"]),
        ('model.latent_dim="32"', ["model.latent_dim", "integer", 'got "32"']),
        ("model.latent_dim=3.5", ["model.latent_dim", "integer", "got 3.5"]),
        ("losses.mse.weight=-1", ["losses.mse.weight", "greater than or equal to 0", "got -1"]),
        ("losses.lp.weight=.nan", ["losses.lp.weight", "finite"]),
        ("data.val=1.5", ["data.val", "less than 1", "got 1.5"]),
        ("model.type=conv_autoencodr", ["unknown model 'conv_autoencodr'", "did you mean 'conv_autoencoder'?"]),
        ("losses.divergance.weight=1", ["unknown loss 'divergance'", "did you mean 'divergence'?"]),
        ("metrics.psnrr={}", ["unknown metric 'psnrr'", "did you mean 'psnr'?"]),
        ("trainer.max_epoch=3", ["unknown key 'max_epoch'", "did you mean 'max_epochs'?"]),
        ("model.latent=3", ["unknown key 'latent'", "did you mean 'latent_dim'?"]),
        ("lossess={}", ["unknown key 'lossess'", "did you mean 'losses'?"]),
        ("trainer.checkpoint.monitor=val/pnsr", ["nothing is logged as 'val/pnsr'", "did you mean 'val/psnr'?"]),
        (
            "trainer.early_stopping={monitor: val/ssim}",
            ["trainer.early_stopping", "nothing is logged as 'val/ssim'"],
        ),
        ("trainer.precision=8", ["trainer.precision", "16-mixed", "bf16-mixed"]),
        ("backend=cuda", ["backend 'cuda' is not available", "available here: cpu"]),
        ("losses.kl={inputs: {mu: mean}}", ["loss 'kl' wants 'mean' (as 'mu'), which nobody provides", "latent"]),
        ("losses.mse.inputs={prediction: predicton}", ["which nobody provides", "did you mean 'prediction'?"]),
        (
            "losses.mse.inputs={predicted: latent}",
            ["loss 'mse' has no input 'predicted'", "did you mean 'prediction'?"],
        ),
        ("losses.mse.inputs={target: target@sqrt}", ["there is no space '@sqrt'", "@physical"]),
        ("data.transforms.inputs=[log1p]", ["no field 'inputs' to transform", "did you mean 'input'?"]),
        ("model.latent_dim", ["an override without '='", "write KEY=VALUE"]),
        ("data.train={type: os.system}", ["unknown dataset 'os.system'"]),
    ],
)
def test_one_mistake(written: Recipe, refused: Refused, override: str, words: list[str]) -> None:
    """On the command line, for ``run`` and ``validate`` alike."""
    recipe = written()
    line = one(refused("run", recipe, override), *words)
    assert override.split("=")[0].split(".")[0] in line  # where: the key, or the override
    assert refused("validate", recipe, override) == [line]


def test_batches_that_would_all_be_left_out(written: Recipe, refused: Refused) -> None:
    recipe = written(data={"drop_last": True})
    words = ["data.batch_size", "a batch of 5000 is larger than", "1024", "data.drop_last", "at most 1024"]
    one(refused("run", recipe, "data.batch_size=5000"), *words)


def test_a_metric_that_needs_a_truth_which_the_data_lack(on: Recipe, scan_file: Scan, refused: Refused) -> None:
    recipe = on(scan_file(), metrics={"expected_error": {}})
    one(refused("validate", recipe), "metric 'expected_error' wants 'expected', which nobody provides", "the data give")


def test_no_validation_with_early_stopping_on_it(written: Recipe, refused: Refused) -> None:
    recipe = written(data={"val": 0}, trainer={"early_stopping": {"monitor": "val/loss"}})
    line = one(refused("run", recipe), "trainer.early_stopping.monitor is val/loss, but data.val is 0", "train/loss")
    assert line.startswith(f"small.yaml:{line_of(recipe, 'monitor: val/loss')}: ")


def test_without_validation_and_without_early_stopping_it_trains(
    written: Recipe, stem: Callable[..., Any], folder: Path
) -> None:
    assert stem("run", written(data={"val": 0}), "--output", "out", "--fast-dev-run").code == 0
    assert (folder / "out/checkpoints/best.ckpt").is_file()


MISTAKES = """\
stem: 1
name: mistaken
data:
  train: {type: sample}
  batch_size: many
  vall: 0.2
model:
  type: conv_autoencoder
  latent_dim: 0
losses:
  mse: {weight: -1}
  divergance: {}
optimizer: {type: adam, lr: 1e-3}
trainer: {max_epochs: 2.5}
"""


@pytest.mark.parametrize("verb", ["run", "validate"])
def test_every_mistake_at_once_each_with_file_and_line(refused: Refused, folder: Path, verb: str) -> None:
    Path("mistaken.yaml").write_text(MISTAKES)
    lines = refused(verb, "mistaken.yaml", "metrics.pnsr={}")
    expected = {
        5: "data.batch_size should be a valid integer",
        6: "unknown key 'vall'; did you mean 'val'?",
        9: "model.latent_dim should be greater than or equal to 1, got 0",
        11: "losses.mse.weight should be greater than or equal to 0, got -1",
        12: "unknown loss 'divergance'; did you mean 'divergence'?",
        14: "trainer.max_epochs should be a valid integer",
    }
    for number, message in expected.items():
        assert any(line.startswith(f"mistaken.yaml:{number}: ") and message in line for line in lines), (message, lines)
    assert any("metrics.pnsr={} on the command line: " in line and "'psnr'" in line for line in lines)
    assert len(lines) == len(expected) + 1


def line_of(path: Path, text: str) -> int:
    lines = path.read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


# ------------------------------------------------------------------ YAML


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model:\n\ttype: conv_autoencoder\n", ["bad.yaml:2: a tab; YAML is indented by spaces"]),
        ("seed: 1\nmodel: {}\nseed: 2\n", ["bad.yaml:3: key 'seed' stands here again, first at bad.yaml:1"]),
        ("model: &a\n  encoder: *a\n", ["bad.yaml:", "refers to the value that it stands in"]),
        ("model: [\n", ["bad.yaml:", "not valid YAML"]),
        ("model: !!python/object/apply:os.system [touch owned]\n", ["bad.yaml:1", "a recipe is plain data"]),
        ("- 1\n- 2\n", ["bad.yaml", "mapping"]),
    ],
)
def test_yaml_that_is_no_recipe(refused: Refused, text: str, words: list[str]) -> None:
    Path("bad.yaml").write_text(text)
    lines = refused("run", "bad.yaml")
    assert any(all(word in line for word in words) for line in lines), lines


def test_numbers_without_a_point_are_numbers(refused: Refused, written: Recipe, stem: Callable[..., Any]) -> None:
    """PyYAML by itself reads ``1e-4`` as text."""
    path = written()
    text = path.read_text()
    assert "lr: 0.001" in text
    path.write_text(text.replace("lr: 0.001", "lr: 1e-4"))
    resolved = stem("validate", path, "losses.lp.weight=5e-5", "--resolved")
    assert resolved.code == 0
    document = yaml.safe_load(resolved.out)
    assert (document["optimizer"]["lr"], document["losses"]["lp"]["weight"]) == (0.0001, 0.00005)
    one(refused("validate", path, 'optimizer.lr="1e-4"'), "optimizer.lr", 'got "1e-4"')


# ------------------------------------------------------------------ outputs and checkpoints


@pytest.fixture
def trained(written: Recipe, stem: Callable[..., Any], folder: Path) -> Path:
    assert stem("run", written(), "--output", "out", "--fast-dev-run").code == 0
    return Path("out")


def test_an_output_that_holds_another_run(trained: Path, written: Recipe, refused: Refused) -> None:
    one(refused("run", written(), "--output", trained), "out: the output directory holds another run", "--resume out")


def test_an_output_that_holds_something_else(written: Recipe, refused: Refused, folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes/diary.txt").write_text("dear diary")
    one(refused("run", written(), "--output", "notes"), "notes: the output exists and is not an empty directory")
    one(refused("run", written(), "--output", "notes/diary.txt"), "notes/diary.txt: the output exists")
    one(refused("run", written(), "--output", "notes/diary.txt/run"), "notes/diary.txt")


def test_an_output_that_cannot_be_written(written: Recipe, stem: Callable[..., Any]) -> None:
    said = stem("run", written(), "--output", "/proc/out")
    assert (said.code, len(said.lines)) == (2, 1), said
    assert "/proc/out" in said.err


def test_resuming_from_another_models_checkpoint(
    trained: Path, written: Recipe, stem: Callable[..., Any], refused: Refused
) -> None:
    assert stem("run", written(), "model.latent_dim=9", "--output", "other", "--fast-dev-run").code == 0
    Path("out/checkpoints/last.ckpt").write_bytes(Path("other/checkpoints/last.ckpt").read_bytes())
    one(
        refused("run", written(), "--resume", "out"),
        "out/checkpoints/last.ckpt: it holds the weights of another model",
        "use a checkpoint of the same model configuration",
    )
    one(refused("run", written(), "--init-from", "other", "--output", "new"), "weights of another model", "(9")


@pytest.mark.parametrize("option", ["--resume", "--init-from"])
def test_a_checkpoint_that_is_none(trained: Path, written: Recipe, refused: Refused, option: str) -> None:
    one(refused("run", written(), option, "nowhere"), "nowhere: there is no such run or checkpoint", ".ckpt")
    Path("out/checkpoints/last.ckpt").write_bytes(b"garbage")
    found = refused("run", written(), option, "out/checkpoints/last.ckpt")
    one(found, "out/checkpoints/last.ckpt: it cannot be read as a checkpoint")


def test_resume_refuses_what_would_change_the_result(trained: Path, written: Recipe, refused: Refused) -> None:
    lines = refused("run", written(), "--resume", trained, "model.latent_dim=5", "optimizer.lr=1")
    assert len(lines) == 2
    assert "model.latent_dim: it is 4 in the run and 5 now, which would change the result" in lines[0]
    one(refused("run", written(), "--resume", trained, "--output", "new"), "--resume", "--output")


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("content", [Malicious(), {"patterns": Malicious()}])
def test_a_pt_file_that_holds_code(on: Recipe, refused: Refused, folder: Path, content: Any) -> None:
    torch.save(content, folder / "scan.pt")
    recipe = on("scan.pt", train={"type": "tensor"})
    one(refused("run", recipe), "scan.pt: ", "refused", "code")
    assert not Path("owned").exists()


def test_a_checkpoint_that_holds_code(written: Recipe, refused: Refused, folder: Path) -> None:
    torch.save({"format": 1, "weights": Malicious()}, folder / "evil.ckpt")
    one(refused("run", written(), "--init-from", "evil.ckpt"), "evil.ckpt: it cannot be read as a checkpoint")
    assert not Path("owned").exists()


# ------------------------------------------------------------------ runs applied to data


def test_applying_what_is_no_run(refused: Refused, folder: Path) -> None:
    (folder / "empty").mkdir()
    one(refused("encode", "empty", "--out", "z.h5"), "empty: it holds no run", "checkpoints/")
    one(refused("evaluate", "nowhere"), "nowhere: there is no such run")


def test_applying_to_data_that_do_not_fit(trained: Path, scan_file: Scan, refused: Refused) -> None:
    scan_file("wide.h5", patterns=counts(side=32).astype(np.uint16))
    for verb in (["encode", "out", "--out", "z.h5"], ["reconstruct", "out", "--out", "r.h5"], ["evaluate", "out"]):
        one(refused(*verb, "--data", "wide.h5"), "wide.h5", "shape (1, 32, 32)", "trained on (1, 64, 64)")
        one(refused(*verb, "--data", "gone.h5"), "gone.h5: there is no such file", "the folder has wide.h5")


def test_applying_to_damaged_data_leaves_no_file(
    on: Recipe, scan_file: Scan, damaged: Path, stem: Callable[..., Any], refused: Refused
) -> None:
    good = scan_file("good.h5", patterns=counts().astype(np.uint16))
    assert stem("run", on(good), "--output", "out", "--fast-dev-run").code == 0
    for verb, file in (("encode", "z.h5"), ("encode", "z.npz"), ("reconstruct", "r.h5")):
        one(refused(verb, "out", "--out", file, "--data", damaged), "cannot be read", "pattern ")


def test_outputs_of_a_wrong_kind(trained: Path, refused: Refused) -> None:
    one(refused("encode", "out", "--out", "z.csv"), "z.csv: the output must end in .h5")
    one(refused("reconstruct", "out", "--out", "r.npz"), "r.npz: the output must end in .h5")
    one(refused("encode", "out", "--out", "gone/z.h5"), "gone: there is no such folder to write to")


# ------------------------------------------------------------------ as a process


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "small.yaml", "data.train={type: hdf5, path: flat.h5}"], ["standardize"]),
        (["rnu", "small.yaml"], ["unknown verb 'rnu'", "did you mean 'run'?"]),
    ],
)
def test_as_a_process(written: Recipe, scan_file: Scan, folder: Path, args: list[str], words: list[str]) -> None:
    """The same from a shell; only there can what libraries print as they are imported be seen."""
    scan_file("flat.h5", patterns=np.full((100, 64, 64), 7, np.uint16))
    written()
    before = sorted(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "stemcore.cli", "-q", *args], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    one(done.stderr.splitlines(), "error: ", *words)
    assert sorted(folder.iterdir()) == before


def test_libraries_print_nothing_of_their_own(written: Recipe, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """HDF5 would write to the file descriptor, past Python's stderr."""
    args = ["-q", "run", str(written()), "data.train={type: hdf5, path: gone.h5}"]
    before = sorted(folder.iterdir())
    assert execute(args) == 2
    out, err = capfd.readouterr()
    assert out == ""
    one(err.splitlines(), "error: ", "gone.h5: there is no such file")
    assert sorted(folder.iterdir()) == before
