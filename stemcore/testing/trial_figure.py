"""Trying out a figure: what it draws of arrays, and what that looks like."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from stemcore.component.figure import Figure
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import FigureExample
from stemcore.testing.promises import Broken, ensure
from stemcore.testing.standard import ITEMS, arguments_of
from stemcore.testing.subject import Subject

DPI = 40
"""Enough to see whether two pictures are the same."""


class FigureTrial:
    """A figure with what it draws: a history, some items, or every item of a small scan."""

    def __init__(self, subject: Subject) -> None:
        self.example = subject.promised(FigureExample)
        self.figure: Figure = subject.build()
        self.source = self.figure.source
        shape = self.example.scan_shape
        items = math.prod(shape) if shape is not None and self.source == "dataset" else min(ITEMS, self.figure.items)
        own = self.example.arrays
        items = next((len(values) for values in own.values()), items)
        self.draw_method = self.figure.draw
        arguments = arguments_of(self.draw_method, own, items=items, inputs=self.figure.inputs)
        self.arrays = {name: value.numpy() for name, value in arguments.items() if isinstance(value, Tensor)}
        self.context = {name: value for name, value in arguments.items() if name not in self.arrays}
        if shape is not None and math.prod(shape) != items:
            shape = None
        self._lay_out(shape)

    def _lay_out(self, shape: tuple[int, ...] | None) -> None:
        if "spec" in self.context:
            self.context["spec"] = replace(self.context["spec"], scan_shape=shape)

    def without_scan(self) -> None:
        """From now on items are of no scan."""
        self._lay_out(None)

    @property
    def floating(self) -> dict[str, np.ndarray]:
        """The floating-point arrays."""
        return {name: values for name, values in self.arrays.items() if np.issubdtype(values.dtype, np.floating)}

    def first(self, items: int) -> None:
        """From now on there are only this many items, or epochs."""
        self.arrays = {name: values[:items] for name, values in self.arrays.items()}
        if "history" in self.context:
            self.context["history"] = self.context["history"][:items]
        self._lay_out((1, items) if self.source == "dataset" else None)

    def draw(self, changes: Mapping[str, Any] | None = None) -> Drawing:
        """The drawing, with some arrays in place of its own; raises what ``draw`` raises."""
        with _quiet():
            drawing: Drawing = self.draw_method(**{**self.context, **self.arrays, **(changes or {})})
        return drawing

    def picture(self, what: str, changes: Mapping[str, Any] | None = None) -> np.ndarray | None:
        """The pixels (height, width, 4), or ``None`` where a ``UserError`` says that there is nothing to draw.

        Raises:
            Broken: if drawing or saving it raises anything else.
        """
        try:
            drawing = self.draw(changes)
            ensure(isinstance(drawing, Drawing), f"draw returned {type(drawing).__name__}, not a matplotlib Figure")
            drawing.set_layout_engine("none")  # Which takes longer than all the rest.
            return pixels(drawing)
        except (UserError, Broken) as error:
            if isinstance(error, Broken):
                raise
            return None
        except Exception as error:
            raise Broken(f"{what} it raised {cause_of(error)}") from error


def pixels(drawing: Drawing, dpi: int = DPI) -> np.ndarray:
    """A drawing as an image, (height, width, 4), uint8."""
    drawing.set_dpi(dpi)
    canvas = FigureCanvasAgg(drawing)
    with _quiet():
        canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())  # type: ignore[no-untyped-call]


@contextmanager
def random_numbers(seed: int) -> Iterator[None]:
    """Other random numbers everywhere for each seed; afterwards they are as before."""
    before = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
