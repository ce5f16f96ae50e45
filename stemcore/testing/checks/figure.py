"""What a figure promises."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure as Drawing
from matplotlib.image import imread

from stemcore.assemble.wiring import SPECIAL, signature_of
from stemcore.component.figure import Figure
from stemcore.testing.promises import NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_figure import FigureTrial, pixels, random_numbers

SOURCES = ("history", "sample", "dataset")
DPI, SMALLEST, LARGEST = 150, 50, 10_000
"""As pictures are saved; and their sides in pixels."""


@promise("figure")
def check_source(subject: Subject) -> None:
    """``source`` is ``history``, ``sample`` or ``dataset``, and ``draw`` names what there is then: the history alone,
    or arrays of items; ``items`` is a positive number."""
    figure: Figure = subject.build()
    ensure(figure.source in SOURCES, f"its source is {figure.source!r}, not one of {', '.join(SOURCES)}")
    ensure(type(figure.items) is int and figure.items > 0, f"its items is {figure.items!r}, not a positive number")
    draw = getattr(figure, "draw", None)
    ensure(callable(draw), "it has no method draw")
    required = {name for name, optional in signature_of(figure.draw).items() if not optional}  # type: ignore[attr-defined]
    if figure.source == "history":
        ensure(required == {"history"}, f"draw of a history gets 'history' alone, but asks for {sorted(required)}")
    else:
        ensure("history" not in required, f"draw of a {figure.source} asks for 'history', which it does not get")
        ensure(required - set(SPECIAL), f"draw of a {figure.source} asks for no array: {sorted(required)}")


@promise("figure")
def check_drawing(subject: Subject) -> None:
    """``draw`` returns a matplotlib ``Figure`` that was not made by pyplot, which keeps every figure that it ever made
    and wants a display."""
    trial = FigureTrial(subject)
    before = set(Gcf.figs)
    drawing = trial.draw()
    made = set(Gcf.figs) - before
    for number in made:
        Gcf.figs.pop(number)  # A window would stay open for the rest of the process.
    ensure(isinstance(drawing, Drawing), f"draw returned {type(drawing).__name__}, not a matplotlib Figure")
    by_pyplot = made or drawing.canvas.manager is not None
    ensure(not by_pyplot, "it was made by pyplot: make it by matplotlib.figure.Figure(), and its axes by its methods")
    ensure(drawing is not trial.draw(), "draw returned the same figure twice")


@promise("figure")
def check_saves(subject: Subject) -> None:
    """Saved as the core does (PNG, 150 dpi, tight) it is a picture of a sane size that shows something, and its font
    has every character of its texts."""
    drawing = FigureTrial(subject).draw()
    sides = [round(float(inches) * DPI) for inches in drawing.get_size_inches()]
    sane = all(SMALLEST <= side <= LARGEST for side in sides)
    ensure(sane, f"it is {sides[0]} x {sides[1]} pixels at {DPI} dpi, not {SMALLEST} to {LARGEST}")
    picture = io.BytesIO()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        drawing.savefig(picture, format="png", dpi=DPI, bbox_inches="tight")
    picture.seek(0)
    missing = [str(w.message) for w in told if "missing from" in str(w.message)]
    ensure(not missing, f"matplotlib warns: {'; '.join(missing)}")
    seen = imread(picture, format="png")
    ensure(min(seen.shape[:2]) > 1 and np.ptp(seen[..., :3]) > 0, "the picture is empty")


@promise("figure")
def check_one_item(subject: Subject) -> None:
    """A single item, or a single epoch, is drawn, or refused by a ``UserError``: a trial run has no more."""
    trial = FigureTrial(subject)
    trial.first(1)
    trial.picture("of a single item")


@promise("figure")
def check_not_finite(subject: Subject) -> None:
    """NaN and infinity in some items, and values that a history lacks, do not stop it: a model that diverges is the
    one that has to be looked at."""
    trial = FigureTrial(subject)
    if "history" in trial.context:
        rows = trial.context["history"]
        gaps = [{n: v for n, v in row.items() if k % 2 or "val" not in n} for k, row in enumerate(rows)]
        trial.picture("of epochs without validation", {"history": gaps})
        bare = [{n: v for n, v in row.items() if n in ("epoch", "train/loss")} for row in rows]
        trial.picture("of epochs with a loss alone", {"history": bare})
        trial.picture("of NaN", {"history": [dict.fromkeys(row, math.nan) | {"epoch": row["epoch"]} for row in rows]})
    for name, values in trial.floating.items():
        spoilt = values.copy()
        spoilt[0], spoilt[-1] = np.nan, np.inf
        trial.picture(f"of NaN and infinity in '{name}'", {name: spoilt})
    everywhere = {name: np.full_like(values, np.nan) for name, values in trial.floating.items()}
    trial.picture("of NaN alone", everywhere)


@promise("figure")
def check_constants(subject: Subject) -> None:
    """Arrays of zeros, or of one value, are drawn: a model that has learnt nothing yet gives such."""
    trial = FigureTrial(subject)
    if not trial.floating:
        raise NotApplicable("it draws no floating-point arrays")
    for what, value in {"zeros": 0.0, "ones": 1.0, "a negative value everywhere": -1.0}.items():
        trial.picture(f"of {what}", {name: np.full_like(values, value) for name, values in trial.floating.items()})


@promise("figure")
def check_without_scan(subject: Subject) -> None:
    """Where it asks for ``spec``, it bears items that are of no scan (a ``UserError`` is fine): ``scan_shape`` is
    ``None`` for them."""
    trial = FigureTrial(subject)
    if "spec" not in trial.context:
        raise NotApplicable("it does not ask for 'spec'")
    trial.without_scan()
    trial.picture("of items of no scan")


@promise("figure")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It does not change the arrays and the history that it is given: the run goes on with them."""
    trial = FigureTrial(subject)
    given = {name: values.copy() for name, values in trial.arrays.items()}
    history = [dict(row) for row in trial.context.get("history", ())]
    trial.draw(given | ({"history": history} if history else {}))
    for name, values in given.items():
        same = np.array_equal(values, trial.arrays[name], equal_nan=name in trial.floating)
        ensure(same, f"it changed '{name}' in place")
    ensure(history == list(trial.context.get("history", ())), "it changed the history in place")


@promise("figure")
def check_deterministic(subject: Subject) -> None:
    """The same arrays give the same picture, whatever the state of the random generators: pictures of two runs can be
    compared, and drawing does not change the run. (Seed a generator of its own for chance.)"""
    trial = FigureTrial(subject)
    drawn = []
    for seed in (1, 2):
        with random_numbers(seed):
            drawing = trial.draw()
            drawing.set_layout_engine("none")  # Chance is in what is drawn; where it is put takes longest.
            drawn.append(pixels(drawing))
    a, b = drawn
    ensure(
        a.shape == b.shape, f"drawn twice it is {a.shape[1]} x {a.shape[0]}, then {b.shape[1]} x {b.shape[0]} pixels"
    )
    differ = int((a != b).any(-1).sum())
    ensure(not differ, f"drawn twice from the same arrays, {differ} of {a[..., 0].size} pixels differ")
