"""Convolutional stages of image autoencoders."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


def norm_of(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu and He, arXiv:1803.08494) in up to 8 groups, of at least two channels: one channel by
    itself would lose how bright it is."""
    return nn.GroupNorm(math.gcd(8, max(channels // 2, 1), channels), channels)


def activated(convolution: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution to ``channels``, its normalisation and SiLU."""
    return [convolution, norm_of(channels), nn.SiLU()]


def stage_channels(width: int, downsamples: int) -> list[int]:
    """Channels behind each stage of the encoder: ``width``, twice as many, and so on."""
    return [width * 2**stage for stage in range(downsamples)]


def encoder_of(depth: int, channels: Sequence[int], outputs: int) -> nn.Sequential:
    """From images (n, depth, h, w) to maps (n, outputs, h / 2**stages, w / 2**stages): stages of a 3x3 convolution and
    a 4x4 one of stride 2, then a 3x3 and a 1x1 convolution."""
    layers: list[nn.Module] = []
    for before, after in zip([depth, *channels], channels, strict=False):
        layers += activated(nn.Conv2d(before, after, 3, padding=1), after)
        layers += activated(nn.Conv2d(after, after, 4, stride=2, padding=1), after)
    top = channels[-1]
    layers += activated(nn.Conv2d(top, top, 3, padding=1), top)
    return nn.Sequential(*layers, nn.Conv2d(top, outputs, 1))


def decoder_of(latent: int, channels: Sequence[int]) -> nn.Sequential:
    """From latents (n, latent, h, w) to features (n, channels[0] / 2, h * 2**stages, w * 2**stages): a 3x3 convolution,
    then transposed ones, each of which doubles height and width and halves the channels."""
    top = channels[-1]
    layers = activated(nn.Conv2d(latent, top, 3, padding=1), top)
    for before in reversed(channels):
        after = before // 2
        layers += activated(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), after)
    return nn.Sequential(*layers)


def image_head(features: int, outputs: int) -> nn.Sequential:
    """From features to maps of the same size: two 3x3 convolutions."""
    first = activated(nn.Conv2d(features, features, 3, padding=1), features)
    return nn.Sequential(*first, nn.Conv2d(features, outputs, 3, padding=1))


def pooled_head(features: int, outputs: int) -> nn.Sequential:
    """From features (n, features, h, w) to numbers (n, outputs): their means over the image, then a linear map."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, outputs))


def filled_up(images: Tensor, multiple: int) -> Tensor:
    """Images (n, c, h, w) with their last row and column repeated until both sizes are multiples of a number."""
    down, right = -images.shape[-2] % multiple, -images.shape[-1] % multiple
    if not down and not right:
        return images
    return functional.pad(images, (0, right, 0, down), mode="replicate")
