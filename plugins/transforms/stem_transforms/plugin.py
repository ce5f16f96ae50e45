"""Built-in transforms and augmentations."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_transforms() -> dict[str, str]:
    """Preprocessing that is state of the model."""
    return {
        "log1p": "stem_transforms.value_transforms:Log1p",
        "sqrt": "stem_transforms.value_transforms:Sqrt",
        "standardize": "stem_transforms.fitted_transforms:Standardize",
        "minmax": "stem_transforms.fitted_transforms:MinMax",
        "crop": "stem_transforms.grid_transforms:Crop",
        "bin": "stem_transforms.grid_transforms:Bin",
        "resize": "stem_transforms.grid_transforms:Resize",
        "center": "stem_transforms.center:Center",
    }


@hookimpl
def stem_augmentations() -> dict[str, str]:
    """Random changes of training batches."""
    return {
        "flip": "stem_transforms.geometric_augmentations:Flip",
        "rotate90": "stem_transforms.geometric_augmentations:Rotate90",
        "poisson": "stem_transforms.corrupting_augmentations:Poisson",
        "noise": "stem_transforms.corrupting_augmentations:Noise",
    }
