"""What diffusion models minimise."""

from __future__ import annotations

from torch import Tensor

from stemcore import Loss


class Denoising(Loss):
    """Weighted mean squared error of a diffusion model's estimate: the mean over items of w mean (estimate - wanted)^2.

    With all weights 1 and the noise as what is wanted, it is eq. 14 of Ho, Jain & Abbeel, NeurIPS 2020.
    """

    def forward(self, estimate: Tensor, wanted: Tensor, loss_weight: Tensor | None = None) -> Tensor:
        """Of (n, ...) each, with weights (n,)."""
        errors = (estimate - wanted).square().flatten(1).mean(dim=1)
        return errors.mean() if loss_weight is None else (loss_weight * errors).mean()
