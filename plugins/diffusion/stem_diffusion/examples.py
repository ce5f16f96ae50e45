"""What the contract checks need to know of diffusion models and their loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stem_diffusion.latent_store import Contents, StoreWriter
from stemcore import DataSpec, FieldSpec, Model
from stemcore import run as train
from stemcore.testing import CallbackExample, CommandExample, LossExample, ModelExample, RecipeExample


def told(*shape: int) -> DataSpec:
    """Items with a class of three and a vector."""
    fields = (
        FieldSpec("input", shape),
        FieldSpec("label", (), "int64", classes=("a", "b", "c")),
        FieldSpec("vector", (2,)),
    )
    return DataSpec({field.name: field for field in fields})


def classes_and_vectors(spec: DataSpec, items: int) -> dict[str, np.ndarray]:
    """Labels of the three classes, and of none."""
    vectors = np.random.default_rng(1).normal(size=(items, 2)).astype(np.float32)
    return {"label": np.arange(items) % 4 - 1, "vector": vectors}


def diffusion_unet(folder: Path) -> ModelExample:
    """With attention and conditions; sizes that do not halve."""
    small = {"channels": [8, 16], "blocks_per_level": 1, "head_dim": 4, "groups": 4, "timesteps": 50}
    config = {**small, "conditions": ["label", "vector"], "attention": [2]}
    specs, odd = (told(2, 8, 8), told(3, 12, 10)), told(1, 7, 5)
    return ModelExample(config=config, specs=specs, odd=odd, items=3, tensors=classes_and_vectors)


def diffusion_mlp(folder: Path) -> list[ModelExample]:
    """Every prediction, with and without conditions."""
    small = {"hidden": 16, "layers": 2, "timesteps": 50}
    variants: dict[str, dict[str, object]] = {
        "epsilon": {"schedule": "sigmoid"},
        "v, conditions": {"prediction": "v", "conditions": ["label", "vector"], "min_snr_gamma": 5.0},
        "x0": {"prediction": "x0", "schedule": "exponential"},
    }
    return [
        ModelExample(
            label=label,
            config={**small, **config},
            specs=(told(2), told(5)),
            odd=told(1),
            tensors=classes_and_vectors,
        )
        for label, config in variants.items()
    ]


def denoising(folder: Path) -> LossExample:
    """Estimates of noise, with weights."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(6, 2, 4, 4)).astype(np.float32)
    estimate = wanted + 0.3 * rng.normal(size=wanted.shape).astype(np.float32)
    tensors = {"estimate": estimate, "wanted": wanted, "loss_weight": np.linspace(0.2, 1.0, 6, dtype=np.float32)}
    return LossExample(
        tensors=tensors, zero={"estimate": wanted}, mean=True, reference=_denoising, gradient=["estimate"]
    )


def _denoising(estimate: np.ndarray, wanted: np.ndarray, loss_weight: np.ndarray) -> float:
    return float(np.mean([w * np.mean((e - o) ** 2) for e, o, w in zip(estimate, wanted, loss_weight, strict=True)]))


def samples(folder: Path) -> CallbackExample:
    """Of a model of points, every fifth epoch."""

    def model() -> Model:
        from stem_diffusion.mlp import DiffusionMlp

        return DiffusionMlp(told(2), hidden=8, layers=1, timesteps=4, conditions=["label"])

    config = {"n": 4, "every_n_epochs": 5, "conditions": {"label": [0, 1]}, "guidance": 2.0}
    return CallbackExample(config=config, model=model)


def points(path: Path, items: int = 600) -> None:
    """A store of points (2,) around three places, each a class."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, items)
    places = np.array([[-1.0, 0.0], [1.0, 1.0], [1.0, -1.0]])
    values = places[label] + 0.2 * rng.normal(size=(items, 2))
    contents = Contents(
        items=items,
        shape=(2,),
        dtype="float32",
        identity={"sha256": "0" * 64, "source": "1" * 64, "posterior": "mean"},
        about={"run": "runs/points"},
        fields={"label": FieldSpec("label", (), "int64", classes=("left", "above", "below"))},
    )
    with StoreWriter(path, contents) as store:
        store.put(values.astype(np.float32), {"label": label}, np.ones(items, bool))
        store.finish()


def recipe_of_points(path: Path) -> dict[str, Any]:
    """A small model of them."""
    return {
        "name": "points",
        "data": {"train": {"type": "latents", "path": str(path)}, "val": 0.1, "batch_size": 300},
        "model": {"type": "diffusion_mlp", "hidden": 16, "layers": 1, "timesteps": 20, "conditions": ["label"]},
        "losses": {"denoising": {}},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "trainer": {"max_epochs": 1},
        "loggers": [],
        "figures": {},
    }


def steered(path: Path, items: int = 24) -> None:
    """A store of latents (2, 6, 6), which are what their label maps (1, 12, 12) show and noise, with a class, a vector
    and an image beside them."""
    rng = np.random.default_rng(0)
    label_map = (rng.random((items, 1, 3, 3)) < 0.5).astype(np.int64).repeat(4, axis=2).repeat(4, axis=3)
    latents = (2 * label_map[:, :, ::2, ::2] - 1).repeat(2, axis=1) + 0.3 * rng.standard_normal((items, 2, 6, 6))
    values = {
        "label": np.arange(items) % 2,
        "label_map": label_map,
        "condition": label_map.astype(np.float32),
        "vector": rng.standard_normal((items, 2)).astype(np.float32),
    }
    fields = (
        FieldSpec("label", (), "int64", classes=("a", "b")),
        FieldSpec("label_map", (1, 12, 12), "int64", classes=("background", "object")),
        FieldSpec("condition", (1, 12, 12)),
        FieldSpec("vector", (2,)),
    )
    contents = Contents(
        items=items,
        shape=(2, 6, 6),
        dtype="float32",
        identity={"sha256": "0" * 64, "source": "1" * 64, "posterior": "mean"},
        about={"run": "runs/ae"},
        fields={field.name: field for field in fields},
    )
    with StoreWriter(path, contents) as store:
        store.put(latents.astype(np.float32), values, np.ones(items, bool))
        store.finish()


def recipe_of_base(path: Path) -> dict[str, Any]:
    """A small UNet of them, which is told their class."""
    small = {"channels": [8, 16], "blocks_per_level": 1, "head_dim": 4, "groups": 4, "timesteps": 20}
    return {
        **recipe_of_points(path),
        "name": "base",
        "data": {"train": {"type": "latents", "path": str(path)}, "val": 0.25, "batch_size": 6},
        "model": {"type": "diffusion_unet", **small, "conditions": ["label"]},
    }


def diffusion_controlnet(folder: Path) -> list[ModelExample]:
    """Every way of joining, steered by each control, on a base that has hardly learnt anything."""
    steered(folder / "latents.h5")
    base = train(recipe_of_base(folder / "latents.h5"), output=folder / "base")
    spec = base.fields  # type: ignore[union-attr]
    variants: dict[str, dict[str, object]] = {
        "add, label map": {},
        "scaled add, image": {"fusion": "scaled_add", "control": ["condition"]},
        "concat, vector": {"fusion": "concat", "control": ["vector"]},
        "gated, all": {"fusion": "gated", "control": ["label_map", "condition", "vector"]},
        "film, min-SNR": {"fusion": "film", "min_snr_gamma": 5.0},
    }
    config = {"base": str(base.directory), "hint_channels": 4}
    return [
        ModelExample(label=label, config={**config, **own}, specs=(spec,), odd=None, items=3, tensors=_controls)
        for label, own in variants.items()
    ]


def _controls(spec: DataSpec, items: int) -> dict[str, np.ndarray]:
    """Labels and label maps of their classes, and of none."""
    rng = np.random.default_rng(2)
    return {
        "label": np.arange(items) % 2,
        "label_map": rng.integers(-1, 2, (items, 1, 12, 12)),
        "condition": rng.random((items, 1, 12, 12)).astype(np.float32),
        "vector": rng.standard_normal((items, 2)).astype(np.float32),
    }


def sample(folder: Path) -> CommandExample:
    """A run of points that has hardly learnt anything."""
    points(folder / "points.h5")
    run = str(train(recipe_of_points(folder / "points.h5"), output=folder / "run").directory)
    there = folder / "there"
    there.mkdir()
    (there / "something.txt").touch()
    out = ("-n", "5", "--out", str(folder / "samples"))
    return CommandExample(
        arguments=(run, *out, "--condition", "label=left,below", "--guidance", "2", "--steps", "5"),
        wrong=(
            (run, "-n", "0"),
            (run, "-n", "5", "--out", str(there)),
            (run, *out, "--condition", "label=right"),
            (run, *out, "--condition", "label=7"),
            (run, *out, "--condition", "vector=1"),
            (run, *out, "--condition", "label"),
            (run, *out, "--condition-from", "test"),
            (run, *out, "--sampler", "ddpm", "--eta", "0.5"),
            (str(folder), *out),
        ),
    )


def pixel_diffusion(folder: Path) -> RecipeExample:
    """A few images in one folder."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(folder / f"{k}.png")
    return RecipeExample(overrides=[f"data.train.path={folder}", "data.train.size=8", "data.batch_size=4"])


def latent_diffusion(folder: Path) -> RecipeExample:
    """Latents (4, 8, 8) of 24 images, and a network that is small."""
    path = folder / "latents.h5"
    contents = Contents(
        items=24,
        shape=(4, 8, 8),
        dtype="float32",
        identity={"sha256": "0" * 64, "source": "1" * 64, "posterior": "mean"},
        about={"run": "runs/ae"},
        fields={},
        companions={"parts": np.array(["train", "train", "val"] * 8)},
    )
    with StoreWriter(path, contents) as store:
        store.put(np.random.default_rng(0).standard_normal((24, 4, 8, 8), np.float32), {}, np.ones(24, bool))
        store.finish()
    small = ["model.channels=[32,32]", "model.attention=[2]", "data.batch_size=8"]
    return RecipeExample(overrides=[f"data.train.path={path}", *small])


def controlnet(folder: Path) -> RecipeExample:
    """A small base on the same store."""
    steered(folder / "latents.h5")
    base = train(recipe_of_base(folder / "latents.h5"), output=folder / "base")
    small = ["data.batch_size=8", "data.split=item", "model.control=[label_map]", "model.hint_channels=4"]
    return RecipeExample(overrides=[f"data.train.path={folder / 'latents.h5'}", f"model.base={base.directory}", *small])


def image_ladder(folder: Path) -> RecipeExample:
    """A table of images with masks, whose ladder is checked up to what its first stage leaves."""
    rng = np.random.default_rng(0)
    rows = ["image_path,label,mask_path"]
    for k in range(20):
        np.save(folder / f"image_{k}.npy", rng.integers(0, 256, (16, 16, 3)).astype(np.uint8))
        np.save(folder / f"mask_{k}.npy", rng.integers(0, 2, (16, 16)).astype(np.uint8))
        rows.append(f"image_{k}.npy,{'ab'[k % 2]},mask_{k}.npy")
    (folder / "images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    train = "autoencoder.data.train"
    return RecipeExample(overrides=[f"{train}.path={folder / 'images.csv'}", f"{train}.mask_classes=[ground,cell]"])
