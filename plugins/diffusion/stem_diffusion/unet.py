"""Diffusion of images and latents by a UNet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from stem_diffusion.conditions import Given
from stem_diffusion.diffusion import Diffusion
from stemcore import DataSpec, UserError, optional_module

Count = Annotated[int, Field(ge=1)]
Chance = Annotated[float, Field(ge=0, lt=1)]


class DiffusionUnet(Diffusion):
    """Diffusion of images or latents (C, H, W) of any size by the UNet of diffusers (``UNet2DModel``).

    Sizes that do not halve as often as there are levels are filled up with zeros inside.

    Args:
        channels: of each level, the finest first; each further one has half the height and width.
        blocks_per_level: residual blocks of each level on the way down; one more on the way up.
        attention: levels, counted from 1, whose blocks attend to all places; the middle always does.
        head_dim: channels of an attention head.
        groups: of the group norms; divides all channels.
        dropout: in the residual blocks.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Annotated[list[Count], Field(min_length=1)] = [64, 128, 256],  # noqa: B006 - read only
        blocks_per_level: Count = 2,
        attention: list[Count] = [],  # noqa: B006 - read only
        head_dim: Count = 32,
        groups: Count = 8,
        dropout: Chance = 0.0,
        **rest: Any,
    ) -> None:
        super().__init__(spec, **rest)
        shape = spec["input"].shape
        if len(shape) != 3 or None in shape:
            message = f"diffusion_unet is for images (C, H, W) of a fixed size, the input is {shape}"
            raise UserError(message, hint="use diffusion_mlp for vectors")
        _refuse_uneven(channels, attention, groups, head_dim)
        self.conditions = self.conditions_of(4 * channels[0])
        self.unet = Unet(
            int(shape[0] or 0),
            channels,
            blocks=blocks_per_level,
            attention=attention,
            head_dim=head_dim,
            groups=groups,
            dropout=dropout,
        )

    def estimated(self, xt: Tensor, t: Tensor, given: Given, kept: Tensor) -> Tensor:
        """See :meth:`Diffusion.estimated`."""
        return self.unet(xt, t, self.conditions(given, kept))


class Encoder(nn.Module):
    """The way down of the UNet of diffusers, to its middle.

    Args:
        parts: a module that has these parts; they are taken over as they are.
    """

    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.time_proj, self.time_embedding = parts.time_proj, parts.time_embedding
        self.conv_in, self.down_blocks, self.mid_block = parts.conv_in, parts.down_blocks, parts.mid_block

    def told(self, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """The embedding (n, width) of steps (n,), integers, and conditions (n, width)."""
        told: Tensor = self.time_embedding(self.time_proj(t))  # sines in float32: bfloat16 has no 257
        return told if condition is None else told + condition

    def down(self, x: Tensor, told: Tensor, hint: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """The features in the middle, and those of every block on the way down, the finest first.

        Args:
            x: items (n, C, H, W) whose sizes halve evenly.
            told: what they are told, (n, width).
            hint: what is added to their first features, (n, channels, H, W).
        """
        x = self.conv_in(x)
        x = x if hint is None else x + hint
        skips = [x]
        for block in self.down_blocks:
            x, passed = block(hidden_states=x, temb=told)
            skips += passed
        return self.mid_block(x, told), skips


class Unet(Encoder):
    """The parts of the UNet of diffusers, put together so that others may come between them.

    Args:
        items: channels of the items.
        channels: of each level.
        blocks: of each level.
        attention: levels that attend, counted from 1.
        head_dim, groups, dropout: see :class:`DiffusionUnet`.
    """

    def __init__(
        self,
        items: int,
        channels: list[int],
        *,
        blocks: int,
        attention: list[int],
        head_dim: int,
        groups: int,
        dropout: float,
    ) -> None:
        diffusers: Any = optional_module("diffusers", "model diffusion_unet", install="stemcore[diffusion]")
        attends = [level + 1 in attention for level in range(len(channels))]
        whole = diffusers.UNet2DModel(
            in_channels=items,
            out_channels=items,
            block_out_channels=tuple(channels),
            down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
            up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
            layers_per_block=blocks,
            attention_head_dim=head_dim,
            norm_num_groups=groups,
            dropout=dropout,
        )
        super().__init__(whole)
        self.multiple = 2 ** (len(channels) - 1)
        self.up_blocks, self.conv_norm_out, self.conv_out = whole.up_blocks, whole.conv_norm_out, whole.conv_out

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Of items (n, C, H, W) at steps (n,) under an embedding of conditions (n, width), (n, C, H, W)."""
        told = self.told(t, condition)
        middle, skips = self.down(self.padded(x), told)
        return self.up(middle, skips, told)[..., : x.shape[-2], : x.shape[-1]]

    def padded(self, x: Tensor) -> Tensor:
        """``x`` (n, C, H, W) filled up with zeros below and to the right, to sizes that halve evenly."""
        height, width = (-s % self.multiple for s in x.shape[-2:])
        return nn.functional.pad(x, (0, width, 0, height)) if height or width else x

    def up(self, middle: Tensor, skips: list[Tensor], told: Tensor) -> Tensor:
        """What comes of features in the middle and on the way down, (n, C, H, W)."""
        x, left = middle, list(skips)
        for block in self.up_blocks:
            count = len(block.resnets)
            left, passed = left[:-count], tuple(left[-count:])
            x = block(x, passed, told)
        return self.conv_out(nn.functional.silu(self.conv_norm_out(x)))


def _refuse_uneven(channels: list[int], attention: list[int], groups: int, head_dim: int) -> None:
    if uneven := [c for c in channels if c % groups]:
        raise UserError(
            f"model.groups {groups} does not divide {uneven} channels", hint="give a divisor of all channels"
        )
    if beyond := [level for level in attention if level > len(channels)]:
        raise UserError(f"model.attention names levels {beyond}, there are {len(channels)}")
    attending = [channels[level - 1] for level in attention] + [channels[-1]]
    if uneven := [c for c in attending if c % head_dim]:
        message = f"model.head_dim {head_dim} does not divide {uneven} channels"
        raise UserError(message, hint="give a divisor of the channels of all levels that attend, and of the last one")
