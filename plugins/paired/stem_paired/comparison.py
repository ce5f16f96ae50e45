"""Runs beside baselines on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stem_paired.baselines import fitted
from stem_paired.correlation import by_feature, by_sample
from stem_paired.platforms import OTHER, PLATFORMS
from stemcore import Items, Run, UserError, load_run, reporter

SCORES = ("feature r median", "feature r mean", "sample r mean", "R2 mean")


@dataclass(frozen=True)
class Scored:
    """How well one method imputes one platform.

    Attributes:
        method: a run's name or a baseline's.
        is_run: which of the two it is.
        source, wanted: platforms.
        setting: of a baseline, chosen by cross-validation.
        feature_r: of each feature, NaN where it has none.
        scores: by the names of ``SCORES``.
    """

    method: str
    is_run: bool
    source: str
    wanted: str
    setting: str
    feature_r: np.ndarray
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared.

    Attributes:
        part: of the data that was scored.
        items: how many samples.
        features: names of the features of each platform.
        results: of each method and direction.
    """

    part: str
    items: int
    features: Mapping[str, tuple[str, ...]]
    results: Sequence[Scored]


@dataclass(frozen=True)
class Tables:
    """Rows of both platforms.

    Attributes:
        names: of the samples.
        rows: by platform, (n, features), NaN where a value is missing.
    """

    names: tuple[str, ...]
    rows: Mapping[str, np.ndarray]


def compare(paths: Sequence[Path], baselines: Sequence[str], part: str | None = None) -> Comparison:
    """Scores runs and baselines on the same rows.

    Baselines are fitted to the rows that the runs have seen: those trained on and those validated on. All values are
    standardized with the mean and standard deviation of these rows, feature by feature; a missing one is then 0 where a
    baseline needs it, and is left out of every score.

    Args:
        paths: run directories; what they were trained on and what they held out must be the same.
        baselines: as of :func:`~stem_paired.baselines.fitted`.
        part: ``test`` or ``val``; the test part, if the runs have one, else the validation part.

    Raises:
        UserError: if a run has no paired data, or the runs do not hold out the same rows.
    """
    runs = {path.name: load_run(path) for path in paths}
    if len(runs) < len(paths):
        runs = {str(path): load_run(path) for path in paths}
    for name, run in runs.items():
        _refuse_unpaired(run, name)
    name, first = next(iter(runs.items()))
    part, held_out, seen = _held_out_and_seen(first, name, part)
    for name, run in runs.items():
        _refuse_other_rows(name, held_out, seen, *_held_out_and_seen(run, name, part)[1:])
    scale = {p: _scale(rows) for p, rows in seen.rows.items()}
    results = []
    jobs = [(source, method) for source in PLATFORMS for method in (*runs, *baselines)]
    with reporter().task("comparing", len(jobs)) as task:
        for source, method in jobs:
            wanted = OTHER[source]
            if method in runs:
                imputed = runs[method].impute({f"input_{source}": held_out.rows[source]})[f"input_{wanted}"]
                predicted, setting = _standard(imputed, scale[wanted]), ""
            else:
                known = {p: np.nan_to_num(_standard(rows, scale[p])) for p, rows in seen.rows.items()}
                predict, setting = fitted(method, known[source], known[wanted])
                predicted = predict(np.nan_to_num(_standard(held_out.rows[source], scale[source])))
            measured = _standard(held_out.rows[wanted], scale[wanted])
            r, scores = _scores(predicted, measured)
            results.append(Scored(method, method in runs, source, wanted, setting, r, scores))
            task.advance(1)
    features = {p: first.fields[f"input_{p}"].features for p in PLATFORMS}
    return Comparison(part, len(held_out.names), features, results)


def _scores(predicted: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Pearson's r of every feature, and the scores."""
    r = by_feature(predicted, measured)
    known = np.isfinite(measured)
    squares = np.where(known, (predicted - measured) ** 2, 0).sum(0)
    mean = np.where(known, measured, 0).sum(0) / np.maximum(known.sum(0), 1)
    spread = np.where(known, (measured - mean) ** 2, 0).sum(0)
    r2 = 1 - squares[np.isfinite(r)] / spread[np.isfinite(r)]
    values = (np.nanmedian(r), np.nanmean(r), np.nanmean(by_sample(predicted, measured)), r2.mean())
    return r, {name: float(value) for name, value in zip(SCORES, values, strict=True)}


def _refuse_unpaired(run: Run, name: str) -> None:
    if any(f"input_{p}" not in run.fields for p in PLATFORMS):
        there = ", ".join(run.fields)
        raise UserError(f"the run has no two platforms to compare, its fields are {there}", where=name)


def _held_out_and_seen(run: Run, name: str, part: str | None) -> tuple[str, Tables, Tables]:
    """What is scored, and what the run was trained on and stopped by."""
    items = run.items()
    part = part or ("test" if "test" in items else "val")
    if part not in items:
        there = ", ".join(items)
        raise UserError(f"the run has no items for '{part}', only for {there}", where=name)
    return part, _tables([items[part]]), _tables([items[p] for p in ("train", "val") if p in items and p != part])


def _tables(parts: Sequence[Items]) -> Tables:
    names = tuple(name for items in parts for name in items.names or map(str, items.index))
    read = [items.read() for items in parts]
    return Tables(names, {p: np.concatenate([arrays[f"input_{p}"] for arrays in read]) for p in PLATFORMS})


def _refuse_other_rows(name: str, held_out: Tables, seen: Tables, other: Tables, also_seen: Tables) -> None:
    if sorted(other.names) != sorted(held_out.names) or sorted(also_seen.names) != sorted(seen.names):
        raise UserError(
            "it was trained on other samples, or holds out others, than the first run",
            where=name,
            hint="compare runs of the same data, split and seed",
        )


def _scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, std = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    return mean, np.where(std > 0, std, 1.0)


def _standard(rows: np.ndarray, scale: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return (np.asarray(rows, np.float64) - scale[0]) / scale[1]
