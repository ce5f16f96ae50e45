"""``stem probe`` on runs: a scan with known grains, and a scene whose model gives features of places."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from stem_probes.places import majority

import stemcore
from stemcore import UserError, load_run
from stemcore.cli.main import execute

JASPER = Path(__file__).resolve().parents[4] / "shared" / "data" / "hyperspectral" / "jasper_ridge.h5"
RECIPE = {
    "name": "probed",
    "seed": 1,
    "data": {
        "train": {"type": "hdf5", "path": "scan.h5"},
        "val": 0.1,
        "transforms": {"input": ["sqrt", "standardize"]},
        "batch_size": 32,
    },
    "model": {"type": "conv_autoencoder", "latent_dim": 8, "channels": [16], "blocks": 0, "norm": "none"},
    "losses": {"mse": {}},
    "optimizer": {"type": "adam", "lr": 5e-3},
    "trainer": {"max_epochs": 5, "val_every_n_epochs": 5},
    "backend": "cpu",
    "loggers": [],
    "figures": {},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run on the bundled scan, binned 4 x 4, and its grains."""
    folder = tmp_path_factory.mktemp("probe")
    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as sample:
        patterns, grains = sample["patterns"][()], sample["labels"][()]
    with h5py.File(folder / "scan.h5", "w") as scan:
        scan["patterns"] = patterns.reshape(-1, 16, 4, 16, 4).sum(axis=(2, 4)).astype(np.uint16)
        scan.attrs["scan_shape"] = (32, 40)
        scan["grains"], scan["level"] = grains, patterns.mean(axis=(1, 2)).reshape(32, 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        stemcore.run(RECIPE, output=folder / "run")
    return folder


@pytest.fixture(autouse=True)
def _here(request, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(request.getfixturevalue("place") if "place" in request.fixturenames else tmp_path)


def probe(options: str, run: str = "run") -> int:
    return execute(["-q", "probe", *shlex.split(f"{run} {options}")])


def read(folder: Path) -> dict:
    return json.loads((folder / "scores.json").read_text())


def test_grains_are_told_from_latents_far_better_than_by_chance(place, tmp_path, capsys) -> None:
    assert probe(f"--labels scan.h5:grains --per-class 5 --repeats 3 --no-baselines --out {tmp_path}/p") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "scan.h5:grains: 1214 labelled items, 8 features"
    assert printed[1] == "3 draws, split by item: 35 to train on, 1179 to score"
    assert [line.split()[0] for line in printed[4:7]] == ["features/linear", "features/knn", "majority"]
    assert printed[-3:] == [f"{tmp_path}/p/{name}" for name in ("scores.json", "predictions.csv", "confusion.png")]
    found = read(tmp_path / "p")
    scores = found["scores"]
    assert scores["majority"]["accuracy"]["mean"] == pytest.approx(468 / 1179)
    assert scores["majority"]["balanced_accuracy"]["mean"] == pytest.approx(1 / 7)
    for name in ("features/linear", "features/knn"):
        assert scores[name]["accuracy"]["mean"] > 0.7
        assert scores[name]["balanced_accuracy"]["mean"] > 0.6
    assert found["classes"] == {"0": 473, "3": 112, "4": 106, "5": 44, "6": 64, "7": 243, "8": 172}
    assert (tmp_path / "p" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_are_those_that_the_scores_are_of(place, tmp_path) -> None:
    assert probe(f"--labels scan.h5:grains --per-class 3 --repeats 2 --no-baselines --out {tmp_path}") == 0
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = read(tmp_path)["scores"]
    latents = load_run("run").encode().reshape(-1, 8)
    with h5py.File("scan.h5") as scan:
        grains = scan["grains"][()]
    right = []
    for number in ("0", "1"):
        scored = [row for row in rows if row["draw"] == number]
        assert all(grains[int(r["row"]), int(r["column"])] == int(r["label"]) for r in scored)
        items = np.array([int(row["item"]) for row in scored])
        train = np.setdiff1d(np.flatnonzero(grains.ravel() >= 0), items)
        scaler = StandardScaler().fit(latents[train])
        plain = LogisticRegression(max_iter=5000).fit(scaler.transform(latents[train]), grains.ravel()[train])
        told = plain.predict(scaler.transform(latents[items]))  # three labels of a class: no cross-validation
        assert [int(row["linear"]) for row in scored] == told.tolist()
        right.append(np.mean(told == grains.ravel()[items]))
    assert found["features/linear"]["accuracy"]["mean"] == pytest.approx(np.mean(right))
    assert found["features/linear"]["accuracy"]["std"] == pytest.approx(np.std(right, ddof=1))


def test_the_seed_makes_the_numbers(place, tmp_path) -> None:
    calls = {"a": "", "b": "", "c": "--seed 5"}
    for name, more in calls.items():
        assert probe(f"--labels scan.h5:grains --per-class 3 --repeats 2 --out {tmp_path / name} {more}") == 0
    first, again, other = (read(tmp_path / name)["scores"] for name in calls)
    assert first == again != other
    assert set(first) == {f"{i}/{p}" for i in ("features", "raw", "pca8") for p in ("linear", "knn")} | {"majority"}
    tables = [(tmp_path / name / "predictions.csv").read_bytes() for name in calls]
    assert tables[0] == tables[1] != tables[2]


def test_one_document_and_other_options(place, tmp_path, capsys) -> None:
    np.save(tmp_path / "halves.npy", np.arange(1280) % 40 // 20)
    options = f"--labels {tmp_path}/halves.npy --split region --regions 2 --train-share 0.5 --k 3 --metric euclidean"
    assert probe(f"model.activation=relu {options} --repeats 2 --no-baselines --json --out {tmp_path}/p") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["overrides"] == ["model.activation=relu"]
    assert document["protocol"]["split"] == "region"
    assert (document["neighbours"], document["ignored"]) == ({"k": 3, "metric": "euclidean"}, [])
    assert document["checkpoint"] == "best.ckpt"
    assert (document["labelled"], document["train"], document["scored"]) == (1280, 640, 640)
    assert 0 <= document["scores"]["features/linear"]["auroc"]["mean"] <= 1
    assert document["files"] == [f"{tmp_path}/p/{n}" for n in ("scores.json", "predictions.csv", "confusion.png")]


def test_numbers_and_other_data(place, tmp_path, capsys) -> None:
    for name in ("scores.json", "confusion.png"):  # of a probe of classes that went before
        (tmp_path / name).touch()
    options = f"--labels scan.h5:level --data scan.h5 --repeats 2 --train-share 0.1 --out {tmp_path}"
    assert probe(f"{options} --no-baselines") == 0
    scores = read(tmp_path)["scores"]
    assert scores["mean"]["r2"]["mean"] <= 0 < scores["features/linear"]["r2"]["mean"] <= 1
    assert (tmp_path / "numbers.png").is_file()
    assert not (tmp_path / "confusion.png").exists()
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert header == "draw,item,row,column,label 0,linear 0,knn 0"
    capsys.readouterr()
    assert probe("--labels scan.h5:level --per-class 3") == 2
    assert capsys.readouterr().err.startswith("error: --per-class: numbers have no classes")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--labels nowhere.npy", "nowhere.npy: there is no such file"),
        ("--labels scan.h5:grain", "scan.h5: there is no dataset 'grain'; it has grains, level, patterns"),
        ("--labels field:label", "--labels: the data have no field 'label'; only input"),
        ("--labels scan.h5:grains --per-class 3 --train-share 0.5", "--train-share: say how many labels train by one"),
        ("--labels scan.h5:grains --out nowhere/else", "nowhere/else: there is no such folder to write to"),
        ("--labels scan.h5:grains --per-class 64", "--labels: too few labels to train on 64 labels of each class"),
        ("--labels scan.h5:grains --split group", "--split: the data have no groups"),
        ("--labels scan.h5:grains --data nowhere.h5", "nowhere.h5: "),
        ("optimizer.lr=1 --labels scan.h5:grains", "optimizer.lr: it was settled when the run was trained"),
        ("--labels maps.npy", "maps.npy: the labels are of pixels, and the run gives one vector for each item"),
        ("--labels short.npy", "short.npy: labels of shape 1279 do not fit 1280 items, laid out as 32 x 40"),
    ],
)
def test_wrong_input_is_told_in_one_line(place, capsys, options, said) -> None:
    np.save("maps.npy", np.arange(1280)[:, None, None] * np.ones((1, 16, 16), int) % 3)
    np.save("short.npy", np.arange(1279) % 3)
    assert probe(options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith(f"error: {said}")


def test_torch_is_not_imported_for_a_mistyped_name() -> None:
    code = "import sys; from stemcore.cli.main import execute; "
    code += "print(execute(['probe', 'run', '--labels', 'nowhere.npy']), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]


def test_without_scikit_learn(place, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert probe("--labels scan.h5:grains") == 2
    assert capsys.readouterr().err == "error: stem probe needs scikit-learn; pip install 'stemcore[probe]'\n"


CLASSES = ("tree", "water", "dirt", "road")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with a run on four quarters of Jasper Ridge, whose model can give features of 5 x 5 pixels."""
    if not JASPER.is_file():
        pytest.skip("needs ../shared/data/hyperspectral")
    folder = tmp_path_factory.mktemp("scenes")
    with h5py.File(JASPER) as file:
        cube, labels, shares = (file[f"Cube/{name}"][()] for name in ("Images", "Labels", "Abundances"))

    def quarters(image):
        return np.stack([image[..., y : y + 50, x : x + 50] for y in (0, 50) for x in (0, 50)])

    np.savez(folder / "quarters.npz", input=quarters(cube), labels=quarters(labels).astype(np.int64))
    np.save(folder / "shares.npy", quarters(shares))
    scene = {"type": "hyperspectral", "path": str(JASPER), "regions": [2, 2], "tile": 50}
    scene |= {"label_map": "Cube/Labels", "classes": list(CLASSES)}
    model = {"type": "mae_spectral", "patch": [33, 5, 5], "size": "tiny", "embed_dim": 12, "heads": 2, "depth": 1}
    recipe = RECIPE | {
        "data": {"train": scene, "batch_size": 2, "transforms": {"input": ["standardize"]}},
        "model": model | {"decoder_dim": 12, "decoder_heads": 2, "decoder_depth": 1},
        "losses": {"mse_masked": {}},
        "trainer": {"max_epochs": 1},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEM_CACHE_DIR", str(folder / "cache"))
        stemcore.run(recipe, output=folder / "run")
    return folder


def test_places_have_labels_spectra_and_features(scenes, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(scenes)
    options = "model.pooling=tokens --labels field:label_map --per-class 4"
    assert probe(f"{options} --repeats 2 --out {tmp_path}") == 0
    found = read(tmp_path)
    labels = majority(np.load("quarters.npz")["labels"] - 1, 5, 0.5)
    counts = np.bincount(labels[labels >= 0])
    assert found["classes"] == dict(zip(CLASSES, counts.tolist(), strict=True))
    assert (found["of"], found["features"]) == ("places", 12)
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = [labels[int(r["item"]), int(r["row"]), int(r["column"])] for r in rows]
    assert [CLASSES[code] for code in told] == [r["label"] for r in rows]
    assert found["scores"]["raw/linear"]["accuracy"]["mean"] > 0.85  # the labels were made from the spectra
    majority_class = found["scores"]["majority"]["accuracy"]["mean"]
    assert found["scores"]["features/linear"]["accuracy"]["mean"] > majority_class + 0.2


def test_other_regions_of_a_scene(scenes, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(scenes)
    options = "model.pooling=tokens --labels field:label_map --ignore-label road --split group --per-class 2"
    assert probe(f"{options} --repeats 2 --no-baselines --out {tmp_path}") == 0
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for draw in ("0", "1"):
        assert len({row["item"] for row in rows if row["draw"] == draw}) == 2  # each quarter is a group


def test_raw_inputs_are_the_mean_spectra_of_places(scenes, monkeypatch) -> None:
    from stem_probes.rows import raw_inputs, rows_of
    from stem_probes.targets import field_labels, targets_of

    monkeypatch.chdir(scenes)
    run = load_run("run", ["model.pooling=tokens"])
    items = run.all_items()
    targets = targets_of(field_labels("label_map", items), items, "auto", ())
    latents = run.encode()
    assert latents.shape == (2, 2, 12, 10, 10)  # the tiles are laid out as the scene is
    rows = rows_of(latents, targets, items, 0.5, None)
    spectra = raw_inputs(rows, items, None)
    cube = np.load("quarters.npz")["input"].astype(np.float64)
    for k in (0, len(rows) // 2, len(rows) - 1):
        item, (y, x) = rows.item[k], rows.place[k]
        block = cube[item, :, 5 * y : 5 * y + 5, 5 * x : 5 * x + 5]
        np.testing.assert_allclose(spectra[k], block.mean(axis=(1, 2)), rtol=1e-5)
        np.testing.assert_array_equal(rows.features[k], latents.reshape(4, 12, 10, 10)[item, :, y, x])


def test_abundances_of_places(scenes, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(scenes)
    options = "model.pooling=tokens --labels shares.npy --split region --regions 2 --repeats 2"
    assert probe(f"{options} --out {tmp_path}") == 0
    found = read(tmp_path)
    assert (found["task"], found["labelled"], list(found["scores"]["mean"]["targets"])) == (
        "regression",
        400,
        ["0", "1", "2", "3"],
    )
    assert found["scores"]["raw/linear"]["r2"]["mean"] > 0.8


def test_features_of_places_stand_for_their_item_together(scenes, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(scenes)
    np.save(tmp_path / "items.npy", np.array([0, 1, 0, 1]))
    labels = f"--labels {tmp_path}/items.npy --per-class 1 --repeats 1 --no-baselines"
    assert probe(f"model.pooling=tokens {labels} --out {tmp_path}/places") == 0
    assert probe(f"{labels} --out {tmp_path}/pooled") == 0
    assert read(tmp_path / "places")["scores"] == read(tmp_path / "pooled")["scores"]


def test_labels_of_pixels_need_places_that_lie_on_them(scenes, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(scenes)
    np.save(tmp_path / "odd.npy", np.arange(4 * 47 * 47).reshape(4, 47, 47) % 3)
    with pytest.raises(UserError, match="gives one vector for each item"):
        _raising("--labels field:label_map")
    np.save(tmp_path / "mixed.npy", np.indices((4, 50, 50)).sum(axis=0) % 2)
    with pytest.raises(UserError, match="no label is left"):
        _raising(f"model.pooling=tokens --majority 0.9 --labels {tmp_path}/mixed.npy")
    cropped = load_run("run").recipe.document()
    cropped["data"]["transforms"] = {"input": [{"type": "crop", "size": 40}, "standardize"]}
    cropped = {key: value for key, value in cropped.items() if key != "requires"}
    stemcore.run(cropped, output=tmp_path / "cropped")
    with pytest.raises(UserError, match="crops or bins its inputs: labels of stored pixels do not lie on its places"):
        _raising("model.pooling=tokens --labels field:label_map", str(tmp_path / "cropped"))
    with pytest.raises(UserError, match="places of 4 pixels do not make 47 x 47 pixels and 10 x 10"):
        _raising(f"model.pooling=tokens --place-size 4 --labels {tmp_path}/odd.npy")


def _raising(options: str, run: str = "run") -> None:
    from stem_probes.probe_command import probe as verb

    with verb.make_context("stem probe", [run, *shlex.split(options)]) as context:
        verb.invoke(context)
