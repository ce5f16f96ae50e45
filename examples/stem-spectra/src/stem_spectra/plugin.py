"""What this plugin offers, as import strings: nothing is imported before it is used."""

from __future__ import annotations

from stemcore import hookimpl

STEM_API = "1.0"


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Spectrum images in HyperSpy's files."""
    return {"spectrum_image": "stem_spectra.spectrum_image:SpectrumImage"}


@hookimpl
def stem_models() -> dict[str, str]:
    """An autoencoder along the energy axis."""
    return {"spectrum_autoencoder": "stem_spectra.autoencoder:SpectrumAutoencoder"}


@hookimpl
def stem_losses() -> dict[str, str]:
    """What the detector cannot have seen."""
    return {"beyond_resolution": "stem_spectra.resolution:BeyondResolution"}


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Net intensities of X-ray lines."""
    return {"line_counts": "stem_spectra.line_counts:LineCounts"}


@hookimpl
def stem_figures() -> dict[str, str]:
    """Maps of lines."""
    return {"line_maps": "stem_spectra.line_maps:LineMaps"}


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Denoises an EDX spectrum image of few counts."""
    return {"spectra-denoise": "stem_spectra:recipes/spectra-denoise.yaml"}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What contract checks cannot know by themselves."""
    return {
        "dataset/spectrum_image": "stem_spectra.examples:spectrum_image",
        "model/spectrum_autoencoder": "stem_spectra.examples:spectrum_autoencoder",
        "loss/beyond_resolution": "stem_spectra.examples:beyond_resolution",
        "metric/line_counts": "stem_spectra.examples:line_counts",
        "figure/line_maps": "stem_spectra.examples:line_maps",
    }
