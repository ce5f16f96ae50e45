"""The figures of a probe."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from stem_probes.outcome import FEATURES, Outcome
from stem_probes.scores import confusion

TITLES = {"linear": "linear probe", "knn": "k-NN"}
MOST_NUMBERS, MOST_POINTS = 6, 2000


def confusion_figure(outcome: Outcome) -> Drawing:
    """What was told from the run's features in all draws, beside what it was: shares of a row, and counts."""
    names = outcome.targets.names
    side = min(14.0, 2.2 + 0.55 * len(names))
    drawing = Drawing(figsize=(2 * side, side), dpi=110, layout="compressed")
    axes = drawing.subplots(1, 2, squeeze=False)[0]
    true = np.concatenate([outcome.rows.target[test] for _, test in outcome.draws])
    for one, (probe, title) in zip(axes, TITLES.items(), strict=True):
        predicted = np.concatenate([said.predicted for said in outcome.said[f"{FEATURES}/{probe}"]])
        _matrix(one, confusion(true, predicted, len(names)), names)
        one.set_title(f"{title}, {len(outcome.draws)} draws", fontsize=11)
    return drawing


def _matrix(axes: Axes, counts: np.ndarray, names: tuple[str, ...]) -> None:
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", fontsize=9)
    axes.set_yticks(ticks, names, fontsize=9)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    if len(names) > 20:  # numbers could not be read
        return
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            text = f"{100 * shares[row, column]:.0f}%\n{counts[row, column]}"
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def scatter_figure(outcome: Outcome) -> Drawing:
    """Numbers as the linear probe told them, beside what they were, in the first draw."""
    names = outcome.targets.names[:MOST_NUMBERS]
    drawing = Drawing(figsize=(3.2 * len(names), 3.4), dpi=110, layout="constrained")
    test = outcome.draws[0][1]
    some = np.linspace(0, len(test) - 1, min(len(test), MOST_POINTS)).astype(int)
    true, predicted = outcome.rows.target[test][some], outcome.said[f"{FEATURES}/linear"][0].predicted[some]
    for k, (axes, name) in enumerate(zip(drawing.subplots(1, len(names), squeeze=False)[0], names, strict=True)):
        axes.plot(true[:, k], predicted[:, k], ".", markersize=3, color="#0072B2")
        axes.axline((float(true[0, k]), float(true[0, k])), slope=1, color="#999999", linewidth=1)
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("label")
        axes.set_ylabel("linear probe")
    return drawing
