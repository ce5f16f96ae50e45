"""What the figures of cubes are drawn of for contract checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from stem_spectral.term_examples import BANDS, ITEMS, mixed_cubes
from stemcore.testing import FigureExample


def of_cubes(folder: Path) -> list[FigureExample]:
    """Cubes in the visible, with all that may belong to them, and cubes alone."""
    arrays = mixed_cubes()
    bare = {name: arrays[name] for name in ("prediction", "target")}
    wavelengths = np.tile(np.linspace(420, 690, BANDS, dtype=np.float32), (ITEMS, 1))
    rgb = np.random.default_rng(0).random((ITEMS, 3, 8, 6), dtype=np.float32)
    index = np.arange(ITEMS)
    more = {name: values[:2] for name, values in {**arrays, "wavelengths": wavelengths, "index": index}.items()}
    return [
        FigureExample(label="all there is", arrays={**more, "rgb": rgb[:2]}, config={"items": 2}),
        FigureExample(label="cubes alone", arrays={n: v[:1] for n, v in bare.items()}, config={"items": 1}),
    ]


def of_pixels(folder: Path) -> list[FigureExample]:
    """The same, of few pixels: most of the time goes into axes."""
    given, alone = of_cubes(folder)
    return [
        replace(given, config={"items": 2, "number": 1}),
        replace(alone, config={"items": 1, "pixels": [[0, 0], [7, 5]]}),
    ]
