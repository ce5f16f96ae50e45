"""The figures that come with stemcore."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_figures() -> dict[str, str]:
    """Training curves, reconstructions beside their input, and maps of the latents over the scan."""
    return {
        "loss": "stem_figures.loss:LossCurves",
        "reconstruction": "stem_figures.reconstruction:Reconstruction",
        "latent_maps": "stem_figures.latent_maps:LatentMaps",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """What contract checks let them draw."""
    return {
        "figure/latent_maps": "stem_figures.examples:latent_maps",
        "figure/reconstruction": "stem_figures.examples:reconstruction",
    }
