"""What was found, in files and in lines of text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from stem_memorization.figure import pairs, title
from stem_memorization.outcome import Outcome
from stem_memorization.views import View
from stemcore import write_atomically

JSON, CSV, PNG = "memorization.json", "memorization.csv", "closest.png"
COLUMNS = ("sample", "copy", "nearest", "name", "l2", "ratio", "cosine", "cosine_item")


def write(outcome: Outcome, document: dict[str, Any], view: View, folder: Path, top: int) -> list[Path]:
    """Writes ``memorization.json``, ``memorization.csv`` (a line for each sample) and ``closest.png``.

    Returns:
        the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {JSON: json.dumps(document, indent=2) + "\n", CSV: table_of_samples(outcome)}
    for name, text in texts.items():
        _write_text(folder / name, text)
    drawing = closest(outcome, view, top)
    path = folder / PNG
    write_atomically(path, lambda part: drawing.savefig(part, format="png", dpi=150, bbox_inches="tight"))
    return [folder / JSON, folder / CSV, path]


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def table_of_samples(outcome: Outcome) -> str:
    """A line of CSV for each sample."""
    found, names = outcome.found, outcome.names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for k, item in enumerate(found.item.tolist()):
        name = "" if names is None else names[item]
        numbers = (f"{v:.6g}" for v in (found.distance[k], outcome.ratios[k], found.cosine[k]))
        writer.writerow([k, int(outcome.copies[k]), item, name, *numbers, int(found.cosine_item[k])])
    return text.getvalue()


def closest(outcome: Outcome, view: View, top: int) -> Any:
    """A drawing of the samples that are nearest to a training item beside these, the smallest ratio first."""
    order = np.argsort(outcome.ratios, kind="stable")[:top]
    items = outcome.found.item[order]
    wanted, back = np.unique(items, return_inverse=True)
    rows = view.closest(wanted)
    left, right = view.pictures(outcome.samples[order]), view.pictures(rows)[back]
    titles = [title(k, bool(outcome.copies[k]), outcome.ratios[k], outcome.found.cosine[k]) for k in order.tolist()]
    below = [str(item) if outcome.names is None else str(outcome.names[item]) for item in items.tolist()]
    return pairs(left, right, titles, below)


def lines(document: dict[str, Any]) -> list[str]:
    """The verdict and what it is made of, for people."""
    alone, far = document["by_cosine_alone"], document["diversity"]
    text = [
        f"{document['samples']} samples against {document['training_items']} training items, in {document['space']} "
        f"space; beside them {document['reference_items']} {document['reference']}",
        "",
        f"memorised             {document['memorised']:.1%}: {document['verdict']}",
        f"copies                {document['copies']} ({document['share']:.1%}), expected {document['expected']:.1%}",
        f"cosine above {document['threshold']:<8g} {alone['share']:.1%}: {alone['verdict']}, expected "
        f"{alone['expected']:.1%}",
        f"nearest, median       {document['distances']['samples']['median']:.4g}, expected "
        f"{document['distances']['reference']['median']:.4g}",
        f"diversity             {far['relative']:.2f} of the training items', {far['repeated']:.1%} repeated",
    ]
    if document["perturbations"]:
        text += ["", f"{document['planted']} planted copies found"]
        text += [f"{p['kind']:<10} {p['strength']:>5g}  {p['found']:.0%}" for p in document["perturbations"]]
    return text
