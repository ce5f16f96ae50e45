"""Training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from stem_figures.style import COLOURS, MEDIUM, SMALL, canvas
from stemcore import Figure

History = Sequence[Mapping[str, float]]


class LossCurves(Figure):
    """Loss of training and validation over the epochs, beside it the single terms and the learning rate."""

    source = "history"

    def draw(self, history: History) -> Drawing:
        """Draws one panel each of the total loss, the unweighted terms (where there are any besides the loss), and
        the learning rate (where it was recorded).

        Args:
            history: scalars of each epoch: ``epoch``, ``train/loss``, ``val/loss``, ``train/<term>``, ``lr``; an
                epoch may lack any of them.
        """
        names = list(dict.fromkeys(name for row in history for name in row))
        terms = [n.removeprefix("train/") for n in names if n.startswith("train/") and n != "train/loss"]
        rates = [n for n in names if n == "lr" or n.startswith("lr/")]
        panels = 1 + bool(terms) + bool(rates)
        drawing = canvas(5.2 * panels, 4.0)
        axes = iter(drawing.subplots(1, panels, squeeze=False)[0])
        _losses(next(axes), history)
        if terms:
            _terms(next(axes), history, terms, names)
        if rates:
            _rates(next(axes), history, rates)
        return drawing


def curve(history: History, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and values of a scalar, where it was recorded and is finite."""
    rows = [(row.get("epoch", i + 1), row.get(name, np.nan)) for i, row in enumerate(history)]
    points = np.array(rows, dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points[:, 1])]
    return points[:, 0], points[:, 1]


def _losses(axes: Axes, history: History) -> None:
    for name, label, colour in (("train/loss", "training", COLOURS[0]), ("val/loss", "validation", COLOURS[1])):
        _plot(axes, *curve(history, name), label, colour)
    epochs, losses = curve(history, "val/loss")
    if len(losses) > 1:
        best = int(losses.argmin())
        axes.plot(epochs[best], losses[best], "*", color=COLOURS[1], markersize=13, markeredgecolor="white", zorder=4)
        axes.plot([], [], "*", color=COLOURS[1], label=f"best: {losses[best]:.4g} in epoch {epochs[best]:g}")
    _finish(axes, "loss", "Loss")


def _terms(axes: Axes, history: History, terms: Sequence[str], names: Sequence[str]) -> None:
    for term, colour in zip(terms, cycle(COLOURS), strict=False):
        _plot(axes, *curve(history, f"train/{term}"), term, colour)
        if f"val/{term}" in names:
            _plot(axes, *curve(history, f"val/{term}"), f"{term} (validation)", colour, "--")
    _finish(axes, "term, not weighted", "Terms of the loss")


def _rates(axes: Axes, history: History, rates: Sequence[str]) -> None:
    for name, colour in zip(rates, cycle(COLOURS), strict=False):
        _plot(axes, *curve(history, name), name.removeprefix("lr/"), colour)
    _finish(axes, "learning rate", "Learning rate", legend=len(rates) > 1)


def _plot(axes: Axes, epochs: np.ndarray, values: np.ndarray, label: str, colour: str, style: str = "-") -> None:
    if len(values):
        marker = "o" if len(values) <= 25 else ""
        axes.plot(epochs, values, style, marker=marker, markersize=4, linewidth=1.6, color=colour, label=label)


def _finish(axes: Axes, label: str, title: str, legend: bool = True) -> None:
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    values = np.concatenate(drawn) if drawn else np.zeros(0)
    if not values.size:
        axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", fontsize=MEDIUM)
    elif values.min() > 0:
        axes.set_yscale("log")
        if values.min() < values.max() < 10 * values.min():  # powers of ten alone would leave the axis without labels
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.set_title(title, fontsize=MEDIUM)
    axes.set_xlabel("epoch", fontsize=MEDIUM)
    axes.set_ylabel(label, fontsize=MEDIUM)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    left, right = axes.get_xlim()
    if right - left < 1:
        axes.set_xlim((left + right) / 2 - 1, (left + right) / 2 + 1)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)
    if legend and values.size:
        axes.legend(fontsize=SMALL, frameon=False)
