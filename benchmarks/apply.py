"""Reconstructing a scan, beside a plain loop that reads, computes and writes one after the other, in the same run.

    python benchmarks/apply.py SCAN.h5 [--patterns 2048] [--rounds 5] [--backend auto] [--only float32/gzip ...]
                               [--device-ms 100]

Both begin with the same model (two batches of training), read the same gzip chunks of 16 patterns, and write the same
chunks, for each compression, to the disk (fsync). The plain loop reads with h5py, 128 patterns at a time in order.
Given are seconds on the clock and of the processor (medians), the size of the output beside that of float32 values,
and, as the figure to go by, the ratio of the plain loop to ``reconstruct`` in each round (median and range). What is
done at the same time needs cores of its own: where the seconds on the clock are those of the processor, it had none.
With ``--device-ms`` a stand-in takes the place of the model: it waits that long for each batch, as for a device whose
computing takes no core, and hands its input back times noise, which is as hard to compress as a model's output.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import torch

from stemcore import Run, load_recipe, run
from stemcore.data.source import Source
from stemcore.progress import reporter
from stemcore.runs.layout import Layout
from stemcore.runs.saved import Loaded
from stemcore.runs.storage import Storage

BATCH = 128
QUIET = reporter(quiet=True)
STORED = [Storage(dtype, compression) for dtype in ("float32", "float16") for compression in ("none", "gzip")]
STORED += [Storage("float32", "bitshuffle-lz4"), Storage("float32", "blosc-zstd")]


def trained(scan: Path, folder: Path, backend: str) -> Run:
    """A run of two batches with a small model."""
    recipe = {
        "name": "apply",
        "data": {
            "train": {"type": "hdf5", "path": str(scan)},
            "batch_size": BATCH,
            "transforms": {"input": ["log1p", "standardize"]},
        },
        "model": {"type": "conv_autoencoder", "latent_dim": 16, "channels": [4, 8]},
        "losses": {"mse": {}},
        "backend": backend,
        "loggers": [],
        "figures": {},
    }
    return run(load_recipe(recipe), output=folder / "run", fast_dev_run=True, reporter=QUIET)


def with_stand_in(load: Callable[..., tuple[Loaded, Source]], seconds: float) -> Callable[..., tuple[Loaded, Source]]:
    """Loading a run whose model waits and computes nothing."""

    def loading(*arguments: object) -> tuple[Loaded, Source]:
        loaded, source = load(*arguments)
        side = loaded.parts.spec["input"].shape[1:]
        noise = 1 + 1e-3 * torch.randn(side, generator=torch.Generator().manual_seed(0)).to(loaded.fabric.device)

        def reconstruct(input: torch.Tensor) -> torch.Tensor:
            time.sleep(seconds)
            return input * noise

        loaded.model.reconstruct = reconstruct  # type: ignore[method-assign]
        return loaded, source

    return loading


def plain_loop(made: Run, scan: Path, out: Path, storage: Storage) -> None:
    """Reads, computes and writes one after the other."""
    loaded, _ = made.load()
    pipeline, model, device = loaded.parts.pipeline, loaded.model.eval(), loaded.fabric.device
    chain = pipeline.chain("input")
    with h5py.File(scan) as source, h5py.File(out, "w") as file, torch.no_grad():
        patterns = source["patterns"]
        n, *row = patterns.shape
        scan_shape = tuple(source.attrs["scan_shape"])
        layout = Layout.of(n, tuple(row), scan_shape, 4)
        data = file.create_dataset(
            "patterns", (*layout.lead, *row), storage.dtype, chunks=(*layout.chunks, *row), **storage.filters()
        )
        lines = max(1, BATCH // scan_shape[1])
        for line in range(0, scan_shape[0], lines):
            first, last = line * scan_shape[1], min(n, (line + lines) * scan_shape[1])
            stored = {
                "input": torch.from_numpy(patterns[first:last][:, None]).to(device),
                "index": torch.arange(first, last, device=device),
            }
            prediction = chain.inverse(model.reconstruct(input=pipeline(stored)["input"]))[:, 0]
            rows = prediction.to(getattr(torch, storage.dtype)).cpu().numpy()
            data[line : line + lines] = rows.reshape(-1, scan_shape[1], *row)
    with out.open("rb+") as written:
        os.fsync(written.fileno())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a call takes, on the clock and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def measured(made: Run, scan: Path, folder: Path, storage: Storage, rounds: int) -> dict[str, object]:
    """Both ways in turn, and whether their files agree."""
    options = {"dtype": storage.dtype, "compression": storage.compression, "reporter": QUIET}
    ways: list[Callable[[], object]] = [
        lambda: made.reconstruct(folder / "ours.h5", **options),
        lambda: plain_loop(made, scan, folder / "plain.h5", storage),
    ]
    found: list[list[tuple[float, float]]] = [[], []]
    for number in range(rounds + 1):
        for way in (0, 1) if number % 2 else (1, 0):
            found[way].append(timed(ways[way]))
    ours, plain = found[0][1:], found[1][1:]  # the first round only warms up
    with h5py.File(folder / "ours.h5") as a, h5py.File(folder / "plain.h5") as b:
        one, other = torch.from_numpy(a["patterns"][:]).float(), torch.from_numpy(b["patterns"][:]).float()
        torch.testing.assert_close(one, other, rtol=2e-3, atol=1e-3)
        size = a["patterns"].id.get_storage_size() / (4 * one.numel())
    ratios = [p / o for (p, _), (o, _) in zip(plain, ours, strict=True)]
    return {
        "dtype": storage.dtype,
        "compression": storage.compression,
        "size": round(size, 3),
        "reconstruct": _medians(ours),
        "plain_loop": _medians(plain),
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }


def _medians(found: list[tuple[float, float]]) -> dict[str, float]:
    clock, processor = zip(*found, strict=True)
    return {"s": round(statistics.median(clock), 2), "processor_s": round(statistics.median(processor), 2)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, help="holds 'patterns' (n, h, w) and 'scan_shape'")
    parser.add_argument("--patterns", type=int, default=2048, help="of the scan, in whole lines")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", nargs="*", help="such as float32/gzip")
    parser.add_argument("--device-ms", type=float, help="instead of the model's computing, for each batch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, h5py.File(options.scan) as source:
        folder, line = Path(name), int(source["scan_shape"][1])
        lines = options.patterns // line
        with h5py.File(folder / "scan.h5", "w") as file:
            patterns = source["patterns"][: lines * line]
            chunks = (16, *patterns.shape[1:])
            file.create_dataset("patterns", data=patterns, chunks=chunks, compression="gzip", shuffle=True)
            file.attrs["scan_shape"] = (lines, line)
        made = trained(folder / "scan.h5", folder, options.backend)
        if options.device_ms:
            made.load = with_stand_in(made.load, options.device_ms / 1e3)  # type: ignore[method-assign]
        for storage in STORED:
            if options.only and f"{storage.dtype}/{storage.compression}" not in options.only:
                continue
            print(json.dumps(measured(made, folder / "scan.h5", folder, storage, options.rounds)), flush=True)


if __name__ == "__main__":
    main()
