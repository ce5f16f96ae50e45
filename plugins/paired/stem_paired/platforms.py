"""The two platforms of paired data, and what models ask of their fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from stemcore import DataSpec, UserError

PLATFORMS = ("a", "b")
OTHER = {"a": "b", "b": "a"}


def widths_of(spec: DataSpec) -> dict[str, int]:
    """The number of features of each platform.

    Raises:
        UserError: for data that have no two platforms, or whose values may be missing.
    """
    widths = {}
    for p in PLATFORMS:
        field = spec.get(f"input_{p}")
        if field is None or len(field.shape) != 1 or field.shape[0] is None:
            there = ", ".join(f"{n} {f.shape}" for n, f in spec.items())
            raise UserError(
                f"paired models need the fields input_a and input_b, each one row of features; the data have {there}",
                hint="use the data set paired_tables",
            )
        if not field.finite:
            raise UserError(
                f"values of input_{p} may be missing",
                where=f"data.transforms.input_{p}",
                hint="begin its transforms with {type: impute}",
            )
        widths[p] = field.shape[0]
    return widths


def known(fields: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """The platforms that are there.

    Raises:
        UserError: if there is none.
    """
    given = {p: x for p, x in fields.items() if x is not None}
    if not given:
        raise UserError("neither input_a nor input_b is given")
    return given


def platform_of(fields: Collection[str]) -> str:
    """The platform to impute from.

    Raises:
        UserError: unless exactly one is given.
    """
    given = [p for p in PLATFORMS if f"input_{p}" in fields]
    if len(given) != 1:
        raise UserError(
            f"imputing starts from one platform, not from {' and '.join(f'input_{p}' for p in given) or 'none'}"
        )
    return given[0]
