"""Hooks of the built-in regularizers."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_losses() -> dict[str, str]:
    """Penalties on latents, posteriors and weights."""
    return {
        "lp": "stem_regularizers.lp:LpActivation",
        "contrastive": "stem_regularizers.contrastive:Contrastive",
        "divergence": "stem_regularizers.divergence:Divergence",
        "l2": "stem_regularizers.l2:L2",
        "kl": "stem_regularizers.kl:KLDivergence",
        "kl_monte_carlo": "stem_regularizers.kl:MonteCarloKL",
        "alignment_kl": "stem_regularizers.kl:AlignmentKL",
        "mmd": "stem_regularizers.mmd:MaximumMeanDiscrepancy",
        "total_correlation": "stem_regularizers.total_correlation:TotalCorrelation",
        "vq_commitment": "stem_regularizers.quantization:Commitment",
        "vq_codebook": "stem_regularizers.quantization:Codebook",
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
        "loss/kl_monte_carlo": "stem_regularizers.posterior_examples:kl_monte_carlo",
        "loss/alignment_kl": "stem_regularizers.posterior_examples:alignment_kl",
        "loss/mmd": "stem_regularizers.posterior_examples:mmd",
        "loss/total_correlation": "stem_regularizers.posterior_examples:total_correlation",
        "loss/vq_commitment": "stem_regularizers.posterior_examples:vq_commitment",
        "loss/vq_codebook": "stem_regularizers.posterior_examples:vq_codebook",
    }
