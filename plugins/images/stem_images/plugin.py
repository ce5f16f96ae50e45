"""Images: data, autoencoders, losses, metrics and figures."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Where items come from."""
    return {
        "images": "stem_images.images:Images",
    }


@hookimpl
def stem_samplers() -> dict[str, str]:
    """Which items an epoch visits."""
    return {}


@hookimpl
def stem_augmentations() -> dict[str, str]:
    """Changes of images and what belongs to them."""
    return {
        "color_jitter": "stem_images.color_jitter:ColorJitter",
    }


@hookimpl
def stem_models() -> dict[str, str]:
    """Networks."""
    return {}


@hookimpl
def stem_losses() -> dict[str, str]:
    """What is minimised."""
    return {}


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores."""
    return {}


@hookimpl
def stem_figures() -> dict[str, str]:
    """Pictures of a run."""
    return {}


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Recipes to begin with."""
    return {}


@hookimpl
def stem_options() -> dict[str, str]:
    """Sections of recipes under a name."""
    return {}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "augmentation/color_jitter": "stem_images.data_examples:color_jitter",
        "dataset/images": "stem_images.data_examples:images",
    }
