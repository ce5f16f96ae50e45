"""Samples compared with all training items, beside items that no model has seen and planted copies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stem_memorization.neighbours import Nearest
from stem_memorization.perturbations import Perturbation, Scale, planted
from stem_memorization.search import search
from stem_memorization.verdict import RATIO, THRESHOLD, Rule, grade, judged
from stem_memorization.views import Rows, View
from stemcore import UserError, reporter

MOST_ITEMS, MOST_BYTES, LEAST_ITEMS = 1000, 256 << 20, 16
PLANTED = 64
MOST_PAIRS = 1000


@dataclass(frozen=True)
class Wanted:
    """How to compare.

    Attributes:
        threshold: of the cosine above which a sample is memorised.
        ratio: of distances to the nearest and the next training item, below which it is a copy.
        perturbations: what is planted.
        planted: how many training items, for each of them.
        seed: of what is drawn.
    """

    threshold: float = THRESHOLD
    ratio: float = RATIO
    perturbations: tuple[Perturbation, ...] = ()
    planted: int = PLANTED
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes:
        found: the samples' nearest training items; ``ratios``, ``alike`` and ``copies`` (n,) of each.
        document: all of it in numbers, in types of JSON.
        samples: (n, ...) what was compared.
        names: names of training items by their numbers, where they have any.
    """

    found: Nearest
    ratios: np.ndarray
    alike: np.ndarray
    copies: np.ndarray
    document: dict[str, Any]
    samples: np.ndarray = field(repr=False)
    names: Any = field(default=None, repr=False)


def compare(view: View, samples: np.ndarray, wanted: Wanted) -> Outcome:
    """Compares samples with a run's training items.

    Raises:
        UserError: if there are too few training items.
    """
    train, held_out = split_of(view)
    if len(train) < 3:
        raise UserError(f"there are {len(train)} training items, too few to compare with", where="--data")
    rng = np.random.default_rng([wanted.seed, 0])
    some = _rows(view, train, rng, "reading training items")
    reference, kind = (
        (_rows(view, held_out, rng, "reading held-out items"), "held-out items") if held_out else (some, "")
    )
    training = _Training(view, train)
    own = np.full(len(reference.items), -1) if kind else reference.items
    usual = search(training, reference.values, own)
    rule = Rule.of(usual, wanted.threshold, wanted.ratio)
    plants = some.values[: wanted.planted] if wanted.perturbations else some.values[:0]
    scale = Scale(rule.usual, float(np.sqrt(some.values.var(axis=0, dtype=np.float64).mean())))
    queries = [samples, *planted(plants, wanted.perturbations, scale, wanted.seed)]
    everything = search(training, np.concatenate(queries))
    found, *parts = (everything[a:b] for a, b in pairwise(np.cumsum([0, *(len(q) for q in queries)])))
    recall = [_found(rule, part, some.items[: len(plants)]) for part in parts]
    names = train.dataset.item_names
    document = {
        "space": view.space,
        "samples": len(samples),
        "training_items": len(train),
        "reference": kind or "training items, each without itself",
        "reference_items": len(reference.items),
        "threshold": wanted.threshold,
        "ratio": wanted.ratio,
        **_judged(rule, found, usual),
        "distances": {"samples": _spread(found.distance), "reference": _spread(usual.distance)},
        "diversity": diversity(samples, some.values, rule.same),
        "planted": len(plants),
        "perturbations": [
            {"kind": p.kind, "strength": p.strength, "found": r}
            for p, r in zip(wanted.perturbations, recall, strict=True)
        ],
    }
    return Outcome(found, rule.ratios(found), rule.alike(found), rule.copies(found), document, samples, names)


class _Training:
    """The training items of a view, for :func:`search`."""

    def __init__(self, view: View, train: Any) -> None:
        self._view, self._train = view, train

    @property
    def device(self) -> torch.device:
        return self._view.device

    def each(self, take: Callable[[Tensor, Tensor], None]) -> None:
        self._view.each(self._train, take, "comparing", reporter())

    def rows(self, items: np.ndarray) -> np.ndarray:
        return self._view.rows(self._train, items, "comparing candidates", reporter()).values


def split_of(view: View) -> tuple[Any, Any]:
    """The training items, and those that were held out, ``None`` without any."""
    if view.own:
        sources = view.loaded.parts.sources
        return sources.train, next((s for s in (sources.test, sources.val) if s is not None), None)
    parts = view.source.dataset.parts
    if parts is None:
        return view.source, None
    named = {name: np.flatnonzero(np.asarray(parts) == name) for name in ("train", "val", "test")}
    held_out = named["test"] if len(named["test"]) else named["val"]
    return view.source.only(named["train"]), view.source.only(held_out) if len(held_out) else None


def _rows(view: View, source: Any, rng: np.random.Generator, title: str) -> Rows:
    """Items at random, as many as memory takes."""
    most = int(np.clip(MOST_BYTES // (4 * math.prod(view.shape)), LEAST_ITEMS, MOST_ITEMS))
    drawn = rng.permutation(source.indices)[:most]
    rows = view.rows(source, np.sort(drawn), title, reporter())
    order = rng.permutation(len(rows.items))
    return Rows(rows.values[order], rows.items[order])


def _found(rule: Rule, found: Nearest, origin: np.ndarray) -> float:
    """The share of planted copies that are found, with their origin or one that is the same."""
    at_origin = ((found.items == origin[:, None]) & (found.between <= rule.same)).any(axis=1)
    return float((rule.copies(found) & at_origin).mean())


def _judged(rule: Rule, samples: Nearest, reference: Nearest) -> dict[str, Any]:
    alike = float(rule.alike(samples).mean())
    copies, expected = rule.copies(samples), rule.copies(reference)
    return {
        **judged(int(copies.sum()), len(copies), int(expected.sum()), len(expected)),
        "by_cosine_alone": {
            "share": alike,
            "verdict": grade(alike),
            "expected": float(rule.alike(reference).mean()),
        },
    }


def _spread(distances: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(distances, [0.05, 0.5, 0.95])
    return {"least": float(distances.min()), "p05": float(low), "median": float(median), "p95": float(high)}


def diversity(samples: np.ndarray, training: np.ndarray, same: float) -> dict[str, float]:
    """How far samples are from each other, beside training items; of more than 1,000 the first.

    Returns:
        ``samples`` and ``training``: mean distance between two of them; ``relative``: the first over the second;
        ``repeated``: the share of samples with another one that is nearer than ``same``.
    """
    within, nearest_other = _pairs(samples[:MOST_PAIRS])
    usual, _ = _pairs(training[:MOST_PAIRS])
    return {
        "samples": within,
        "training": usual,
        "relative": within / usual if usual else 0.0,
        "repeated": float((nearest_other <= same).mean()),
    }


def _pairs(values: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean distance of two different items, and of each the least to another one, in float64."""
    if len(values) < 2:
        return 0.0, np.full(len(values), np.inf)
    flat = torch.from_numpy(values.reshape(len(values), -1)).double()
    flat -= flat.mean(dim=0)
    apart = torch.cdist(flat, flat, compute_mode="use_mm_for_euclid_dist")
    total = float(apart.sum()) / (len(values) * (len(values) - 1))
    return total, apart.fill_diagonal_(torch.inf).min(dim=1).values.numpy()
