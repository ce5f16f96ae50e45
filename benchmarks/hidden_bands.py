"""How well masked autoencoders fill in hidden bands of one real scene, beside probabilistic PCA on the same values.

    python benchmarks/hidden_bands.py SCENE.h5 [KEY=VALUE ...] [--folds 0 1 2 3]

The scene is cut into four regions; a model is trained on three of them and fills in the fourth, of which 75 % of the
bands are hidden in blocks of six neighbouring ones, in twenty drawings of the blocks. PCA with 16 components, and the
noise that is left (Tipping and Bishop 1999), is fitted to the pixels of the same three regions, and gives the mean of
hidden bands under the condition of those that are seen. Scores are those of ``hyperspectral.py``, of hidden values; the
angle is that between the hidden parts of two spectra.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from hyperspectral import CUBE, region_of, train
from stem_spectral.masking import hidden_count, tokens_of

from stemcore import load_run

COMPONENTS, DRAWINGS = 16, 20
CHANGES = (
    *("model.masking=spectral_block", "model.residual=none", "model.patch=[6,1,1]", "model.drop_path=0"),
    *("data.train.tile=2", "data.train.stride=2", "data.batch_size=64", "data.transforms.input=[standardize]"),
)


def conditional_means(pixels: np.ndarray, seen: np.ndarray, hidden: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Hidden bands (n, hidden) of spectra whose bands ``seen`` are ``given`` (n, seen), after probabilistic PCA of
    ``pixels`` (m, bands)."""
    mean = pixels.mean(0)
    values, vectors = np.linalg.eigh(np.cov((pixels - mean).T))
    noise = values[:-COMPONENTS].mean()
    loadings = vectors[:, -COMPONENTS:] * np.sqrt(values[-COMPONENTS:] - noise)
    precision = loadings[seen].T @ loadings[seen] + noise * np.eye(COMPONENTS)
    scores = np.linalg.solve(precision, loadings[seen].T @ (given - mean[seen]).T)
    return mean[hidden] + scores.T @ loadings[hidden].T


@torch.no_grad()
def predicted(directory: Path, region: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every drawing of blocks: which bands are hidden, and the region (bands, height, width) predicted."""
    loaded, _ = load_run(directory).load()
    model, bands = loaded.model.eval(), np.arange(len(region)) // loaded.model.patch[0]
    size = loaded.parts.spec["input"].shape[1]
    tiles = torch.from_numpy(region).unfold(1, size, size).unfold(2, size, size).permute(1, 2, 0, 3, 4).flatten(0, 1)
    x = loaded.parts.pipeline({"input": tiles, "index": torch.arange(len(tiles))})
    grid = model.grid
    count = hidden_count("spectral_block", grid, model.mask_ratio)
    found = []
    for drawing in range(DRAWINGS):
        groups = np.random.default_rng(drawing).permutation(grid.groups)[:count]
        left = torch.from_numpy(np.setdiff1d(np.arange(grid.groups), groups)).expand(len(tiles), -1)
        shown = tokens_of("spectral_block", grid, left)
        cubes = torch.cat([model.predict(*some) for some in zip(x["input"].split(64), shown.split(64), strict=True)])
        physical = loaded.parts.supply.chains["input"].inverse(cubes)
        rows = physical.unflatten(0, (region.shape[1] // size, -1)).permute(2, 0, 3, 1, 4)
        found.append((np.isin(bands, groups), rows.reshape(region.shape).numpy()))
    return found


def errors(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Mean squared error and mean angle in degrees of spectra (n, bands)."""
    x, y = found.astype(np.float64), true.astype(np.float64)
    cosine = (x * y).sum(1) / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1), 1e-12)
    return np.square(x - y).mean(), np.degrees(np.arccos(cosine.clip(-1, 1))).mean()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path, help=f"HDF5 file with {CUBE} (bands, height, width)")
    parser.add_argument("--recipe", default="hyperspectral-scene", help="name or file")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3], help="regions to score; default all")
    parser.add_argument("--keep", type=Path, help="folder for the runs; a temporary one by default")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes of the recipe")
    options = parser.parse_intermixed_args()
    options.scene, options.changes = options.scene.resolve(), [*CHANGES, *options.changes]
    with h5py.File(options.scene) as file:
        scene = file[CUBE][()]
    found: dict[str, list[tuple[float, float]]] = {"probabilistic PCA": [], "ours": []}
    with tempfile.TemporaryDirectory() as temporary:
        for fold in options.folds:
            output = (options.keep or Path(temporary)) / f"fold{fold}"
            print(f"region {fold}: trained in {train(options, 42, fold, output):.0f} s", flush=True)
            rows, columns = region_of(output)
            inside = np.zeros(scene.shape[1:], bool)
            inside[rows, columns] = True
            region, pixels = scene[:, rows, columns], scene[:, ~inside].T.astype(np.float64)
            for hidden, cube in predicted(output, region):
                spectra = region.reshape(len(scene), -1).T
                means = conditional_means(pixels, ~hidden, hidden, spectra[:, ~hidden])
                found["probabilistic PCA"].append(errors(means, spectra[:, hidden]))
                found["ours"].append(errors(cube.reshape(len(scene), -1).T[:, hidden], spectra[:, hidden]))
    print("\n| Method | PSNR, dB | SAM, degrees |", "|---|---|---|", sep="\n")
    for name, pairs in found.items():
        mse, angle = np.mean(pairs, axis=0)
        print(f"| {name} | {-10 * np.log10(mse):.2f} | {angle:.2f} |")


if __name__ == "__main__":
    main()
