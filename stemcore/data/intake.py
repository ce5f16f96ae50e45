"""From stored values to valid physical ones: dequantisation, and what to do with NaN, infinity and negative counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.errors import Problem, UserError

MASK = "mask"


def suspect(spec: FieldSpec) -> bool:
    """Whether a field's stored type can hold values that are not valid."""
    kind = np.dtype(spec.dtype).kind
    if kind == "f":
        return spec.finite or spec.minimum is not None
    return spec.minimum is not None and (kind == "i" or spec.scale < 0 or spec.offset < spec.minimum)


def physical(spec: FieldSpec, stored: Tensor) -> Tensor:
    """Stored values as physical ones, float32; labels and masks stay what they are."""
    if stored.dtype == torch.bool or (stored.dtype == torch.int64 and (spec.shape == () or spec.classes)):
        return stored
    x = stored.float()
    if (spec.scale, spec.offset) == (1.0, 0.0):
        return x
    return (x * spec.scale if x is stored else x.mul_(spec.scale)).add_(spec.offset)


def valid(spec: FieldSpec, x: Tensor) -> Tensor:
    """Which physical values are valid, bool."""
    if not spec.finite:  # NaN is a missing value, and none below the minimum
        return torch.ones_like(x, dtype=torch.bool) if spec.minimum is None else ~(x < spec.minimum)
    ok = torch.isfinite(x)
    return ok if spec.minimum is None else ok & (x >= spec.minimum)


@dataclass
class Findings:
    """What a pass over the data found wrong with a field, by kind."""

    spec: FieldSpec
    where: str = "data"
    values: dict[str, int] = field(default_factory=dict)
    items: int = 0
    first: int | None = None

    def look(self, x: Tensor, index: Tensor) -> None:
        """Counts the invalid values of a batch (n, ...) of physical values; ``index`` (n,) are its items."""
        wrong = ~valid(self.spec, x)
        if not bool(wrong.any()):
            return
        low = x < self.spec.minimum if self.spec.minimum is not None else torch.zeros_like(wrong)
        for name, where in (
            ("NaN", torch.isnan(x)),
            ("infinite", torch.isinf(x)),
            ("negative", low & torch.isfinite(x)),
        ):
            count = int((where & wrong).sum())
            if count:
                self.values[name] = self.values.get(name, 0) + count
        bad = index[wrong.flatten(1).any(dim=1).to(index.device)]
        self.items += len(bad)
        first = int(bad.min())
        self.first = first if self.first is None else min(self.first, first)

    def problem(self) -> Problem | None:
        """The findings in one line, if there are any."""
        if not self.values:
            return None
        what = " and ".join(f"{n:,} {name}" for name, n in self.values.items())
        return Problem(
            f"{what} values in {self.items:,} items of '{self.spec.name}', first in item {self.first}",
            self.where,
            "set data.invalid to 'mask' (leave these values out of every loss and metric) or 'clip' "
            "(NaN and negative to the smallest valid value, infinity to the largest value of its item)",
        )


class Intake:
    """Turns a batch of stored values into valid physical ones.

    Args:
        spec: the fields as stored.
        invalid: ``error``, ``clip`` or ``mask``.
    """

    def __init__(self, spec: DataSpec, invalid: str = "error") -> None:
        self.stored = spec
        self.invalid = invalid
        main = spec.get("input")
        self.masks = MASK in spec or (main is not None and invalid == "mask" and suspect(main))
        self.spec = spec
        if self.masks and main is not None:
            self.spec = spec.replacing(FieldSpec(MASK, main.shape, dtype="bool", like="input"))

    def __call__(self, batch: dict[str, Tensor], *, checked: bool = False) -> dict[str, Tensor]:
        """Physical values of a batch, float32.

        Args:
            batch: fields as stored.
            checked: whether all values were looked at before, so that nothing here need wait for the device.

        Raises:
            UserError: if ``invalid`` is ``error`` and a value is; a check of a whole data set counts them beforehand.
        """
        out = {n: physical(self.stored[n], t) if n in self.stored else t for n, t in batch.items()}
        for name, spec in self.stored.items():
            if name not in out or not suspect(spec):
                continue
            if self.invalid == "error":
                if not checked:
                    self._refuse(spec, out[name], out["index"])
            elif self.invalid == "clip" or name != "input":
                out[name] = _clip(spec, out[name])
            else:
                ok = valid(spec, out[name])
                out[MASK] = ok & out[MASK] if MASK in out else ok
        if self.masks and MASK in out and "input" in out:
            # What does not count must not reach the encoder either: a hot pixel would dominate it.
            out[MASK] = out[MASK].expand_as(out["input"])
            out["input"] = torch.where(out[MASK], out["input"], 0.0)
        return out

    def _refuse(self, spec: FieldSpec, x: Tensor, index: Tensor) -> None:
        findings = Findings(spec)
        findings.look(x, index)
        problem = findings.problem()
        if problem:
            raise UserError(problem)


def _clip(spec: FieldSpec, x: Tensor) -> Tensor:
    if spec.finite:
        finite = torch.where(torch.isfinite(x), x, -torch.inf)
        most = finite.flatten(1).amax(dim=1).view(-1, *[1] * (x.dim() - 1))
        most = torch.where(torch.isfinite(most), most, 0.0)
        x = torch.where(torch.isposinf(x), most, x)
        x = torch.nan_to_num(x, nan=spec.minimum or 0.0, neginf=spec.minimum or 0.0)
    return x if spec.minimum is None else x.clamp_min(spec.minimum)
