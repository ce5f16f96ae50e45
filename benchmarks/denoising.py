"""Denoising at low dose, beside PCA in the same run.

    python benchmarks/denoising.py SCAN.h5 --dose 2000 [--labels labels] [KEY=VALUE ...]

SCAN.h5 is a simulated scan with its noise-free intensities: datasets ``patterns`` (counts), ``expected`` (fraction of
the beam) for the patterns ``expected_index``, ``labels``, ``mixed``, and the root attribute ``dose``. Its counts are
thinned binomially to the dose wanted (exact for Poisson counts) and the recipe stem4d-denoise is trained on them, with
nothing else to learn from. Reported, for the model and for 20 principal components of the square-rooted counts (the
patterns binned 2 x 2 for both): the mean squared error to the noise-free intensities, in counts and in square roots,
and the adjusted Rand index of k-means (as many clusters as labels) against the labels, away from boundaries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import stemcore

COMPONENTS = 20


@dataclass(frozen=True)
class Truth:
    """Noise-free intensities in counts, of some patterns, and what each pattern shows."""

    expected: np.ndarray
    index: np.ndarray
    labels: np.ndarray
    pure: np.ndarray

    def scores(self, patterns: np.ndarray, features: np.ndarray) -> dict[str, float]:
        """Errors of denoised patterns (n, h, w), and how well clusters of ``features`` (n, k) agree with the labels."""
        some = np.clip(patterns[self.index].astype(np.float64), 0, None)
        clusters = KMeans(len(np.unique(self.labels)), n_init=10, random_state=0).fit_predict(features)
        return {
            "mse": float(np.mean((some - self.expected) ** 2)),
            "root_mse": float(np.mean((np.sqrt(some) - np.sqrt(self.expected)) ** 2)),
            "ari": float(adjusted_rand_score(self.labels[self.pure], clusters[self.pure])),
        }


def thin(scan: Path, dose: float, labels: str, out: Path) -> tuple[np.ndarray, Truth]:
    """Writes the scan at ``dose`` electrons per pattern; returns its binned counts and the truth."""
    with h5py.File(scan) as source, h5py.File(out, "w") as target:
        share = dose / float(source.attrs["dose"])
        counts = source["patterns"][:]
        if share < 1:
            counts = np.random.default_rng(0).binomial(counts, share).astype(np.uint16)
        target.create_dataset("patterns", data=counts, chunks=(16, *counts.shape[1:]), compression="gzip", shuffle=True)
        target["scan_shape"] = source["scan_shape"][:]
        expected = binned(source["expected"][:].astype(np.float64)) * dose
        truth = Truth(expected, source["expected_index"][:], source[labels][:].ravel(), ~source["mixed"][:].ravel())
    return binned(counts.astype(np.float64)), truth


def binned(patterns: np.ndarray) -> np.ndarray:
    """Sums over 2 x 2 pixels."""
    n, h, w = patterns.shape
    return patterns.reshape(n, h // 2, 2, w // 2, 2).sum(axis=(2, 4))


def pca(counts: np.ndarray, truth: Truth) -> dict[str, float]:
    """The baseline."""
    model = PCA(COMPONENTS, random_state=0)
    features = model.fit_transform(np.sqrt(counts).reshape(len(counts), -1))
    denoised = np.clip(model.inverse_transform(features), 0, None) ** 2
    return truth.scores(denoised.reshape(counts.shape), features)


def benchmark(scan: Path, dose: float, labels: str, overrides: list[str], folder: Path) -> dict[str, object]:
    """Trains and scores one scan at one dose."""
    file = folder / f"{scan.stem}_{dose:g}.h5"
    counts, truth = thin(scan, dose, labels, file)
    started = time.monotonic()
    overrides = [f"data.train.path={file}", *overrides]
    run = stemcore.run("stem4d-denoise", overrides=overrides, output=folder / f"{file.stem}_run")
    seconds = time.monotonic() - started
    latents = run.encode()
    assert isinstance(latents, np.ndarray)
    with h5py.File(run.reconstruct(folder / f"{file.stem}_denoised.h5")) as result:
        denoised = result["patterns"][:].reshape(counts.shape)
    model = truth.scores(denoised, latents.reshape(len(counts), -1))
    baseline = pca(counts, truth)
    ratios = {f"{name}_ratio": model[name] / baseline[name] for name in ("mse", "root_mse")}
    return {
        "scan": scan.stem,
        "dose": dose,
        "labels": labels,
        "seconds": seconds,
        "model": model,
        "pca": baseline,
        **ratios,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--dose", type=float, default=2000.0, help="electrons per pattern")
    parser.add_argument("--labels", default="labels", help="dataset of the labels to recover")
    parser.add_argument("--keep", type=Path, help="folder for the run; a temporary one by default")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes of the recipe")
    options = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = benchmark(options.scan, options.dose, options.labels, options.overrides, folder)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
