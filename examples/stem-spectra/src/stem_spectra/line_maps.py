"""The figure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from matplotlib.figure import Figure as Drawing
from pydantic import Field

from stem_spectra.line_counts import LINES, net_counts
from stemcore import DataSpec, Figure


class LineMaps(Figure):
    """Net counts of X-ray lines over the scan: as recorded, reconstructed and, of a simulation, true.

    Args:
        lines: energies of the lines in keV by name; Fe K-alpha and Pt L-alpha by default.
        fwhm_mn: resolution of the detector at Mn K-alpha, full width at half maximum in eV.
    """

    source: ClassVar[Literal["history", "sample", "dataset"]] = "dataset"

    def __init__(
        self,
        *,
        lines: Annotated[dict[str, float], Field(min_length=1)] = LINES,
        fwhm_mn: Annotated[float, Field(gt=0)] = 130.0,
    ) -> None:
        self.lines, self.fwhm_mn = dict(lines), fwhm_mn

    def draw(
        self,
        target: np.ndarray,
        prediction: np.ndarray,
        energy: np.ndarray,
        spec: DataSpec,
        expected: np.ndarray | None = None,
    ) -> Drawing:
        """A row for each line, a column for each kind of spectra (n, 1, channels)."""
        columns = {"recorded": target, "reconstructed": prediction, "true": expected}
        columns = {name: spectra for name, spectra in columns.items() if spectra is not None}
        shape = spec.scan_shape if spec.scan_shape and np.prod(spec.scan_shape) == len(target) else (1, len(target))
        drawing = Drawing(figsize=(3.2 * len(columns), 2.9 * len(self.lines)), layout="constrained")
        axes = drawing.subplots(len(self.lines), len(columns), squeeze=False)
        for row, (name, line) in zip(axes, self.lines.items(), strict=True):
            maps = [self._map(spectra, energy, line, shape) for spectra in columns.values()]
            # The range of the reconstruction: single counts would take up that of the recorded map.
            low, high = float(maps[1].min()), float(maps[1].max())
            for axis, title, values in zip(row, columns, maps, strict=True):
                picture = axis.imshow(values, vmin=low, vmax=max(high, low + 1e-6), cmap="magma")
                axis.set_title(f"{name}, {title}")
                axis.set_axis_off()
            drawing.colorbar(picture, ax=row, label="net counts")
        return drawing

    def _map(self, spectra: np.ndarray, energy: np.ndarray, line: float, shape: tuple[int, ...]) -> np.ndarray:
        finite = torch.as_tensor(np.nan_to_num(spectra))
        counts = net_counts(finite, torch.as_tensor(energy), line, self.fwhm_mn).numpy()
        return counts.reshape(shape[0], -1)
