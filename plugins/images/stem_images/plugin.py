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
    return {
        "weighted": "stem_images.weighted:Weighted",
    }


@hookimpl
def stem_augmentations() -> dict[str, str]:
    """Changes of images and what belongs to them."""
    return {
        "color_jitter": "stem_images.color_jitter:ColorJitter",
    }


@hookimpl
def stem_models() -> dict[str, str]:
    """Networks."""
    return {
        "multihead_autoencoder": "stem_images.multihead_autoencoder:MultiheadAutoencoder",
    }


@hookimpl
def stem_losses() -> dict[str, str]:
    """What is minimised."""
    return {
        "cross_entropy": "stem_images.class_losses:CrossEntropy",
        "dice": "stem_images.class_losses:Dice",
        "latent_standardisation": "stem_images.latent_losses:LatentStandardisation",
        "perceptual": "stem_images.perceptual:Perceptual",
    }


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores."""
    return {
        "accuracy": "stem_images.class_metrics:Accuracy",
        "dice": "stem_images.class_metrics:DiceScore",
        "miou": "stem_images.class_metrics:MeanIntersectionOverUnion",
    }


@hookimpl
def stem_figures() -> dict[str, str]:
    """Pictures of a run."""
    return {
        "image_grid": "stem_images.image_figures:ImageGrid",
        "segmentation_overlay": "stem_images.image_figures:SegmentationOverlay",
    }


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Recipes to begin with."""
    return {name: f"stem_images:recipes/{name}.yaml" for name in ("image-autoencoder", "image-autoencoder-small")}


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
        "figure/image_grid": "stem_images.head_examples:image_grid",
        "figure/segmentation_overlay": "stem_images.head_examples:segmentation_overlay",
        "loss/cross_entropy": "stem_images.loss_examples:cross_entropy",
        "loss/dice": "stem_images.loss_examples:dice",
        "loss/latent_standardisation": "stem_images.loss_examples:latent_standardisation",
        "loss/perceptual": "stem_images.loss_examples:perceptual",
        "metric/accuracy": "stem_images.class_examples:accuracy",
        "metric/dice": "stem_images.class_examples:dice",
        "metric/miou": "stem_images.class_examples:miou",
        "model/multihead_autoencoder": "stem_images.head_examples:multihead_autoencoder",
        **{f"recipe/{name}": "stem_images.recipe_examples:recipe" for name in stem_recipes()},
    }
