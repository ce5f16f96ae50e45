"""Results of a probe: a document, tables and a figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stem_probes.outcome import FEATURES, Outcome, Wanted
from stemcore import write_atomically

if TYPE_CHECKING:
    from stemcore import Run

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "r2": "R2",
    "rmse": "RMSE",
}
PROBES = ("linear", "knn")
FIGURES = ("confusion.png", "numbers.png")
"""Of classes, and of numbers."""


def document(outcome: Outcome, run: Run, overrides: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    """All scores and what they are of, as plain data."""
    rows, targets = outcome.rows, outcome.targets
    found: dict[str, Any] = {
        "run": str(run.directory),
        "overrides": list(overrides),
        "checkpoint": run.checkpoint.name,
        "data": wanted.data,
        "labels": targets.where,
        "ignored": list(wanted.ignored),
        "task": "regression" if targets.regression else "classification",
        "items": len(outcome.items),
        "labelled": len(rows),
        "of": "places" if rows.within else "items",
        "features": rows.features.shape[1],
        "protocol": asdict(outcome.protocol),
        "neighbours": asdict(wanted.neighbours),
        "draws": len(outcome.draws),
        "train": len(outcome.draws[0][0]),
        "scored": len(outcome.draws[0][1]),
    }
    if rows.within:
        found["majority"] = wanted.share
    if not targets.regression:
        counts = np.bincount(rows.target, minlength=len(targets.names))
        found["classes"] = dict(zip(targets.names, counts.tolist(), strict=True))
    return {**found, "notes": outcome.notes, "scores": outcome.scores}


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The document for people, line by line."""
    protocol, train, scored = found["protocol"], found["train"], found["scored"]
    yield f"{found['labels']}: {found['labelled']} labelled {found['of']}, {found['features']} features"
    draws = found["draws"]
    yield f"{draws} draw{'s' * (draws > 1)}, split by {protocol['split']}: {train} to train on, {scored} to score"
    yield from found["notes"]
    yield ""
    scores = found["scores"]
    shown = [name for name in TITLES if name in scores[f"{FEATURES}/linear"]]
    lines = [[name, *(_spread(of.get(s)) for s in shown)] for name, of in scores.items()]
    yield from _aligned([["predictor", *(TITLES[s] for s in shown)], *lines])
    yield ""
    counts = found.get("classes")
    each = scores[f"{FEATURES}/linear"]["targets" if counts is None else "classes"]
    columns = list(next(iter(each.values())))
    counted = {name: [] if counts is None else [str(counts[name])] for name in each}
    lines = [[name, *counted[name], *(_spread(of[c]) for c in columns)] for name, of in each.items()]
    yield from _aligned([[f"{FEATURES}/linear", *([] if counts is None else ["labels"]), *columns], *lines])


def write(outcome: Outcome, found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes ``scores.json``, ``predictions.csv`` and the figure; returns where they are."""
    from stem_probes.figures import confusion_figure, scatter_figure

    folder.mkdir(parents=True, exist_ok=True)
    regression = outcome.targets.regression
    drawing = scatter_figure(outcome) if regression else confusion_figure(outcome)
    files = [
        folder / "scores.json",
        folder / "predictions.csv",
        folder / FIGURES[regression],
    ]
    again = files[0].is_file()
    texts = [json.dumps(found, indent=2, allow_nan=False) + "\n", _predictions(outcome)]
    for path, text in zip(files, texts, strict=False):
        write_atomically(path, partial(_put, text))
    write_atomically(files[2], lambda part: drawing.savefig(part, format="png"))
    if again:  # the other figure would be of an earlier probe, and not of these scores
        (folder / FIGURES[not regression]).unlink(missing_ok=True)
    return files


def _put(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _predictions(outcome: Outcome) -> str:
    """What linear probe and k-NN said of the run's features, one line for every scored row of every draw."""
    rows, targets, text = outcome.rows, outcome.targets, io.StringIO(newline="")
    written = csv.writer(text, lineterminator="\n")
    names = outcome.items.names
    place = ["row", "column"] if rows.place is not None else []
    kinds = ["label", *PROBES]
    values = [f"{k} {name}" for k in kinds for name in targets.names] if targets.regression else kinds
    written.writerow(["draw", "item", *(["id"] if names else []), *place, *values])
    for number, (_, test) in enumerate(outcome.draws):
        said = [rows.target[test], *(outcome.said[f"{FEATURES}/{probe}"][number].predicted for probe in PROBES)]
        for k, row in enumerate(test):
            item = int(rows.item[row])
            at = [] if rows.place is None else rows.place[row].tolist()
            written.writerow([number, item, *([names[item]] if names else []), *at, *_cells(said, k, outcome)])
    return text.getvalue()


def _cells(said: Sequence[np.ndarray], k: int, outcome: Outcome) -> list[str]:
    if outcome.targets.regression:
        return [f"{value:.6g}" for values in said for value in values[k]]
    return [outcome.targets.names[values[k]] for values in said]


def _spread(score: Mapping[str, float | None] | None) -> str:
    """Mean and spread."""
    if score is None or score["mean"] is None:
        return ""
    spread = "" if score["std"] is None else f" +- {score['std']:.3f}"
    return f"{score['mean']:.3f}{spread}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
