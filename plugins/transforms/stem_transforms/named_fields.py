"""What the augmentations share: the fields that they act on."""

from __future__ import annotations

from collections.abc import Sequence

from stemcore import DataSpec, UserError


def check_known(spec: DataSpec, names: Sequence[str], who: str, bound: str = "") -> None:
    """Checks that an augmentation's fields are there.

    Args:
        spec: the fields of the data set.
        names: the fields that the augmentation ``who`` is to change.
        bound: the name that the input has been given a second time when the augmentation is called, if any.

    Raises:
        UserError: naming the fields that are not.
    """
    known = [*spec, bound] if bound and "input" in spec else list(spec)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(
            f"{who}: there is no field {' or '.join(repr(name) for name in unknown)}",
            hint=f"set fields to some of {', '.join(known)}",
        )
