"""The figures that come with stemcore."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_figures() -> dict[str, str]:
    """Training curves, reconstructions beside their input, maps of the latents over the scan, latents in the plane, and
    how well each feature of a table is predicted."""
    return {
        "loss": "stem_figures.loss:LossCurves",
        "reconstruction": "stem_figures.reconstruction:Reconstruction",
        "latent_maps": "stem_figures.latent_maps:LatentMaps",
        "projection": "stem_figures.projection:Projection",
        "imputation": "stem_figures.imputation:Imputation",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """What contract checks let them draw."""
    return {
        "figure/latent_maps": "stem_figures.examples:latent_maps",
        "figure/projection": "stem_figures.examples:projection",
        "figure/imputation": "stem_figures.examples:imputation",
        "figure/reconstruction": "stem_figures.examples:reconstruction",
    }
