"""The built-in networks."""

from __future__ import annotations

from collections.abc import Mapping

from stemcore import hookimpl


@hookimpl
def stem_models() -> Mapping[str, str]:
    """Autoencoders of diffraction patterns."""
    return {
        "conv_autoencoder": "stem_models.conv_autoencoder:ConvAutoencoder",
        "resnet_autoencoder": "stem_models.resnet_autoencoder:ResnetAutoencoder",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know of them."""
    return {
        "model/conv_autoencoder": "stem_models.examples:conv_autoencoder",
        "model/resnet_autoencoder": "stem_models.examples:resnet_autoencoder",
    }
