"""How well masked autoencoders fill in hidden parts of one real scene, beside simple baselines on the same pixels.

    python benchmarks/hyperspectral.py SCENE.h5 [KEY=VALUE ...] [--masks 42 0 1] [--seeds 42] [--recipe NAME]

The scene is cut into four regions. For each of them a model is trained on the other three, whole; then, of 75 % of all
5 x 5 patches, hidden in all bands, those within that region are predicted from the patches that are left, in windows of
the size of the training tiles that lie anywhere in the scene. The four regions together are the whole scene, so every
hidden pixel is predicted by a model that was trained without it.

Baselines know the same visible pixels of the whole scene: their mean spectrum, the nearest of them, linear
interpolation between them (the nearest one outside of their hull), and ordinary kriging of their square roots, which
the recipe's model starts from. PSNR has a peak of 1 and one mean squared error of all hidden values; angles are the
mean over hidden pixels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from scipy.interpolate import griddata
from scipy.spatial.distance import cdist
from torch import Tensor

import stemcore
from stemcore import load_run

PATCH, HIDDEN = 5, 0.75
CUBE = "Cube/Images"


def hidden_places(height: int, width: int, seed: int) -> np.ndarray:
    """Which patches are hidden, (rows, columns)."""
    shape = height // PATCH, width // PATCH
    count = shape[0] * shape[1]
    hidden = np.zeros(count, bool)
    hidden[np.random.default_rng(seed).permutation(count)[: round(count * HIDDEN)]] = True
    return hidden.reshape(shape)


def baselines(scene: np.ndarray, hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Scenes (bands, height, width) with hidden pixels (height, width) filled in."""
    known, wanted, values = np.argwhere(~hidden), np.argwhere(hidden), scene[:, ~hidden].T
    nearest = griddata(known, values, wanted, "nearest")
    linear = griddata(known, values, wanted, "linear")
    linear = np.where(np.isnan(linear), nearest, linear)
    kriging = np.square(krige(known, wanted, np.sqrt(values)).clip(min=0))
    found = {"mean spectrum": values.mean(0), "nearest": nearest, "linear interpolation": linear, "kriging": kriging}
    return {name: _filled(scene, hidden, each) for name, each in found.items()}


def krige(known: np.ndarray, wanted: np.ndarray, values: np.ndarray, length: float = 30.0) -> np.ndarray:
    """Values (wanted, bands) at places (wanted, 2) from those (known, bands) at places (known, 2)."""
    among = np.exp(-cdist(known, known) / length) + 0.01 * np.eye(len(known))
    solved = np.linalg.solve(among, np.column_stack([values, np.ones(len(known))]))
    mean = solved[:, :-1].sum(0) / solved[:, -1].sum()
    return mean + np.exp(-cdist(wanted, known) / length) @ (solved[:, :-1] - solved[:, -1:] * mean)


def _filled(scene: np.ndarray, hidden: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = scene.astype(np.float64)
    out[:, hidden] = np.broadcast_to(values, (int(hidden.sum()), len(scene))).T
    return out


def score(found: np.ndarray, scene: np.ndarray, hidden: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and mean spectral angle in degrees over hidden pixels."""
    x, y = found[:, hidden].astype(np.float64), scene[:, hidden].astype(np.float64)
    cosine = (x * y).sum(0) / np.maximum(np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0), 1e-12)
    return -10 * np.log10(np.square(x - y).mean()), np.degrees(np.arccos(cosine.clip(-1, 1))).mean()


class Filler:
    """A model that fills in windows of a scene, trained, or as it was before."""

    def __init__(self, directory: Path, *, trained: bool = True) -> None:
        loaded, _ = load_run(directory).load()
        if not trained:  # what is added to kriging is nothing then
            torch.nn.init.zeros_(loaded.model.decoder.head.weight)
            torch.nn.init.zeros_(loaded.model.decoder.head.bias)
        self._pipeline, self._model = loaded.parts.pipeline, loaded.model.eval()
        self._inverse = loaded.parts.supply.chains["input"].inverse
        self.tile = loaded.parts.spec["input"].shape[1]

    @torch.no_grad()
    def __call__(self, scene: np.ndarray, places: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
        """The scene as predicted in a region from the places that are not hidden: the mean of all windows over it and
        of the windows turned about, the middle of a window counting most."""
        total, count = np.zeros(scene.shape), np.zeros(scene.shape[1:])
        ramp = np.minimum(np.arange(self.tile) + 1.0, self.tile - np.arange(self.tile))
        weight = np.square(ramp[:, None] * ramp)
        for window in self._windows(scene.shape[1:], region):
            hidden = places[tuple(slice(axis.start // PATCH, axis.stop // PATCH) for axis in window)]
            cube = torch.from_numpy(scene[(slice(None), *window)].copy())[None]
            for axes in ((), (-1, -2)):
                shown = torch.from_numpy(~hidden).flip(axes).flatten().nonzero().T
                found = self._predicted(cube.flip(axes), shown).flip(axes)
                total[(slice(None), *window)] += weight * found[0].numpy()
                count[window] += weight
        return total / np.maximum(count, weight.min())

    def _predicted(self, cube: Tensor, shown: Tensor) -> Tensor:
        x = self._pipeline({"input": cube, "index": torch.zeros(1, dtype=torch.long)})["input"]
        return self._inverse(self._model.predict(x, shown))

    def _windows(self, shape: Sequence[int], region: tuple[slice, slice]) -> Iterator[tuple[slice, slice]]:
        """Windows a quarter of a tile apart, from half a tile before the region on."""
        half = self.tile // 2 // PATCH * PATCH
        starts, step = [], half // 2 // PATCH * PATCH
        for size, axis in zip(shape, region, strict=True):
            low, high = max(0, axis.start - half), min(size, axis.stop + half) - self.tile
            starts.append(sorted({*range(low // PATCH * PATCH, high + 1, step), high // PATCH * PATCH}))
        for row in starts[0]:
            for column in starts[1]:
                yield slice(row, row + self.tile), slice(column, column + self.tile)


def train(options: argparse.Namespace, seed: int, fold: int, output: Path) -> float:
    """Trains on three regions, unless that was done already; returns the seconds."""
    if output.exists():
        return float(load_run(output).summary["wall_seconds"])
    start = time.perf_counter()
    overrides = [f"data.train.path={options.scene}", "data.folds=4", f"data.fold={fold}", f"seed={seed}"]
    stemcore.run(options.recipe, overrides=[*overrides, "figures=null", *options.changes], output=output)
    return time.perf_counter() - start


def region_of(directory: Path) -> tuple[slice, slice]:
    """The region that a fold was trained without."""
    run = load_run(directory)
    _, source = run.load()
    names = source.dataset.item_names
    tile = source.dataset.fields["input"].shape[1]
    corners = np.array([names[k].rsplit("@", 1)[1].split(",") for k in run.items()["val"].index], int)
    return tuple(slice(int(low), int(high) + tile) for low, high in zip(corners.min(0), corners.max(0), strict=True))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path, help=f"HDF5 file with {CUBE} (bands, height, width)")
    parser.add_argument("--recipe", default="hyperspectral-scene", help="name or file")
    parser.add_argument("--masks", type=int, nargs="+", default=[42, 0, 1, 2], help="seeds of hidden patches")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42], help="seeds of training")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3], help="regions to score; default all")
    parser.add_argument("--keep", type=Path, help="folder for the runs; a temporary one by default")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes of the recipe")
    options = parser.parse_intermixed_args()
    options.scene = options.scene.resolve()
    with h5py.File(options.scene) as file:
        scene = file[CUBE][()]
    with tempfile.TemporaryDirectory() as temporary:
        measure(options, scene, options.keep or Path(temporary))


def measure(options: argparse.Namespace, scene: np.ndarray, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Prints the table: scores by method, of each mask and seed of training."""
    masks = {seed: hidden_places(*scene.shape[1:], seed) for seed in options.masks}
    scored = np.zeros(scene.shape[1:], bool)
    found: dict[str, list[tuple[float, float]]] = {}
    for training in options.seeds:
        filled = {name: {seed: np.zeros(scene.shape) for seed in masks} for name in ("before training", "ours")}
        for fold in options.folds:
            output = folder / f"seed{training}-fold{fold}"
            print(
                f"seed {training}, region {fold}: trained in {train(options, training, fold, output):.0f} s", flush=True
            )
            region = region_of(output)
            scored[region] = True
            for name, scenes in filled.items():
                filler = Filler(output, trained=name == "ours")
                for seed, places in masks.items():
                    scenes[seed][(slice(None), *region)] = filler(scene, places, region)[(slice(None), *region)]
        for seed, places in masks.items():
            hidden = np.kron(places, np.ones((PATCH, PATCH), bool))
            ours = {name: scenes[seed] for name, scenes in filled.items()}
            for name, each in {**baselines(scene, hidden), **ours}.items():
                found.setdefault(name, []).append(score(each, scene, hidden & scored))
    print("\n| Method | PSNR, dB | SAM, degrees | each |", "|---|---|---|---|", sep="\n")
    for name, pairs in found.items():
        mean, std = np.mean(pairs, axis=0), np.std(pairs, axis=0)
        each = "; ".join(f"{a:.2f}, {b:.2f}" for a, b in pairs)
        print(f"| {name} | {mean[0]:.2f} +- {std[0]:.2f} | {mean[1]:.2f} +- {std[1]:.2f} | {each} |")
    return found


if __name__ == "__main__":
    main()
