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
