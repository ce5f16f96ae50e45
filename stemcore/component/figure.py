"""Figures: pictures of a run."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, Literal


class Figure(ABC):
    """A picture. ``draw`` names what it wants and returns a ``matplotlib.figure.Figure`` (made without pyplot);
    arrays are NumPy, in physical units unless ``inputs`` asks otherwise. What they hold depends on ``source``:

    - ``history``: ``draw(self, history)`` gets the list of the epochs' scalars by name;
    - ``sample``: the named tensors for up to ``items`` validation items, the same ones every time;
    - ``dataset``: the named tensors for every item in order (name small ones only, such as ``latent``).

    ``spec`` (the ``DataSpec``, with the scan's shape) may be named too.
    """

    source: ClassVar[Literal["history", "sample", "dataset"]] = "sample"
    items: ClassVar[int] = 128
    inputs: ClassVar[Mapping[str, str]] = {}

    # Each figure names the arrays it takes: signatures differ, so draw is not declared here.
