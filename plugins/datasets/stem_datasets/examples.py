"""Files to check the data sets by: small scans in each layout that they read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from stemcore.testing import CommandExample, DatasetExample

SCAN = (6, 7)
IMAGE = (10, 12)


def hdf5(folder: Path) -> list[DatasetExample]:
    """A scan with all that may accompany it, one stored in four axes, and several files."""
    return [_accompanied(folder), _four_axes(folder), _several(folder)]


def tensor(folder: Path) -> list[DatasetExample]:
    """Each format, with and without channels, and a scan."""
    counts = _counts(math.prod(SCAN))
    np.save(folder / "scan.npy", counts.astype(">u2").reshape(*SCAN, *IMAGE))
    np.savez(folder / "several.npz", patterns=counts[:, None], grains=np.arange(len(counts)))
    torch.save(torch.from_numpy(counts).to(torch.bfloat16), folder / "scan.pt")
    np.save(folder / "spectra.npy", counts[:, 0])
    np.save(folder / "objects.npy", np.array([{}], dtype=object))
    torch.save({"model": torch.nn.Linear(2, 2)}, folder / "model.pt")
    scan = {"path": str(folder / "scan.npy"), "scan_shape": list(SCAN)}
    several = {"path": str(folder / "several.npz"), "key": "patterns"}
    return [
        DatasetExample(
            label="npy",
            config=scan,
            broken={
                "a scan of another size": {**scan, "scan_shape": [5, 5]},
                "spectra": {"path": str(folder / "spectra.npy")},
                "Python objects": {"path": str(folder / "objects.npy")},
            },
        ),
        DatasetExample(label="npz", config=several, broken={"no such key": {**several, "key": "pattern"}}),
        DatasetExample(
            label="pt",
            config={"path": str(folder / "scan.pt")},
            broken={"a pickled model": {"path": str(folder / "model.pt")}},
        ),
    ]


def sample(folder: Path) -> DatasetExample:
    """What its file lacks is refused."""
    return DatasetExample(
        broken={"labels that are not there": {"labels": "grain"}, "a truth without its patterns": {"expected": None}}
    )


def convert(folder: Path) -> CommandExample:
    """A small scan to rewrite; what is already there, or is not, is refused."""
    path = _written(folder / "slow.h5", {"patterns": _counts(9)}, chunks=(9, 5, 4))["path"]
    out = str(folder / "fast.h5")
    return CommandExample(
        arguments=(path, out, "--dataset", "patterns", "--force"),
        wrong=((path, path, "--force"), (path, str(folder / "none" / "fast.h5")), (str(folder / "none.h5"), out)),
    )


def _accompanied(folder: Path) -> DatasetExample:
    positions = math.prod(SCAN)
    index = np.arange(1, positions, 4)
    config = _written(
        folder / "scan.h5",
        {
            "patterns": _counts(positions),
            "pixels": np.indices((positions, *IMAGE)).sum(axis=0) % 5 > 0,
            "grains": np.arange(positions).reshape(SCAN) % 4,
            "specimens": np.arange(positions) // 10,
            "truth": _rates(positions)[index],
            "truth_index": index,
        },
    )
    config |= {"mask": "pixels", "labels": "grains", "groups": "specimens", "scan_shape": list(SCAN)}
    config |= {"expected": "truth", "expected_index": "truth_index"}
    broken = {
        "no such dataset": {**config, "dataset": "pattern"},
        "labels of another shape": {**config, "labels": "truth"},
        "a scan of another size": {**config, "scan_shape": [5, 5]},
        "a truth without its patterns": {**config, "expected": None},
    }
    return DatasetExample(label="accompanied", config=config, broken=broken)


def _four_axes(folder: Path) -> DatasetExample:
    counts = _counts(math.prod(SCAN)).astype(">i4").reshape(*SCAN, *IMAGE)
    config = _written(folder / "four.h5", {"patterns": counts}, chunks=(2, 3, *IMAGE), scale_factor=0.5, add_offset=2.0)
    return DatasetExample(label="four axes", config=config)


def _several(folder: Path) -> DatasetExample:
    paths = [_written(folder / f"part{k}.h5", {"patterns": _counts(9 + k)})["path"] for k in range(3)]
    unlike = _written(folder / "unlike.h5", {"patterns": _counts(4)[:, 1:]})["path"]
    broken = {
        "files that differ in shape": {"path": [*paths, unlike]},
        "a file named twice": {"path": [*paths, paths[0]]},
    }
    return DatasetExample(label="several files", config={"path": paths}, broken=broken)


def _written(
    path: Path, arrays: Mapping[str, np.ndarray], chunks: tuple[int, ...] | None = None, **attributes: float
) -> dict[str, Any]:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            if name == "patterns":
                file.create_dataset(name, data=values, chunks=chunks or (4, *values.shape[1:]), compression="gzip")
            else:
                file[name] = values
        file["patterns"].attrs.update(attributes)
    return {"path": str(path)}


def _rates(items: int) -> np.ndarray:
    """Expected counts (items, *IMAGE) of a spot that moves, float32."""
    y, x = np.indices(IMAGE)
    angle = 0.4 * np.arange(items)[:, None, None]
    apart = (y - 5 - 3 * np.sin(angle)) ** 2 + (x - 6 - 3 * np.cos(angle)) ** 2
    return (0.2 + 9 * np.exp(-apart / 6)).astype(np.float32)


def _counts(items: int) -> np.ndarray:
    """Poisson counts of it, uint16."""
    return np.random.default_rng(items).poisson(_rates(items)).astype(np.uint16)
