"""How well recipes impute one platform from the other on real tables, beside simple baselines on the same rows.

    python benchmarks/imputation.py DIR [KEY=VALUE ...] [--recipes joint-vae joint-mm] [--seeds 3] [--sets brca_jive]

DIR holds the folders ``brca_jive`` and ``breast_tcga``, each with its tables and ``split.csv``, whose test rows are
fixed. A recipe is trained with each seed on the training rows, of which the seed draws the validation rows, and is
scored on the test rows as ``stem compare`` does; the baselines are fitted to all rows but those and tuned by
cross-validation on them. Nothing is chosen by the test rows. Correlations by sample are those of values standardized
feature by feature. Over the seeds: mean and standard deviation; seconds an epoch, validation included, are the median.

``original`` is the joint VAE's earlier training script with its defaults, on the same rows; its figures were measured
once, elsewhere, and do not change with this script.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stem_paired.comparison import Comparison, compare

import stemcore

BASELINES = ("mean", "knn", "wnn", "ridge", "pls")
MEDIAN, MEAN, BY_SAMPLE = "feature r median", "feature r mean", "sample r mean"


@dataclass(frozen=True)
class Pair:
    """Two tables of one folder, and what the original scored: median r by feature and mean r by sample, from the first
    to the second and back; its seconds an epoch where they are known."""

    a: str
    b: str
    there: tuple[float, float]
    back: tuple[float, float]
    seconds: float | None = None


PAIRS = {
    "brca_jive": Pair("expression", "mirna", (0.411, 0.377), (0.510, 0.456), 2.0),
    "breast_tcga": Pair("mrna", "protein", (0.314, 0.308), (0.402, 0.377)),
}


def train(recipe: str, seed: int, folder: Path, pair: Pair, changes: Sequence[str], output: Path) -> float:
    """Trains one run; returns its seconds an epoch."""
    overrides = [
        f"data.train.a={folder / f'{pair.a}.csv'}",
        f"data.train.b={folder / f'{pair.b}.csv'}",
        f"data.train.metadata={folder / 'split.csv'}",
        "data.train.split_column=split",
        "data.split=given",
        f"seed={seed}",
        "figures=null",
        *changes,
    ]
    summary = stemcore.run(recipe, overrides=overrides, output=output).summary
    return float(summary["wall_seconds"]) / int(summary["epochs"])


def measure(name: str, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each direction and method."""
    pair = PAIRS[name]
    seconds: dict[str, list[float]] = defaultdict(list)
    methods: dict[str, str] = {}
    runs = []
    for recipe in options.recipes:
        for seed in range(options.seeds):
            output = folder / f"{name}-{Path(recipe).stem}-{seed}"
            seconds[recipe].append(train(recipe, seed, options.folder / name, pair, options.changes, output))
            methods[output.name] = recipe
            runs.append(output)
    return rows(pair, compare(runs, options.baselines, "test"), methods, seconds)


def rows(
    pair: Pair, found: Comparison, methods: dict[str, str], seconds: dict[str, list[float]]
) -> list[dict[str, Any]]:
    """The comparison, the runs of a recipe taken together, with the original above each direction."""
    told = []
    for source, (given, wanted), original in (("a", (pair.a, pair.b), pair.there), ("b", (pair.b, pair.a), pair.back)):
        direction = {"direction": f"{given} -> {wanted}"}
        scores: dict[str, list[Any]] = defaultdict(list)
        for result in found.results:
            if result.source == source:
                scores[methods.get(result.method, result.method)].append(result.scores)
        told.append(
            direction
            | {"method": "original", MEDIAN: [original[0]], MEAN: [], BY_SAMPLE: [original[1]], "epoch": pair.seconds}
        )
        for method, of_seeds in scores.items():
            values = {score: [each[score] for each in of_seeds] for score in (MEDIAN, MEAN, BY_SAMPLE)}
            epoch = statistics.median(seconds[method]) if method in seconds else None
            told.append(direction | {"method": method, **values, "epoch": epoch})
    return told


def table(measured: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| Direction | Method | r by feature, median | mean | r by sample, mean | s an epoch |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured:
        cells = [_spread(row[score]) for score in (MEDIAN, MEAN, BY_SAMPLE)]
        epoch = "" if row["epoch"] is None else f"{row['epoch']:.2f}"
        lines.append(f"| {' | '.join([row['direction'], row['method'], *cells, epoch])} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.3f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the folders of tables are")
    parser.add_argument("--sets", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--recipes", nargs="+", default=["joint-vae"], help="names or files")
    parser.add_argument("--baselines", nargs="*", choices=BASELINES, default=list(BASELINES))
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--keep", type=Path, help="folder for the runs; a temporary one by default")
    parser.add_argument("--json", action="store_true", help="the figures of each seed instead of the table")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes of the recipes")
    options = parser.parse_intermixed_args()
    options.folder = options.folder.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("STEM_CACHE_DIR", str(Path(temporary) / "cache"))
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measured = [row for name in options.sets for row in measure(name, options, folder)]
    print(json.dumps(measured, indent=2) if options.json else table(measured))


if __name__ == "__main__":
    main()
