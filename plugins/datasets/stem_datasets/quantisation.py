"""Attributes by which stored integers become physical values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcore import UserError


@dataclass(frozen=True)
class Quantisation:
    """Stored values times ``scale`` plus ``offset`` are physical values."""

    scale: float = 1.0
    offset: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether the stored values are the physical ones."""
        return self == Quantisation()


def quantisation_of(attributes: Mapping[str, Any], dtype: np.dtype, path: Path) -> Quantisation:
    """What the attributes of a dataset say, in this order:

    - ``scale_factor`` and ``add_offset`` (the CF conventions): v * scale_factor + add_offset;
    - ``data_min`` with ``data_range`` or ``data_max``, for integers: v / M * data_range + data_min, where M is the
      largest value of the type (65535 for uint16, 255 for uint8). ``data_min`` is 0 where it is missing.

    Raises:
        UserError: for an attribute that is no finite number, or a scale that is not positive.
    """
    numbers = {name: _number(attributes[name], name, path) for name in _NAMES if name in attributes}
    if "scale_factor" in numbers or "add_offset" in numbers:
        found = Quantisation(numbers.get("scale_factor", 1.0), numbers.get("add_offset", 0.0))
    elif dtype.kind in "iu" and ("data_range" in numbers or "data_max" in numbers):
        offset = numbers.get("data_min", 0.0)
        extent = numbers.get("data_range", numbers.get("data_max", 0.0) - offset)
        found = Quantisation(extent / float(np.iinfo(dtype).max), offset)
    else:
        return Quantisation()
    if found.scale <= 0:
        raise UserError(
            f"its attributes {', '.join(numbers)} give the scale {found.scale:g}",
            where=str(path),
            hint="a scale is positive; 'dequantise: false' reads the values as stored",
        )
    return found


_NAMES = ("scale_factor", "add_offset", "data_min", "data_range", "data_max")


def _number(value: Any, name: str, path: Path) -> float:
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"its attribute '{name}' is {value!r}", where=str(path), hint="it is to be one finite number")
    return number
