"""A run's features probed: every predictor on the same draws, and its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stem_probes.draws import Draw, Protocol, draws
from stem_probes.label_files import Given
from stem_probes.probing import Neighbours, Said, classify, components, mean_of_training, most_frequent, regress
from stem_probes.rows import Rows, raw_inputs, reshapes_inputs, rows_of
from stem_probes.scores import of_classes, of_numbers, over_draws
from stem_probes.targets import Targets, field_labels, targets_of
from stemcore import UserError, reporter

if TYPE_CHECKING:
    from stemcore import Items, Run

FEATURES, RAW = "features", "raw"
MOST_COMPONENTS = 64


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        given: labels from a file, or ``None`` for those of ``field``.
        field: of the data set.
        data: other data than the run's.
        task: ``auto``, ``classification`` or ``regression``.
        ignored: labels that stand for none.
        share: of a place's pixels that must agree on its label.
        place_size: pixels of a place along an axis; ``None`` where it follows from the shapes.
        protocol: how labels are divided.
        neighbours: of k-NN.
        baselines: whether raw inputs and their principal components are probed, too.
    """

    given: Given | None
    field: str
    data: str | None
    task: str
    ignored: tuple[str, ...]
    share: float
    place_size: int | None
    protocol: Protocol
    neighbours: Neighbours
    baselines: bool


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        rows: what was probed.
        targets: the labels.
        items: all items.
        protocol: how labels were divided.
        draws: the rows that trained and were scored, draw by draw.
        said: by predictor, such as ``features/linear``, what it said in each draw.
        scores: by predictor, over the draws.
        notes: what was left out, and why.
    """

    rows: Rows
    targets: Targets
    items: Items
    protocol: Protocol
    draws: list[Draw]
    said: dict[str, list[Said]]
    scores: dict[str, Any]
    notes: list[str]


def probe_run(run: Run, wanted: Wanted) -> Outcome:
    """Encodes all items and probes their features.

    Raises:
        UserError: if labels and data do not fit, or are too few.
    """
    items = run.all_items(wanted.data)
    given = wanted.given or field_labels(wanted.field, items)
    targets = targets_of(given, items, wanted.task, wanted.ignored)
    if targets.regression and wanted.protocol.per_class is not None:
        raise UserError("numbers have no classes", where="--per-class", hint="--train-share, or --task classification")
    latents = run.encode(data=wanted.data, reporter=reporter())
    assert isinstance(latents, np.ndarray)
    _refuse_moved_pixels(run, latents.shape, targets)
    rows = rows_of(latents, targets, items, wanted.share, wanted.place_size)
    if not np.isfinite(rows.features).all():
        raise UserError("its features are not finite", where=str(run.directory))
    protocol = wanted.protocol.completed(targets.regression)
    divided = draws(rows, targets, items, protocol)
    inputs, notes = _inputs(run, rows, items, wanted)
    said = _said(inputs, rows, targets, divided, wanted)
    of_one = of_numbers if targets.regression else of_classes
    scored = {
        name: over_draws(
            [of_one(rows.target[test], s, targets.names) for (_, test), s in zip(divided, by_draw, strict=True)]
        )
        for name, by_draw in said.items()
    }
    return Outcome(rows, targets, items, protocol, divided, said, scored, [*targets.notes, *notes])


def _refuse_moved_pixels(run: Run, latents: tuple[int, ...], targets: Targets) -> None:
    if targets.of_pixels and reshapes_inputs(run) and targets.values.shape[-2:] != latents[-2:]:
        message = "the run crops or bins its inputs: labels of stored pixels do not lie on its places"
        raise UserError(message, where=targets.where, hint="give labels of the places, (items, rows, columns)")


def _inputs(run: Run, rows: Rows, items: Items, wanted: Wanted) -> tuple[dict[str, np.ndarray], list[str]]:
    """What predictors get, by name: the features, and what they are compared with."""
    inputs = {FEATURES: rows.features}
    if not wanted.baselines:
        return inputs, []
    if rows.within and reshapes_inputs(run):
        return inputs, ["raw inputs are left out: the run crops or bins them, so that its places are not theirs"]
    if "input" not in items.spec and (rows.within or not any(n.startswith("input_") for n in items.spec)):
        return inputs, ["raw inputs are left out: the data have no field 'input'"]
    inputs[RAW] = raw_inputs(rows, items, wanted.place_size)
    reduced = components(inputs[RAW], min(rows.features.shape[1], MOST_COMPONENTS), wanted.protocol.seed)
    return inputs | {f"pca{reduced.shape[1]}": reduced}, []


def _said(
    inputs: dict[str, np.ndarray], rows: Rows, targets: Targets, divided: list[Draw], wanted: Wanted
) -> dict[str, list[Said]]:
    said: dict[str, list[Said]] = {}
    with reporter().task("probing", len(divided)) as task:
        for draw in divided:
            for name, values in inputs.items():
                for probe, found in _probed(targets, wanted)(values, rows.target, draw).items():
                    said.setdefault(f"{name}/{probe}", []).append(found)
            simple = ("mean", mean_of_training) if targets.regression else ("majority", most_frequent)
            said.setdefault(simple[0], []).append(simple[1](rows.target, draw))
            task.advance(1)
    return said


def _probed(targets: Targets, wanted: Wanted) -> Callable[..., dict[str, Said]]:
    if targets.regression:
        return partial(regress, neighbours=wanted.neighbours)
    return partial(classify, neighbours=wanted.neighbours, seed=wanted.protocol.seed)
