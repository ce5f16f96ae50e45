"""Hooks of the built-in data terms."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_losses() -> dict[str, str]:
    """Distances between a prediction and its target, bounds of likelihoods, and the sides of adversarial training."""
    return {
        "mse": "stem_losses.pixelwise:MeanSquaredError",
        "l1": "stem_losses.pixelwise:MeanAbsoluteError",
        "huber": "stem_losses.pixelwise:Huber",
        "scale_aligned": "stem_losses.pixelwise:ScaleAligned",
        "ssim": "stem_losses.ssim_loss:StructuralSimilarity",
        "poisson_nll": "stem_losses.poisson_nll:PoissonNLL",
        "iwae": "stem_losses.iwae:ImportanceWeightedBound",
        "adversarial_generator": "stem_losses.adversarial:AdversarialGenerator",
        "adversarial_critic": "stem_losses.adversarial:AdversarialCritic",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """Patterns and reference values for contract checks."""
    return {
        "loss/mse": "stem_losses.examples:mse",
        "loss/l1": "stem_losses.examples:l1",
        "loss/huber": "stem_losses.examples:huber",
        "loss/scale_aligned": "stem_losses.examples:mse",
        "loss/ssim": "stem_losses.examples:ssim",
        "loss/poisson_nll": "stem_losses.examples:poisson_nll",
        "loss/iwae": "stem_losses.score_examples:iwae",
        "loss/adversarial_generator": "stem_losses.score_examples:adversarial_generator",
        "loss/adversarial_critic": "stem_losses.score_examples:adversarial_critic",
    }
