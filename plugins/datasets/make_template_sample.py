"""Writes the scan that ``stem new plugin NAME --kind dataset`` ships: a window of the bundled sample, binned 4 x 4.

python plugins/datasets/make_template_sample.py
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "stemcore/scaffold/template/dataset/src/{{ package }}/sample"
ROWS, COLUMNS, BIN = 24, 32, 4


def main() -> None:
    """Writes header and frames."""
    with h5py.File(str(files("stem_datasets") / "samples" / "ws2_wse2_32.h5")) as file:
        rows, columns = (int(n) for n in file["scan_shape"][:])
        patterns = file["patterns"][:].reshape(rows, columns, *file["patterns"].shape[1:])
    h, w = patterns.shape[-2] // BIN, patterns.shape[-1] // BIN
    frames = patterns[:ROWS, :COLUMNS].reshape(ROWS, COLUMNS, h, BIN, w, BIN).sum(axis=(3, 5))
    dtype = np.uint8 if frames.max() < 256 else np.uint16
    header = {"scan_shape": [ROWS, COLUMNS], "frame_shape": [h, w], "dtype": np.dtype(dtype).name, "file": "scan.raw"}
    FOLDER.mkdir(parents=True, exist_ok=True)
    frames.astype(dtype).tofile(FOLDER / "scan.raw")
    (FOLDER / "scan.json").write_text(json.dumps(header) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
