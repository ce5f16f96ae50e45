"""A recipe as MLflow's parameters: a flat table of short texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST, AT_ONCE = 500, 100
"""Characters of a value (servers before 2.8 take no more) and parameters of a request."""


def parameters(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Every value of a recipe by its key, such as ``model.latent_dim`` or ``data.transforms.input.0.type``. Texts are
    as they are, all else is JSON; what is longer than 500 characters is cut, and ends with ``...``."""
    return {allowed(key): _cut(_text(value)) for key, value in _leaves(recipe, ())}


def allowed(key: str) -> str:
    """A name of MLflow: letters, digits and ``_-./ :``, at most 250 characters; others become ``_``."""
    return re.sub(r"[^\w\-./ :]", "_", key, flags=re.ASCII)[:250]


def _leaves(value: Any, place: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _leaves(below, (*place, str(key)))
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        for number, below in enumerate(value):
            yield from _leaves(below, (*place, str(number)))
    else:
        yield ".".join(place), value


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
