"""Built-in transforms and augmentations."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_transforms() -> dict[str, str]:
    """Preprocessing that is state of the model."""
    return {
        "log": "stem_transforms.log:Log",
        "log1p": "stem_transforms.value_transforms:Log1p",
        "sqrt": "stem_transforms.value_transforms:Sqrt",
        "impute": "stem_transforms.impute:Impute",
        "standardize": "stem_transforms.fitted_transforms:Standardize",
        "zscore": "stem_transforms.fitted_transforms:ZScore",
        "robust": "stem_transforms.robust:Robust",
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


@hookimpl
def stem_examples() -> dict[str, str]:
    """Patterns, spectra and tables, for contract checks."""
    return {
        "transform/log": "stem_transforms.examples:log",
        "transform/log1p": "stem_transforms.examples:values",
        "transform/sqrt": "stem_transforms.examples:sqrt",
        "transform/impute": "stem_transforms.examples:impute",
        "transform/standardize": "stem_transforms.examples:standardize",
        "transform/zscore": "stem_transforms.examples:features",
        "transform/robust": "stem_transforms.examples:features",
        "transform/minmax": "stem_transforms.examples:minmax",
        "transform/crop": "stem_transforms.examples:crop",
        "transform/bin": "stem_transforms.examples:bin",
        "transform/resize": "stem_transforms.examples:resize",
        "transform/center": "stem_transforms.examples:center",
        "augmentation/flip": "stem_transforms.examples:geometric",
        "augmentation/rotate90": "stem_transforms.examples:geometric",
        "augmentation/poisson": "stem_transforms.examples:poisson",
        "augmentation/noise": "stem_transforms.examples:noise",
    }
