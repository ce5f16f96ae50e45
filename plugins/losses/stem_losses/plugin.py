"""Hooks of the built-in data terms."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_losses() -> dict[str, str]:
    """Distances between a prediction and its target."""
    return {
        "mse": "stem_losses.pixelwise:MeanSquaredError",
        "l1": "stem_losses.pixelwise:MeanAbsoluteError",
        "huber": "stem_losses.pixelwise:Huber",
        "scale_aligned": "stem_losses.pixelwise:ScaleAligned",
        "ssim": "stem_losses.ssim_loss:StructuralSimilarity",
        "poisson_nll": "stem_losses.poisson_nll:PoissonNLL",
    }
