"""The scan that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from stem_datasets.hdf5 import Hdf5
from stemcore import Dataset


class Sample(Hdf5):
    """A small simulated 4D-STEM scan with its noise-free truth, to try things out without data of one's own.

    ``ws2_wse2_32``: 32 x 40 probe positions over seven grains of a WS2/WSe2 monolayer and a hole, 64 x 64
    pixels, 2000 electrons per pattern, 64 of the patterns also without noise. See ``samples/README.md``.

    Args:
        name: which scan.
        labels: dataset with a number per pattern: ``labels`` (grain, -1 in vacuum), ``phase``, or none.
        expected: dataset of noise-free patterns, in counts, or none.
        expected_index: dataset with the patterns that these belong to.
    """

    @classmethod
    def elsewhere(cls, path: Path, /, **arguments: Any) -> Dataset:
        """A scan of one's own, with the sample's names for what accompanies it."""
        names = {role: arguments.get(role) for role in ("labels", "expected", "expected_index")}
        return Hdf5.elsewhere(path, **names)

    def __init__(
        self,
        *,
        name: Literal["ws2_wse2_32"] = "ws2_wse2_32",
        labels: str | None = "labels",
        expected: str | None = "expected",
        expected_index: str | None = "expected_index",
    ) -> None:
        path = Path(str(files("stem_datasets") / "samples" / f"{name}.h5"))
        super().__init__(path=path, labels=labels, expected=expected, expected_index=expected_index)
