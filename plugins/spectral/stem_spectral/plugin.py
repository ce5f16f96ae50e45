"""Hyperspectral cubes: their files, masked autoencoders, and what they are scored and drawn by."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Cubes and scenes."""
    return {}


@hookimpl
def stem_augmentations() -> dict[str, str]:
    """Changes of cubes and what belongs to them."""
    return {}


@hookimpl
def stem_models() -> dict[str, str]:
    """Networks of cubes."""
    return {
        "mae_spectral": "stem_spectral.mae_spectral:MaeSpectral",
        "spectral_autoencoder": "stem_spectral.spectral_autoencoder:SpectralAutoencoder",
    }


@hookimpl
def stem_losses() -> dict[str, str]:
    """What keeps spectra as they are."""
    return {}


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores of cubes and of their bands."""
    return {}


@hookimpl
def stem_figures() -> dict[str, str]:
    """Pictures of cubes and spectra."""
    return {}


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Masked autoencoders, ready to run."""
    return {}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "model/mae_spectral": "stem_spectral.model_examples:mae_spectral",
        "model/spectral_autoencoder": "stem_spectral.model_examples:spectral_autoencoder",
    }
