"""How well each feature of a table is predicted."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_figures.style import COLOURS, MEDIUM, SMALL, canvas
from stemcore import DataSpec, Figure, UserError

LEAST_VALUES = 3


class Imputation(Figure):
    """Predicted against measured values of single features: the best, a median and the worst one by Pearson's r, and
    the distribution of r over all features.

    Features with fewer than three measured values, or whose values are all the same, have no r and are left out.

    Args:
        field: the field that the target is, for the names of its features.
        examples: features drawn, from the best to the worst.
    """

    items = 4096

    def __init__(self, *, field: str = "input", examples: Annotated[int, Field(ge=1)] = 3) -> None:
        self.field, self.examples = field, examples

    def draw(
        self, prediction: np.ndarray, target: np.ndarray, spec: DataSpec, mask: np.ndarray | None = None
    ) -> Drawing:
        """Draws the examples and the distribution.

        Args:
            prediction, target: (n, features).
            spec: the fields, for the names of the features.
            mask: (n, features), true where a value was measured; all by default.

        Raises:
            UserError: if no feature has an r.
        """
        predicted, measured = (np.asarray(x, dtype=float).reshape(len(x), -1) for x in (prediction, target))
        known = np.isfinite(measured) if mask is None else np.isfinite(measured) & mask.reshape(measured.shape)
        r = feature_correlations(predicted, measured, known)
        order = np.argsort(-r, kind="stable")[: int(np.isfinite(r).sum())]
        if not len(order):
            raise UserError("no feature has enough different values to be drawn")
        places = np.linspace(0, len(order) - 1, min(self.examples, len(order))).round().astype(int)
        drawing = canvas(
            3.6 * (len(places) + 1), 3.7, f"{self.field}: {len(order):,} features, {len(measured):,} items"
        )
        grid = drawing.subplots(1, len(places) + 1, squeeze=False)[0]
        names = spec[self.field].features if self.field in spec else ()
        for axes, place in zip(grid, places, strict=False):
            feature = int(order[place])
            name = names[feature] if feature < len(names) else f"feature {feature}"
            title = f"{_rank(int(place), len(order))}: {name}\nr = {r[feature]:.3f}"
            _scatter(axes, measured[known[:, feature], feature], predicted[known[:, feature], feature], title)
        _distribution(grid[-1], r[order])
        return drawing


def feature_correlations(predicted: np.ndarray, measured: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pearson's r of each column over the rows where ``known`` (n, features) is true, (features,); NaN where there are
    fewer than three such rows or one of the two does not vary."""
    count = known.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviations = []
        for x in (predicted, measured):
            mean = np.where(known, x, 0).sum(0) / count
            deviations.append(np.where(known, x - mean, 0.0))
        p, m = deviations
        r: np.ndarray = (p * m).sum(0) / np.sqrt((p**2).sum(0) * (m**2).sum(0))
    return np.where(count >= LEAST_VALUES, r, np.nan)


def _rank(place: int, count: int) -> str:
    names = {0: "best", count - 1: "worst"}
    return names.get(place, "median" if abs(place - (count - 1) / 2) <= 0.5 else f"rank {place + 1}")


def _scatter(axes: Axes, measured: np.ndarray, predicted: np.ndarray, title: str) -> None:
    size = float(np.clip(4000 / max(len(measured), 1), 3, 30))
    axes.scatter(measured, predicted, s=size, color=COLOURS[0], alpha=0.6, linewidths=0)
    low, high = min(measured.min(), predicted.min()), max(measured.max(), predicted.max())
    axes.plot([low, high], [low, high], color="black", linewidth=0.8, linestyle="--")
    axes.set_title(title, fontsize=MEDIUM)
    axes.set_xlabel("measured", fontsize=MEDIUM)
    axes.set_ylabel("predicted", fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)


def _distribution(axes: Axes, r: np.ndarray) -> None:
    axes.hist(r, bins=np.linspace(min(-0.2, float(r.min())), 1, 41), color=COLOURS[0], alpha=0.8)
    for value, label, colour in ((float(np.median(r)), "median", COLOURS[1]), (float(r.mean()), "mean", COLOURS[2])):
        axes.axvline(value, color=colour, label=f"{label} {value:.3f}")
    axes.set_title("all features", fontsize=MEDIUM)
    axes.set_xlabel("Pearson's r", fontsize=MEDIUM)
    axes.set_ylabel("features", fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL)
    axes.legend(fontsize=SMALL, frameon=False)
