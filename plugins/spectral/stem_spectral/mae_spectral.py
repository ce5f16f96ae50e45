"""Masked autoencoder of hyperspectral cubes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from stem_spectral import masking as masks
from stem_spectral.interpolation import kriged, refuse_large
from stem_spectral.masked_transformer import Decoder, Encoder
from stem_spectral.masking import Strategy
from stem_spectral.patches import Extent, Grid, cube_extent, from_patches, grid_of, over_voxels, to_patches
from stemcore import DataSpec, FieldSpec, Model, UserError

Size = Literal["tiny", "small", "base", "medium", "large", "huge"]
Count = Annotated[int, Field(ge=1)]
DECODER_DIM = 256


class Numbers(NamedTuple):
    """What a size stands for."""

    embed_dim: int
    depth: int
    heads: int
    decoder_heads: int


SIZES: dict[Size, Numbers] = {
    "tiny": Numbers(192, 12, 3, 3),
    "small": Numbers(384, 12, 6, 6),
    "base": Numbers(768, 12, 12, 12),
    "medium": Numbers(512, 16, 16, 16),
    "large": Numbers(1024, 24, 16, 16),
    "huge": Numbers(1280, 32, 16, 16),
}


class MaeSpectral(Model):
    """Predicts hidden patches of a cube, cut along its bands as well, from those that it is shown.

    After He et al. 2022; patches of voxels as in SpectralGPT (Hong et al. 2024). Only what is shown goes through the
    encoder. Cubes that patches do not fill are filled up with zeros inside; what comes out has their own size. Cubes of
    another size than that of training are taken too: positions are interpolated.

    In training every item has another mask, drawn from torch's random numbers. In evaluation an item has the same mask
    every time: it depends on its ``index`` alone (without one all items have the mask of item 0). ``encode`` sees
    everything; ``reconstruct`` predicts every patch from others, in several passes.

    Values that do not count (``mask``) are zeros to the model, the mean of standardised data; their patches are hidden
    and shown like others, so losses and metrics need the mask to leave them out.

    Outputs: ``prediction`` of every patch; ``hidden``, true where a voxel was not shown; ``inpainted``, what was shown
    and the prediction elsewhere; ``latent`` of what was shown.

    Args:
        patch: bands, height and width of a patch.
        size: tiny, small, base, medium, large or huge: embed_dim, depth and heads.
        embed_dim: width of the encoder's tokens, in place of the size's.
        depth: blocks of the encoder, in place of the size's.
        heads: attention heads of the encoder, in place of the size's.
        decoder_dim: width of the decoder's tokens; by default 256 or the next multiple of its heads.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder, in place of the size's.
        mlp_ratio: width of the hidden layers of the blocks over that of their tokens.
        mask_ratio: part of the patches that are hidden; 0 for none.
        masking: what is hidden as a whole: random patches; tube, the same places in all bands; spectral_block, the
            same blocks of bands at all places. The number hidden is rounded to whole ones.
        pooling: what a latent is: mean, over all tokens, (embed_dim,); tokens, the mean over the bands for each place,
            (embed_dim, rows, columns), zero where nothing was shown.
        residual: what the decoder's output is added to: none; kriging, what is shown carried over by ordinary kriging
            in each band, from which an untrained model starts (with masking tube). It saves a network that has little
            to learn from, such as one scene, from having to learn what nearness means.
        correlation_length: of kriging, in pixels: the distance at which the correlation has fallen to 1 / e.
        drop_path: chance that a branch of the last block of the encoder is left out for an item in training; it grows
            from 0 at the first block.
        checkpoint_blocks: whether the backward pass computes blocks again rather than keep what is in them: less
            memory, more time.

    Raises:
        UserError: if the input is no cube of a fixed size, heads do not divide a width, or there is nothing to hide.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        patch: Annotated[list[Count], Field(min_length=3, max_length=3)] = [5, 25, 25],  # noqa: B006 - read only
        size: Size = "base",
        embed_dim: Count | None = None,
        depth: Count | None = None,
        heads: Count | None = None,
        decoder_dim: Count | None = None,
        decoder_depth: Annotated[int, Field(ge=0)] = 8,
        decoder_heads: Count | None = None,
        mlp_ratio: Annotated[float, Field(gt=0)] = 4.0,
        mask_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.8,
        masking: Strategy = "random",
        pooling: Literal["mean", "tokens"] = "mean",
        residual: Literal["none", "kriging"] = "none",
        correlation_length: Annotated[float, Field(gt=0)] = 30.0,
        drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        checkpoint_blocks: bool = False,
    ) -> None:
        super().__init__(spec)
        preset = SIZES[size]
        self.patch: Extent = (patch[0], patch[1], patch[2])
        self.mask_ratio, self.masking, self.pooling, self.residual = mask_ratio, masking, pooling, residual
        self.correlation_length = correlation_length
        self.embed_dim, heads = embed_dim or preset.embed_dim, heads or preset.heads
        decoder_heads = decoder_heads or preset.decoder_heads
        decoder_dim = decoder_dim or math.ceil(DECODER_DIM / decoder_heads) * decoder_heads
        _refuse_uneven(embed_dim=(self.embed_dim, heads), decoder_dim=(decoder_dim, decoder_heads))
        self.grid = grid_of(cube_extent(spec), self.patch)
        masks.hidden_count(masking, self.grid, mask_ratio)  # refuses what cannot be masked, before any data are read
        if residual == "kriging":
            if masking != "tube":
                raise UserError(
                    f"residual 'kriging' goes with masking 'tube', not with '{masking}'", hint="set residual: none"
                )
            refuse_large(self.grid, self.patch)
        blocks = {"mlp_ratio": mlp_ratio, "checkpoint_blocks": checkpoint_blocks}
        self.encoder = Encoder(
            self.grid, self.patch, self.embed_dim, depth or preset.depth, heads, drop_path=drop_path, **blocks
        )
        self.decoder = Decoder(
            self.grid, math.prod(self.patch), self.embed_dim, decoder_dim, decoder_depth, decoder_heads, **blocks
        )
        if residual == "kriging":
            nn.init.zeros_(self.decoder.head.weight)

    def provides(self) -> Mapping[str, FieldSpec]:
        """``prediction``, ``inpainted`` and ``hidden``, like the input, and ``latent``."""
        given = self.spec["input"]
        cubes = {n: FieldSpec(n, given.shape, unit=given.unit, like="input") for n in ("prediction", "inpainted")}
        places = (self.grid.rows, self.grid.columns) if self.pooling == "tokens" else ()
        latent = FieldSpec("latent", (self.embed_dim, *places))
        hidden = FieldSpec("hidden", given.shape, dtype="bool", like="input")
        return {**cubes, "hidden": hidden, "latent": latent}

    def forward(self, input: Tensor, mask: Tensor | None = None, index: Tensor | None = None) -> dict[str, Tensor]:
        """Cubes (n, bands, height, width), which values count (the same shape), and the number of each item (n,), to
        the outputs."""
        x = _counted(input, mask)
        grid = self._grid(x)
        hidden = masks.hidden_count(self.masking, grid, self.mask_ratio)
        if self.training:
            numbers = masks.numbers(self.masking, grid, len(x), x.device)
        else:
            numbers = self._fixed_numbers(grid, x, index)
        return self._predicted(x, grid, masks.shown(self.masking, grid, hidden, numbers))

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents of whole cubes, of which nothing is hidden: see ``pooling``."""
        x = _counted(fields["input"], fields.get("mask"))
        grid = self._grid(x)
        return self._pooled(self.encoder(to_patches(x, self.patch), grid), grid, None)

    def reconstruct(self, **fields: Tensor) -> Tensor:
        """Every patch as it is predicted from others, (n, bands, height, width).

        Passes hide one share of the patches after the other, as many in each as in training; where a patch is hidden
        more than once the first pass holds. Where nothing is hidden (``mask_ratio: 0``), the prediction from
        everything.
        """
        x = _counted(fields["input"], fields.get("mask"))
        grid = self._grid(x)
        hidden = masks.hidden_count(self.masking, grid, self.mask_ratio)
        numbers = self._fixed_numbers(grid, x, fields.get("index"))
        if not hidden:
            return self._predicted(x, grid, masks.shown(self.masking, grid, 0, numbers))["prediction"]
        passes = masks.complementary(self.masking, grid, hidden, numbers)
        whole = self._predicted(x, grid, passes[-1])["prediction"]
        for shown in reversed(passes[:-1]):
            outputs = self._predicted(x, grid, shown)
            whole = torch.where(outputs["hidden"], outputs["prediction"], whole)
        return whole

    def predict(self, cubes: Tensor, shown: Tensor) -> Tensor:
        """Every patch of cubes (n, bands, height, width) as it is predicted from those ``shown``, indices (n, patches
        shown): to hide what one chooses."""
        return self._predicted(cubes, self._grid(cubes), shown)["prediction"]

    def _predicted(self, x: Tensor, grid: Grid, shown: Tensor) -> dict[str, Tensor]:
        """The outputs from the tokens of indices ``shown`` (n, tokens shown)."""
        extent: Extent = (x.shape[1], x.shape[2], x.shape[3])
        patches = to_patches(x, self.patch)
        features = self.encoder(patches, grid, shown)
        values = self.decoder(features, grid, shown)
        if self.residual == "kriging":
            values = values + kriged(patches, self.patch, extent, shown, self.correlation_length)
        prediction = from_patches(values, self.patch, extent)
        unseen = torch.ones(len(x), grid.tokens, dtype=torch.bool, device=x.device).scatter(1, shown, False)
        hidden = over_voxels(unseen, self.patch, extent)
        return {
            "prediction": prediction,
            "inpainted": torch.where(hidden, prediction, x.to(prediction.dtype)),
            "hidden": hidden,
            "latent": self._pooled(features, grid, shown),
        }

    def _pooled(self, features: Tensor, grid: Grid, shown: Tensor | None) -> Tensor:
        """Latents of features (n, tokens, embed_dim): those of all tokens, or of the tokens ``shown``."""
        if self.pooling == "mean":
            return features.mean(dim=1)
        if shown is None:
            means = features.reshape(len(features), grid.groups, grid.places, -1).mean(dim=1)
            return means.mT.reshape(len(features), -1, grid.rows, grid.columns)
        place = shown % grid.places
        sums = features.new_zeros(len(features), grid.places, features.shape[2])
        sums = sums.scatter_add(1, place[..., None].expand_as(features), features)
        counts = features.new_zeros(len(features), grid.places).scatter_add(1, place, torch.ones_like(features[..., 0]))
        means = sums / counts.clamp(min=1)[..., None]
        return means.mT.reshape(len(features), -1, grid.rows, grid.columns)

    def _grid(self, x: Tensor) -> Grid:
        return grid_of((x.shape[1], x.shape[2], x.shape[3]), self.patch)

    def _fixed_numbers(self, grid: Grid, x: Tensor, index: Tensor | None) -> Tensor:
        index = torch.zeros(len(x), dtype=torch.long, device=x.device) if index is None else index
        return masks.fixed_numbers(self.masking, grid, index)


def _counted(cube: Tensor, mask: Tensor | None) -> Tensor:
    """The cube with zeros where values do not count, which may be NaN."""
    return cube if mask is None else torch.where(mask, cube, 0.0)


def _refuse_uneven(**widths: tuple[int, int]) -> None:
    """Raises ``UserError`` where heads do not divide a width, for every such pair (width, heads)."""
    uneven = {name: pair for name, pair in widths.items() if pair[0] % pair[1]}
    if uneven:
        messages = (f"{name} {width} is no multiple of its {heads} heads" for name, (width, heads) in uneven.items())
        raise UserError(*messages, hint="set heads and decoder_heads to divisors of the widths")
