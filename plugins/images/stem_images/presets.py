"""The sizes of latents that a sweep over image autoencoders compares."""

from __future__ import annotations

from typing import Literal, NamedTuple

Preset = Literal["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12"]


class Code(NamedTuple):
    """The latent of an image.

    Attributes:
        latent_channels: its channels.
        downsamples: how often height and width are halved.
    """

    latent_channels: int
    downsamples: int


PRESETS: dict[Preset, Code] = {
    "S1": Code(16, 4),
    "S2": Code(8, 3),
    "S3": Code(4, 3),
    "S4": Code(8, 4),
    "S5": Code(16, 5),
    "S6": Code(32, 4),
    "S7": Code(4, 4),
    "S8": Code(8, 5),
    "S9": Code(16, 3),
    "S10": Code(2, 3),
    "S11": Code(8, 6),
    "S12": Code(4, 2),
}


def code_of(preset: Preset, latent_channels: int | None, downsamples: int | None) -> Code:
    """A preset with what is given instead of its numbers."""
    usual = PRESETS[preset]
    return Code(latent_channels or usual.latent_channels, downsamples or usual.downsamples)
