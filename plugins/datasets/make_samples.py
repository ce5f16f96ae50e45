"""Cuts the bundled sample out of the simulated WS2/WSe2 scan.

    python make_samples.py path/to/ws2_wse2_64.h5

Probe positions: rows 28 to 59 and columns 0 to 39, which hold seven grains, half of the hole, and in each row two
positions whose noise-free pattern was kept. Detector: binned 2 x 2. Dose: thinned binomially from 20000 to 2000
electrons, which is exact for Poisson counts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

ROWS, COLUMNS = slice(28, 60), slice(0, 40)
BIN, DOSE, SEED = 2, 2000.0, 0
OUT = Path(__file__).parent / "stem_datasets" / "samples" / "ws2_wse2_32.h5"
ORIGIN = (
    "Window of a multislice simulation of a WS2/WSe2 monolayer (abTEM 1.0.11, PRISM), made for this project; "
    "Poisson noise, binned 2 x 2, thinned to 2000 electrons per pattern. CC0 1.0."
)


def binned(patterns: np.ndarray) -> np.ndarray:
    """Sums over BIN x BIN pixels of (n, h, w)."""
    n, h, w = patterns.shape
    return patterns.reshape(n, h // BIN, BIN, w // BIN, BIN).sum(axis=(2, 4))


def main(source: Path, out: Path = OUT) -> None:
    """Writes the sample."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(source, "r") as scan, h5py.File(out, "w") as sample:
        shape = tuple(scan["scan_shape"][()])
        window = np.arange(np.prod(shape)).reshape(shape)[ROWS, COLUMNS]
        items = window.ravel()
        thinning = DOSE / float(scan.attrs["dose"])
        counts = np.random.default_rng(SEED).binomial(binned(scan["patterns"][()][items].astype(np.int64)), thinning)
        packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        sample.create_dataset("patterns", data=counts.astype(np.uint16), chunks=(16, *counts.shape[1:]), **packed)
        sample["scan_shape"] = np.array(window.shape)
        for name in ("labels", "phase", "mixed"):
            sample.create_dataset(name, data=scan[name][ROWS, COLUMNS], compression="gzip")
        kept = np.isin(scan["expected_index"][()], items)
        truth = DOSE * binned(scan["expected"][()][kept].astype(np.float64))
        sample.create_dataset("expected", data=truth.astype(np.float16), chunks=(1, *truth.shape[1:]), **packed)
        sample["expected_index"] = np.searchsorted(items, scan["expected_index"][()][kept])
        for name in ("energy_eV", "semiangle_mrad", "step_A"):
            sample.attrs[name] = scan.attrs[name]
        sample.attrs.update(dose=DOSE, mrad_per_px=BIN * scan.attrs["mrad_per_px"], seed=SEED, origin=ORIGIN)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
