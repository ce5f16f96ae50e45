"""Planted copies: training items, changed a little, that a detector has to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stemcore import UserError


@dataclass(frozen=True)
class Perturbation:
    """A change of a kind and a strength."""

    kind: str
    strength: float

    def __str__(self) -> str:
        return f"{self.kind} {self.strength:g}"


@dataclass(frozen=True)
class Scale:
    """What strengths are parts of.

    Attributes:
        usual: distance of an item that was not trained on to its nearest training item.
        std: of training items about their mean, root mean square over their values.
    """

    usual: float
    std: float


def _noise(values: np.ndarray, strength: float, scale: Scale, rng: np.random.Generator) -> np.ndarray:
    each = strength * scale.usual / np.sqrt(values[0].size)
    return values + np.float32(each) * rng.standard_normal(values.shape, np.float32)


def _brightness(values: np.ndarray, strength: float, scale: Scale, rng: np.random.Generator) -> np.ndarray:
    return values + np.float32(strength * scale.std)


def _contrast(values: np.ndarray, strength: float, scale: Scale, rng: np.random.Generator) -> np.ndarray:
    axes = tuple(range(1, values.ndim))
    mean = values.mean(axis=axes, keepdims=True)
    changed: np.ndarray = mean + np.float32(1 - strength) * (values - mean)
    return changed


def _shift(values: np.ndarray, strength: float, scale: Scale, rng: np.random.Generator) -> np.ndarray:
    pixels = round(strength)
    wide = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(pixels, 0)], mode="edge")
    return wide[..., : values.shape[-1]]


def _flip(values: np.ndarray, strength: float, scale: Scale, rng: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(values[..., ::-1])


Change = Callable[[np.ndarray, float, Scale, np.random.Generator], np.ndarray]
KINDS: dict[str, Change] = {
    "noise": _noise,
    "brightness": _brightness,
    "contrast": _contrast,
    "shift": _shift,
    "flip": _flip,
}
STRENGTHS: dict[str, tuple[float, ...]] = {
    "noise": (0.0, 0.1, 0.2, 0.5, 1.0),
    "brightness": (0.1, 0.2, 0.5),
    "contrast": (0.1, 0.2, 0.5),
    "shift": (1, 2, 4),
    "flip": (1,),
}
ANYWHERE = ("noise",)
"""What latents can be put to as well: their places are not those of pixels, nor their values brightness."""


def perturbations(texts: Sequence[str], pictures: bool) -> list[Perturbation]:
    """The perturbations that are asked for.

    Args:
        texts: ``KIND=S,S,...`` or ``KIND``; ``none``; without any, all kinds that fit.
        pictures: whether items are pictures.

    Raises:
        UserError: for a kind or a strength that there is not, or that does not fit.
    """
    if list(texts) == ["none"]:
        return []
    kinds = list(KINDS) if pictures else list(ANYWHERE)
    if not texts:
        return [Perturbation(kind, s) for kind in kinds for s in STRENGTHS[kind]]
    found = []
    for text in texts:
        kind, given, numbers = text.partition("=")
        if kind not in kinds:
            which = "pictures" if pictures else "latents and vectors"
            message = f"{which} are not perturbed by '{kind}'"
            raise UserError(message, where="--perturb", hint=f"by {', '.join(kinds)}, or none")
        found += [Perturbation(kind, s) for s in (_numbers(numbers, text) if given else STRENGTHS[kind])]
    return found


def _numbers(text: str, where: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= n < np.inf for n in numbers):
        raise UserError(f"'{where}' names no strengths", where="--perturb", hint="such as noise=0.05,0.1")
    return numbers


def planted(values: np.ndarray, wanted: Sequence[Perturbation], scale: Scale, seed: int) -> Iterator[np.ndarray]:
    """Items (n, ...) perturbed, for each perturbation.

    Args:
        values: the items.
        wanted: the perturbations. The strength of noise is the distance that it adds, in parts of the usual one; that
            of brightness a part of the standard deviation; that of contrast the part that is taken off an item's own;
            shifts are pixels to the right.
        scale: the usual distance and the standard deviation.
        seed: of the noise.
    """
    for number, one in enumerate(wanted):
        yield KINDS[one.kind](values, one.strength, scale, np.random.default_rng([seed, number]))
