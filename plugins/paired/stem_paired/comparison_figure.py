"""The figure of a comparison."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from stem_paired.comparison import Comparison, Scored

COLOURS = ("#D55E00", "#0072B2")


def draw(found: Comparison) -> Drawing:
    """The distribution of Pearson's r over the features, a box for each method and a panel for each direction. Runs are
    orange, baselines blue; the white line is the median, the dot the mean."""
    directions = list(dict.fromkeys((r.source, r.wanted) for r in found.results))
    drawing = Drawing(figsize=(5.5 * len(directions), 4.2), dpi=110, layout="constrained")
    drawing.suptitle(f"{found.part}: {found.items:,} samples", fontsize=12)
    for axes, (source, wanted) in zip(drawing.subplots(1, len(directions), squeeze=False)[0], directions, strict=True):
        _panel(axes, [r for r in found.results if r.source == source], f"{source} to {wanted}")
    return drawing


def _panel(axes: Axes, results: list[Scored], title: str) -> None:
    values = [r.feature_r[np.isfinite(r.feature_r)] for r in results]
    places = np.arange(len(results))
    boxes = axes.boxplot(
        values, positions=places, widths=0.6, patch_artist=True, showfliers=False, medianprops={"color": "white"}
    )
    for box, result in zip(boxes["boxes"], results, strict=True):
        box.set_facecolor(COLOURS[0] if result.is_run else COLOURS[1])
    axes.plot(places, [v.mean() if v.size else np.nan for v in values], "o", color="black", markersize=4)
    axes.set_xticks(places, [r.method for r in results], rotation=30, ha="right", fontsize=9)
    axes.set_title(title, fontsize=10)
    axes.set_ylabel("Pearson's r of each feature", fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.3, axis="y")
