"""What a probe sees: a row of features for every item or place that has a label, and the raw inputs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stem_probes.places import edge_of, majority, means
from stem_probes.targets import NONE, Targets, items_at_once, scan_of
from stemcore import UserError

if TYPE_CHECKING:
    from stemcore import Items, Run

RAW_VALUES = 4096
"""Most values of raw inputs in a row: images of more are averaged over blocks of pixels."""


@dataclass(frozen=True)
class Rows:
    """Labelled items or places.

    Attributes:
        features: (m, D) what the run makes of them.
        target: (m,) codes of classes, or (m, k) numbers.
        item: (m,) the item of each.
        place: (m, 2) row and column in the scan, or in the item where features have places; ``None`` without either.
        extent: of the rows and columns that ``place`` counts.
        within: whether places are those of features within an item.
    """

    features: np.ndarray
    target: np.ndarray
    item: np.ndarray
    place: np.ndarray | None
    extent: tuple[int, int] | None
    within: bool = False

    def __len__(self) -> int:
        return len(self.item)


def rows_of(latents: np.ndarray, targets: Targets, items: Items, share: float, place_size: int | None) -> Rows:
    """Features and labels of what has a label.

    Args:
        latents: as :meth:`stemcore.Run.encode` gives them: (n, D) or (n, D, h, w), n perhaps as the scan's axes.
        targets: the labels.
        items: all items.
        share: of a place's pixels that must agree on its label.
        place_size: pixels of a place along an axis, where they can be several.

    Raises:
        UserError: if labels of pixels meet features without places, or nothing is left.
    """
    features = latents.reshape(len(items), *latents.shape[len(scan_of(items) or (1,)) :])
    if targets.of_pixels:
        rows = _of_places(features, targets, share, place_size)
    else:
        rows = _of_items(features, targets, items)
    if len(rows) == 0:
        raise UserError("no label is left to probe with", where=targets.where, hint="see --majority")
    return rows


def _of_items(features: np.ndarray, targets: Targets, items: Items) -> Rows:
    # Places of an item with one label are its parts: their mean stands for it.
    flat = features.mean(axis=(2, 3)) if features.ndim == 4 else features.reshape(len(features), -1)
    (at,) = np.nonzero(_labelled(targets.values, targets))
    scan = scan_of(items)
    if scan is None or len(scan) != 2:
        return Rows(flat[at], targets.values[at], at, None, None)
    place = np.stack(np.unravel_index(at, scan), axis=1)
    return Rows(flat[at], targets.values[at], at, place, (scan[0], scan[1]))


def _of_places(features: np.ndarray, targets: Targets, share: float, place_size: int | None) -> Rows:
    if features.ndim != 4:
        message = "the labels are of pixels, and the run gives one vector for each item"
        hint = "ask a model that can for features of places, such as model.pooling=tokens"
        raise UserError(message, where=targets.where, hint=hint)
    height, width = features.shape[2:]
    pixels = targets.values.shape[-2:]
    edge = 1 if pixels == (height, width) else edge_of(pixels, (height, width), place_size)
    labels = means(targets.values, edge) if targets.regression else majority(targets.values, edge, share)
    by_place = np.moveaxis(labels, 1, -1) if targets.regression else labels
    item, y, x = np.nonzero(_labelled(by_place, targets))
    place = np.stack([y, x], axis=1)
    return Rows(features[item, :, y, x], by_place[item, y, x], item, place, (height, width), within=True)


def _labelled(values: np.ndarray, targets: Targets) -> np.ndarray:
    there: np.ndarray = np.isfinite(values).all(axis=-1) if targets.regression else values != NONE
    return there


def reshapes_inputs(run: Run) -> bool:
    """Whether the run crops or bins its inputs: places of its features are then not those of the stored pixels."""
    chain = run.recipe.data.transforms.get("input", ())
    return any(getattr(step.schema.target, "kind", "") == "geometry" for step in chain)


def raw_inputs(rows: Rows, items: Items, place_size: int | None) -> np.ndarray:
    """The inputs in physical units, (m, R) float32: the mean over the pixels of a place, else all values of an item,
    images of more than ``RAW_VALUES`` averaged over blocks of pixels. NaN where no value counts.

    Raises:
        UserError: if the places are not those of the input's pixels.
    """
    wanted, back = np.unique(rows.item, return_inverse=True)
    batches = items.batches(items_at_once(items), wanted)
    if rows.within:
        return np.concatenate([_of_batch(rows, at, fields, items, place_size) for at, fields in batches])
    names = [n for n in items.spec if n == "input" or n.startswith("input_")]
    found = [np.concatenate([_flat(*_physical(f, n, items)) for n in names], axis=1) for _, f in batches]
    return np.concatenate(found).astype(np.float32)[back]


def _of_batch(
    rows: Rows, at: np.ndarray, fields: dict[str, np.ndarray], items: Items, place_size: int | None
) -> np.ndarray:
    """The rows of the items ``at``; rows are in the order of their items."""
    assert rows.place is not None
    assert rows.extent is not None
    values, valid = _physical(fields, "input", items)
    pooled = means(values, edge_of(values.shape[-2:], rows.extent, place_size), valid)
    (mine,) = np.nonzero(np.isin(rows.item, at))
    y, x = rows.place[mine].T
    spectra: np.ndarray = pooled[np.searchsorted(at, rows.item[mine]), :, y, x]
    return spectra.astype(np.float32)


def _physical(fields: dict[str, np.ndarray], name: str, items: Items) -> tuple[np.ndarray, Any]:
    spec = items.spec[name]
    return fields[name].astype(np.float32) * spec.scale + spec.offset, fields.get(name.replace("input", "mask", 1))


def _flat(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    n, per_item = len(values), values[0].size
    counted = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    values = np.where(counted, values, np.nan)
    if per_item <= RAW_VALUES or values.ndim < 4:
        return values.reshape(n, -1)
    (height, width), channels = values.shape[-2:], per_item // (values.shape[-1] * values.shape[-2])
    edge = 1
    while channels * -(-height // edge) * -(-width // edge) > RAW_VALUES and edge < max(height, width):
        edge += 1
    return means(values, edge).reshape(n, -1)
