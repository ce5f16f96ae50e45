"""The Poisson deviance of recorded counts."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stem_metrics.pattern import PatternMetric, Pixels, everywhere

FLOOR = 1e-6


def deviance(counts: Tensor, rate: Tensor) -> Tensor:
    """Unit deviance ``2 (n log(n / r) - (n - r))`` of counts n >= 0 from rates r > 0, with ``0 log 0 = 0``."""
    return 2 * (torch.xlogy(counts, counts) - torch.xlogy(counts, rate) - counts + rate)


class PoissonDeviance(PatternMetric):
    """Poisson deviance of the counts from the predicted rate, ``2 mean(n log(n / r) - (n - r))`` over pixels
    (McCullagh and Nelder 1989): about 1 per well-lit pixel where only the noise is left. It is the likelihood's
    measure of misfit, so a model that copies the noise scores 0; ``split_half`` does not reward that.

    Args:
        eps: rates below it, negative ones included, are taken as ``eps`` counts; negative counts are taken as 0.
    """

    def __init__(self, *, eps: Annotated[float, Field(gt=0)] = FLOOR) -> None:
        super().__init__()
        self.eps = eps

    def scores(self, batch: Pixels) -> tuple[Tensor, Tensor]:
        """The deviance of each pattern (n,)."""
        misfit = deviance(batch.target.clamp(min=0), batch.prediction.clamp(min=self.eps))
        return everywhere(batch.mean(misfit.where(batch.valid, 0)))
