"""Hooks of the built-in regularizers."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_losses() -> dict[str, str]:
    """Penalties on latents and weights."""
    return {
        "lp": "stem_regularizers.lp:LpActivation",
        "contrastive": "stem_regularizers.contrastive:Contrastive",
        "divergence": "stem_regularizers.divergence:Divergence",
        "l2": "stem_regularizers.l2:L2",
        "kl": "stem_regularizers.kl:KLDivergence",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """Latents and reference values for contract checks."""
    return {
        "loss/lp": "stem_regularizers.examples:lp",
        "loss/contrastive": "stem_regularizers.examples:contrastive",
        "loss/divergence": "stem_regularizers.examples:divergence",
        "loss/l2": "stem_regularizers.examples:l2",
        "loss/kl": "stem_regularizers.examples:kl",
    }
