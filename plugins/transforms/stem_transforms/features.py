"""The values of a field one by one: which of them count in a fit, and what they are called in a message."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan

import torch
from torch import Tensor

from stemcore import FieldSpec, UserError

log = logging.getLogger("stemcore")
NAMED = 5
"""Features that a message names; of more it gives the number."""


def fixed(spec: FieldSpec, who: str) -> tuple[int, ...]:
    """The shape of a field, all of whose axes have to be of a fixed length.

    Raises:
        UserError: saying that ``who`` cannot have a number for each value of another field.
    """
    if any(n is None for n in spec.shape):
        raise UserError(f"{who}: '{spec.name}' has a varying shape {spec.shape}", hint="crop or resize it before")
    return tuple(n for n in spec.shape if n is not None)


def measured(spec: FieldSpec, x: Tensor, mask: Tensor | None) -> Tensor | None:
    """Which values of a batch count, bool, like ``x``; ``None`` for all of them.

    Where the field may hold NaN, NaN is a missing value; where it must not, it is left to be found and refused.
    """
    if spec.finite:
        return mask
    there = ~torch.isnan(x)
    return there if mask is None else there & mask


def holes(x: Tensor, mask: Tensor | None) -> Tensor:
    """The values of a batch with NaN where they do not count."""
    return x if mask is None else torch.where(mask, x, nan)


def named(spec: FieldSpec, which: Tensor) -> str:
    """The features that are true in ``which`` (*shape), by name where the field has names, else by their place."""
    places = which.reshape(spec.shape).nonzero().tolist()
    known = spec.features
    names = [known[p[-1]] if known and len(p) == 1 else ",".join(map(str, p)) for p in places[:NAMED]]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(names) + more


def refuse_never_measured(spec: FieldSpec, never: Tensor, who: str) -> None:
    """Raises ``UserError`` that names the features of which the training split has no value, if there are any."""
    if bool(never.any()):
        raise UserError(
            f"{who}: '{spec.name}' has no training value of {named(spec, never)}",
            hint="leave these features out of the table, or take other items for training",
        )


def refuse_infinite(spec: FieldSpec, bad: Tensor, who: str) -> None:
    """Raises ``UserError`` that names the features with training values that are not finite, if there are any."""
    if bool(bad.any()):
        raise UserError(
            f"{who}: the training values of '{spec.name}' hold NaN or infinity in {named(spec, bad)}",
            hint="mask those values or mend the data",
        )


def report_flat(spec: FieldSpec, flat: Tensor, who: str) -> None:
    """Logs the features whose training values do not spread, and which are divided by 1 therefore.

    Raises:
        UserError: if none of several does.
    """
    if bool(flat.all()):
        raise UserError(
            f"{who}: the training values of '{spec.name}' are constant in every feature",
            hint=f"check the data, or leave {who} out",
        )
    if bool(flat.any()):
        log.info("%s: features of '%s' that do not vary are divided by 1: %s", who, spec.name, named(spec, flat))


@contextmanager
def scikit_learn(who: str) -> Iterator[None]:
    """Where scikit-learn is imported: raises ``UserError`` that says how to get it, if it is missing."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"{who} needs scikit-learn", hint="pip install 'stemcore[omics]'") from error
