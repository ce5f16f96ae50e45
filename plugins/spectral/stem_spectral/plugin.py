"""Hyperspectral cubes: their files, masked autoencoders, and what they are scored and drawn by."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Cubes and scenes."""
    return {"hyperspectral": "stem_spectral.hyperspectral:Hyperspectral"}


@hookimpl
def stem_augmentations() -> dict[str, str]:
    """Changes of cubes and what belongs to them."""
    return {
        "affine": "stem_spectral.affine:Affine",
        "band_dropout": "stem_spectral.band_dropout:BandDropout",
    }


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
    return {
        "band_sum": "stem_spectral.losses:BandSum",
        "mse_masked": "stem_spectral.losses:MaskedSquaredError",
        "range_penalty": "stem_spectral.losses:RangePenalty",
        "sam": "stem_spectral.angle:SpectralAngle",
        "spectral_variance": "stem_spectral.losses:SpectralVariance",
    }


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores of cubes and of their bands."""
    return {
        "cube_mse": "stem_spectral.cube_error:CubeSquaredError",
        "cube_psnr": "stem_spectral.cube_error:CubePeakSignalToNoise",
        "cube_ssim": "stem_spectral.cube_similarity:CubeSimilarity",
        "sam": "stem_spectral.angle:SpectralAngleMapper",
    }


@hookimpl
def stem_figures() -> dict[str, str]:
    """Pictures of cubes and spectra."""
    return {
        "cube_rgb": "stem_spectral.cube_pictures:CubePictures",
        "mse_by_wavelength": "stem_spectral.spectra:ErrorByWavelength",
        "spectra": "stem_spectral.spectra:Spectra",
    }


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Masked autoencoders, ready to run."""
    return {name: f"stem_spectral:recipes/{name}.yaml" for name in ("hyperspectral-mae", "hyperspectral-scene")}


@hookimpl
def stem_options() -> dict[str, str]:
    """Models, losses and what goes with them, by name."""
    names = (
        "figures/cubes",
        "losses/mae_spectral",
        *(f"model/mae_{size}" for size in ("tiny", "small", "base", "medium", "large", "huge")),
        "optimizer/adamw_mae",
        "scheduler/cosine_mae",
    )
    return {name: f"stem_spectral:options/{name}.yaml" for name in names}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "augmentation/affine": "stem_spectral.data_examples:affine",
        "augmentation/band_dropout": "stem_spectral.data_examples:band_dropout",
        "dataset/hyperspectral": "stem_spectral.data_examples:hyperspectral",
        "figure/cube_rgb": "stem_spectral.figure_examples:of_cubes",
        "figure/mse_by_wavelength": "stem_spectral.figure_examples:of_cubes",
        "figure/spectra": "stem_spectral.figure_examples:of_pixels",
        "loss/band_sum": "stem_spectral.term_examples:band_sum",
        "loss/mse_masked": "stem_spectral.term_examples:mse_masked",
        "loss/range_penalty": "stem_spectral.term_examples:range_penalty",
        "loss/sam": "stem_spectral.term_examples:sam",
        "loss/spectral_variance": "stem_spectral.term_examples:spectral_variance",
        "metric/cube_mse": "stem_spectral.term_examples:cube_mse",
        "metric/cube_psnr": "stem_spectral.term_examples:cube_psnr",
        "metric/cube_ssim": "stem_spectral.term_examples:cube_ssim",
        "metric/sam": "stem_spectral.term_examples:sam_metric",
        "model/mae_spectral": "stem_spectral.model_examples:mae_spectral",
        **{f"recipe/{name}": "stem_spectral.recipe_examples:recipe" for name in stem_recipes()},
        "model/spectral_autoencoder": "stem_spectral.model_examples:spectral_autoencoder",
    }
