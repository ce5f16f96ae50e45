"""How well an image autoencoder reconstructs and segments images it was not trained on, beside simple baselines.

    python benchmarks/image_autoencoder.py FOLDER [KEY=VALUE ...] [--run RUN] [--output RUN]

FOLDER holds labels.csv with the columns id, modality and split (train or test), images/ID.png and masks/ID.png (0 or
1). Every twelfth training image is for validation. The recipe image-autoencoder is trained with the changes below,
which make up for few images and a CPU, unless a finished run is named with --run.

- Linear code: principal components of the training images' blocks, of the size that one latent pixel stands for and as
  many of them as the latent has channels, so that both codes have as many values.
- JPEG: the best quality at which an image takes no more bytes than the code has values, which is 8 bits for each. Whole
  files, and, since most of so small a file is tables, the coefficients by themselves.
- Segmentation: all pixels background; a logistic regression and a random forest on the colour of each pixel.

PSNR has a peak of the whole range, 0 to 1: the mean over images of each one's own, and that of the mean squared error
of all of them. The intersection over union is that of all pixels together, its mean over the two classes.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import stemcore
from stemcore import Run, load_run

RECIPE = "image-autoencoder"
CHANGES = {
    "data": {"split": "given", "batch_size": 4, "eval_batch_size": 12},
    "losses": {"l1": {"weight": 0.05}, "segmentation": {"weight": 0.01}, "classification": {"weight": 0.002}},
    "optimizer": {"lr": 5.0e-4, "betas": [0.9, 0.95]},
    "scheduler": {"type": "warmup_cosine", "warmup_fraction": 0.03},
    "trainer": {"max_epochs": 110, "gradient_clip_val": 0.5, "ema": {"decay": 0.999}, "early_stopping": None},
}
CLASSES = ("background", "nucleus")
PIXELS = 200_000


class Part(NamedTuple):
    """Images (n, 3, h, w) from 0 to 1 and the classes of their pixels (n, h, w)."""

    images: np.ndarray
    masks: np.ndarray


def write_table(folder: Path, table: Path) -> Path:
    """Writes the table that the recipe reads."""
    rows = [["id", "image_path", "label", "mask_path", "split"]]
    for number, row in enumerate(_listed(folder)):
        part = "val" if row["split"] == "train" and number % 12 == 0 else row["split"]
        image, mask = ((folder / kind / f"{row['id']}.png").resolve() for kind in ("images", "masks"))
        rows.append([row["id"], str(image), row["modality"], str(mask), part])
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return table


def part_of(folder: Path, split: str) -> Part:
    """The images of a split, in the order of the list."""
    names = [row["id"] for row in _listed(folder) if row["split"] == split]
    images = [np.asarray(Image.open(folder / f"images/{name}.png").convert("RGB")) for name in names]
    masks = [np.asarray(Image.open(folder / f"masks/{name}.png")) > 0 for name in names]
    return Part(np.moveaxis(np.stack(images), -1, 1) / 255.0, np.stack(masks).astype(int))


def _listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@torch.no_grad()
def predicted(run: Run, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reconstructions (n, 3, h, w) from 0 to 1 and classes of pixels (n, h, w) by a run."""
    frozen = run.frozen()
    found, classes = [], []
    for part in torch.from_numpy(images).float().split(12):
        out = frozen.model(input=frozen.to_model("input", part * 255))
        found.append(frozen.to_stored("prediction", out["prediction"]).numpy() / 255)
        classes.append(out["segmentation"].argmax(1).numpy())
    return np.concatenate(found).clip(0, 1), np.concatenate(classes)


def linear_code(train: np.ndarray, images: np.ndarray, block: int, values: int) -> np.ndarray:
    """Images from as many principal components of their blocks, fitted to the training images."""
    known, wanted = _blocks(train, block).reshape(-1, block * block * 3), _blocks(images, block)
    mean = known.mean(0)
    _, vectors = np.linalg.eigh(np.cov(known.T))
    basis = vectors[:, -values:]
    code = (wanted.reshape(-1, len(mean)) - mean) @ basis
    n, _, height, width = images.shape
    filled = (code @ basis.T + mean).reshape(n, height // block, width // block, 3, block, block)
    return filled.transpose(0, 3, 1, 4, 2, 5).reshape(images.shape).clip(0, 1)


def _blocks(images: np.ndarray, block: int) -> np.ndarray:
    n, channels, height, width = images.shape
    cut = images.reshape(n, channels, height // block, block, width // block, block)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * block * block)


def jpeg(images: np.ndarray, limit: int, size: Callable[[bytes], int]) -> np.ndarray:
    """Images as JPEG at the best quality that keeps to a number of bytes, or at the worst where none does."""
    found = []
    for image in images:
        picture = Image.fromarray(np.moveaxis(np.rint(image * 255), 0, -1).astype(np.uint8))
        coded = [_coded(picture, quality) for quality in range(1, 96)]
        fitting = [data for data in coded if size(data) <= limit] or coded[:1]
        found.append(np.moveaxis(np.asarray(Image.open(io.BytesIO(fitting[-1])).convert("RGB")), -1, 0) / 255.0)
    return np.stack(found)


def _coded(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def coefficients(data: bytes) -> int:
    """Bytes behind the header of a JPEG's only scan, without the mark of the end."""
    start = data.index(b"\xff\xda")
    return len(data) - start - 2 - int.from_bytes(data[start + 2 : start + 4], "big") - 2


def by_colour(classifier: object, train: Part, images: np.ndarray) -> np.ndarray:
    """Classes of pixels (n, h, w) by a classifier of colours that is fitted to some training pixels."""
    colours = np.moveaxis(train.images, 1, -1).reshape(-1, 3)
    chosen = np.random.default_rng(0).choice(len(colours), min(PIXELS, len(colours)), replace=False)
    classifier.fit(colours[chosen], train.masks.ravel()[chosen])
    n, _, height, width = images.shape
    return classifier.predict(np.moveaxis(images, 1, -1).reshape(-1, 3)).reshape(n, height, width)


def psnr(found: np.ndarray, images: np.ndarray) -> tuple[float, float]:
    """The mean of each image's PSNR, and that of all of them together, in dB."""
    error = np.square(found - images).mean((1, 2, 3))
    return float(-10 * np.log10(error).mean()), float(-10 * np.log10(error.mean()))


def intersections(found: np.ndarray, masks: np.ndarray) -> list[float]:
    """The intersection over union of each class."""
    return [float(((found == k) & (masks == k)).sum() / ((found == k) | (masks == k)).sum()) for k in (0, 1)]


def trained(options: argparse.Namespace, folder: Path) -> Run:
    """The run that is named, or a new one."""
    if options.run:
        return load_run(options.run)
    table = write_table(options.folder, folder / "images.csv")
    data = {"train": {"path": str(table), "mask_classes": list(CLASSES)}, **CHANGES["data"]}
    recipe = {"extends": RECIPE, **CHANGES, "data": data}
    output = options.output or folder / "run"
    stemcore.run(recipe, overrides=options.changes, output=output)
    return load_run(output)


def report(options: argparse.Namespace, folder: Path) -> None:
    """Prints both tables."""
    run = trained(options, folder)
    train, test = part_of(options.folder, "train"), part_of(options.folder, "test")
    channels, height, width = run.frozen().model.provides()["latent"].shape
    values, block = channels * height * width, test.images.shape[-1] // width
    ours, classes = predicted(run, test.images)
    print(f"{len(test.images)} images, {values} values each (latent {channels} x {height} x {width})\n")
    reconstructed = {
        f"{RECIPE}": ours,
        f"PCA of {block} x {block} blocks, {channels} values each": linear_code(
            train.images, test.images, block, channels
        ),
        f"JPEG, files of {values} bytes": jpeg(test.images, values, len),
        f"JPEG, {values} bytes without headers": jpeg(test.images, values, coefficients),
    }
    print(f"{'reconstruction':45} {'PSNR, mean':>12} {'of all':>8}")
    for name, found in reconstructed.items():
        mean, pooled = psnr(found, test.images)
        print(f"{name:45} {mean:12.2f} {pooled:8.2f}")
    logistic = make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression(max_iter=1000))
    forest = RandomForestClassifier(50, min_samples_leaf=50, random_state=0)
    segmented = {
        f"{RECIPE}": classes,
        "all background": np.zeros_like(test.masks),
        "colour, logistic regression (squares too)": by_colour(logistic, train, test.images),
        "colour, random forest": by_colour(forest, train, test.images),
    }
    print(f"\n{'segmentation':45} {'mean IoU':>12} {' '.join(f'{name:>12}' for name in CLASSES)}")
    for name, found in segmented.items():
        each = intersections(found, test.masks)
        print(f"{name:45} {np.mean(each):12.3f} {' '.join(f'{value:12.3f}' for value in each)}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="labels.csv, images and masks")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="for the recipe")
    parser.add_argument("--run", type=Path, help="a run to be scored in place of a new one")
    parser.add_argument("--output", type=Path, help="where the new run is kept")
    with tempfile.TemporaryDirectory() as folder:
        report(parser.parse_args(), Path(folder))


if __name__ == "__main__":
    main()
