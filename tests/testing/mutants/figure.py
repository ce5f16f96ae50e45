"""Figures broken in one way each."""

from __future__ import annotations

import random

import numpy as np
from matplotlib.figure import Figure as Drawing

from stemcore import Figure, UserError
from stemcore.testing import FigureExample
from tests.testing.mutation import Mutant


class Sound(Figure):
    """The first pattern, and the values of all."""

    def draw(self, target, prediction, index=None):
        """Draws patterns (n, ...)."""
        drawing = Drawing(figsize=(4, 2))
        left, right = drawing.subplots(1, 2)
        left.imshow(np.nan_to_num(target[0].reshape(-1, target.shape[-1]), posinf=0))
        right.hist(np.nan_to_num(prediction, posinf=0).ravel(), bins=10, range=(0, 10))
        return drawing


class Curve(Figure):
    """The validation loss."""

    source = "history"

    def draw(self, history):
        """Draws the epochs' losses."""
        drawing = Drawing(figsize=(3, 2), layout="constrained")
        rows = [(row["epoch"], row.get("val/loss", np.nan)) for row in history]
        drawing.subplots().plot(*np.array(rows, dtype=float).T, "o-")
        return drawing


class LatentMap(Figure):
    """The first latent over the scan."""

    source = "dataset"

    def draw(self, latent, spec):
        """Draws latents (n, d)."""
        if spec.scan_shape is None:
            raise UserError("there is no scan")
        drawing = Drawing(figsize=(3, 2))
        drawing.subplots().imshow(latent[:, 0].reshape(spec.scan_shape))
        return drawing


class Spectra(Sound):
    """Spectra of latents that are renamed."""

    inputs = {"target": "latent", "prediction": "mu@model"}  # noqa: RUF012


class Everywhere(Sound):
    source = "everything"


class NoItems(Sound):
    items = 0


class NoDraw(Figure):
    """Draws nothing."""


class HistoryAndMore(Curve):
    def draw(self, history, latent):
        return super().draw(history)


class HistoryOfItems(Sound):
    def draw(self, target, history):
        return super().draw(target, target)


class NoArrays(Sound):
    def draw(self, spec):
        return Drawing()


class Axes(Sound):
    def draw(self, target, prediction):
        return super().draw(target, prediction).axes


class ByPyplot(Sound):
    def draw(self, target, prediction):
        from matplotlib import pyplot

        drawing, axes = pyplot.subplots()
        axes.plot(target.ravel())
        return drawing


class Kept(Sound):
    def __init__(self):
        self.drawing = Drawing()

    def draw(self, target, prediction):
        self.drawing.subplots().plot(target.ravel())
        return self.drawing


class Chinese(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.suptitle("电子衍射")
        return drawing


class Wide(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.set_size_inches(100, 2)
        return drawing


class Empty(Sound):
    def draw(self, target, prediction):
        return Drawing()


class Neighbours(Sound):
    def draw(self, target, prediction):
        return super().draw(target, prediction - target[1])


class OneEpoch(Curve):
    def draw(self, history):
        return super().draw([history[0], history[1]])


class Limits(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.axes[0].set_ylim(prediction.min(), prediction.max())
        return drawing


class EveryValue(Curve):
    def draw(self, history):
        drawing = super().draw(history)
        drawing.axes[0].plot([row["val/loss"] for row in history])
        return drawing


class Bins(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.axes[0].hist(prediction.ravel(), bins=int(9 / np.ptp(prediction)) + 1)
        return drawing


class WantsAScan(LatentMap):
    def draw(self, latent, spec):
        height, width = spec.scan_shape
        drawing = Drawing()
        drawing.subplots().imshow(latent[:, 0].reshape(height, width))
        return drawing


class InPlace(Sound):
    def draw(self, target, prediction):
        prediction -= target
        return super().draw(target, prediction)


class Forgets(Curve):
    def draw(self, history):
        for row in history:
            row.pop("lr", None)
        return super().draw(history)


class Scattered(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.axes[0].plot(np.random.rand(5), [random.random() for _ in range(5)])
        return drawing


class Grows(Sound):
    def draw(self, target, prediction):
        drawing = super().draw(target, prediction)
        drawing.set_size_inches(3 + np.random.rand(), 2)
        return drawing


def spectra(folder):
    values = np.random.default_rng(0).random((6, 1, 512)).astype(np.float32)
    return [FigureExample(), FigureExample(label="spectra", arrays={"target": values})]


def scans(folder):
    return [FigureExample(), FigureExample(label="small", scan_shape=(3, 4))]


SOUND = [(Sound, spectra), (Curve, lambda f: [FigureExample()]), (LatentMap, scans)]
SOUND += [(Spectra, lambda f: [FigureExample()])]
MUTANTS = [
    Mutant("check_source", Everywhere, "its source is 'everything', not one of history, sample, dataset"),
    Mutant("check_source", NoItems, "its items is 0, not a positive number"),
    Mutant("check_source", NoDraw, "it has no method draw"),
    Mutant("check_source", HistoryAndMore, r"gets 'history' alone, but asks for \['history', 'latent'\]"),
    Mutant("check_source", HistoryOfItems, "draw of a sample asks for 'history', which it does not get"),
    Mutant("check_source", NoArrays, r"draw of a sample asks for no array: \['spec'\]"),
    Mutant("check_drawing", Axes, "draw returned list, not a matplotlib Figure"),
    Mutant("check_drawing", ByPyplot, "it was made by pyplot"),
    Mutant("check_drawing", Kept, "draw returned the same figure twice"),
    Mutant("check_saves", Chinese, r"matplotlib warns: Glyph 30005 .* missing from"),
    Mutant("check_saves", Wide, "it is 15000 x 300 pixels at 150 dpi"),
    Mutant("check_saves", Empty, "the picture is empty"),
    Mutant("check_one_item", Neighbours, "of a single item it raised IndexError"),
    Mutant("check_one_item", OneEpoch, "of a single item it raised IndexError"),
    Mutant("check_not_finite", Limits, "of NaN and infinity in 'prediction' it raised ValueError"),
    Mutant("check_not_finite", EveryValue, "of epochs without validation it raised KeyError"),
    Mutant("check_constants", Bins, "of zeros it raised OverflowError"),
    Mutant("check_without_scan", WantsAScan, "of items of no scan it raised TypeError"),
    Mutant("check_leaves_inputs_alone", InPlace, "it changed 'prediction' in place"),
    Mutant("check_leaves_inputs_alone", Forgets, "it changed the history in place"),
    Mutant("check_deterministic", Scattered, "drawn twice from the same arrays, .* pixels differ"),
    Mutant("check_deterministic", Grows, "drawn twice it is .* pixels"),
]
