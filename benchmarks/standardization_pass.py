"""The pass that fits ``standardize`` to a compressed scan, beside only decoding it, in the same run.

    python benchmarks/standardization_pass.py SCAN.h5 [--rounds 5]

The two alternate, each reading every pattern once, block by block; reported are patterns per second and, as the
figure to go by, the ratio of the two in each round (at least 0.5 is wanted).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from stemcore import load_recipe
from stemcore.assemble import assemble
from stemcore.data.fit import _one_pass, batch_items
from stemcore.data.loader import Loader
from stemcore.progress import reporter


def recipe(scan: Path) -> dict[str, object]:
    """A recipe whose transforms have to be fitted, and little else."""
    return {
        "name": "pass",
        "data": {
            "train": {"type": "hdf5", "path": str(scan)},
            "val": 0,
            "transforms": {"input": ["log1p", "standardize"]},
        },
        "model": {"type": "conv_autoencoder"},
        "losses": {"mse": {}},
        "backend": "cpu",
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    parts = assemble(load_recipe(recipe(options.scan)))
    source, quiet = parts.sources.train, reporter(quiet=True)
    chains = dict(parts.pipeline.chains.items())
    items = batch_items(source.dataset)
    decode, fit = [], []
    loader = Loader()
    for _ in range(options.rounds):
        started = time.perf_counter()
        for _ in loader.ordered(source, items):
            pass
        between = time.perf_counter()
        _one_pass(parts.pipeline.intake, chains, source, 0, [], loader, quiet, "")
        decode.append(between - started)
        fit.append(time.perf_counter() - between)
    ratios = [d / f for d, f in zip(decode, fit, strict=True)]
    found = {
        "patterns": len(source),
        "decoding_per_s": len(source) / statistics.median(decode),
        "fitting_per_s": len(source) / statistics.median(fit),
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
