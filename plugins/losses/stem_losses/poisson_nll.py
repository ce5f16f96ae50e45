"""Negative log-likelihood of electron counts."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from stem_losses.pixelwise import PixelwiseLoss


class PoissonNLL(PixelwiseLoss):
    """Negative log-likelihood r - n log r of counts n under a Poisson rate r, mean over the pixels that count.

    Prediction and target are compared in physical units, which must be counts (>= 0): the rate is the expected
    number of electrons per pixel. No count fits a rate that is not positive, so below ``eps`` the Poisson law is
    continued by a normal one of variance ``eps``,

        f(r) = f(eps) + ((r - n)^2 - (eps - n)^2) / (2 eps)    for r < eps.

    Together they have the slope (r - n) / max(r, eps): continuous, increasing (the loss is convex in r),
    finite for any r, zero at r = n alone - also for empty pixels, whose loss r would otherwise fall without bound as
    the prediction turns negative - and zero on average at the true rate, whatever ``eps`` is.

    Args:
        eps: smallest rate, in counts per pixel, at which the likelihood is exact. A count where none was
            predicted pulls with 1 / eps, and steep pulls by single counts make training slow: on scans of gold and
            WS2/WSe2 an autoencoder with 0.1 came nearer to the true rates than with 0.01 or less after equal time.
        full: adds log(n!), which does not change the gradient, so that the value is the whole negative log-likelihood
            in nats per pixel.
    """

    inputs: ClassVar[dict[str, str]] = {"prediction": "prediction@physical", "target": "target@physical"}

    def __init__(self, *, eps: Annotated[float, Field(gt=0)] = 0.1, full: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.full = full

    def error(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The negative log-likelihood of each pixel."""
        rate = prediction.clamp(min=self.eps)
        below = prediction - rate
        error = rate - target * rate.log() + below * (1 - target / self.eps) + below.square() / (2 * self.eps)
        return error + torch.lgamma(target + 1) if self.full else error
