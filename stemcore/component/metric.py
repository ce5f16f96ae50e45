"""Metrics: scores accumulated over a data set."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar, Literal

from torchmetrics import Metric as TorchMetric

Direction = Literal["min", "max"] | None


class Metric(TorchMetric, ABC):
    """A torchmetrics metric (states added by ``add_state`` with a reduction, so that it is right over several
    processes). ``update`` names the tensors it wants, as a loss does, in physical units unless ``inputs`` asks
    otherwise; ``compute`` returns a scalar, or a dict with the keys of ``reports``."""

    inputs: ClassVar[Mapping[str, str]] = {}
    full_state_update = False

    def reports(self) -> Mapping[str, Direction]:
        """What ``compute`` returns and which way is better (``None``: neither). The key ``""`` is the metric itself,
        another one is appended to its name: ``std`` of ``psnr`` is logged as ``val/psnr_std``."""
        return {"": "min"}
