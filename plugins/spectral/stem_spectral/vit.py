"""Pre-norm transformer blocks (Dosovitskiy et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

EPS = 1e-6


class Attention(nn.Module):
    """Every token looks at every other one, with several heads.

    Args:
        width: of the tokens.
        heads: of ``width / heads`` values each.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to the same."""
        n, tokens, width = x.shape
        split = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(n, tokens, width))
        return projected


class DropPath(nn.Module):
    """Leaves a branch out for some items in training, and scales it for the others (Huang et al. 2016).

    Args:
        chance: of being left out.
    """

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) to the same."""
        if not self.training or self.chance == 0:
            return x
        kept = torch.rand(len(x), *(1 for _ in x.shape[1:]), device=x.device) >= self.chance
        return x * (kept / (1 - self.chance)).to(x.dtype)


class Block(nn.Module):
    """Attention and a two-layer network, each behind a normalisation and beside a shortcut.

    Args:
        width: of the tokens.
        heads: of the attention.
        mlp_ratio: width of the hidden layer over that of the tokens.
        drop_path: chance that a branch is left out for an item in training.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, drop_path: float = 0.0) -> None:
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.norm1, self.attention = nn.LayerNorm(width, eps=EPS), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to the same."""
        mixed: Tensor = x + self.drop(self.attention(self.norm1(x)))
        out: Tensor = mixed + self.drop(self.mlp(self.norm2(mixed)))
        return out


class Blocks(nn.Module):
    """A stack of blocks and a last normalisation.

    Args:
        width: of the tokens.
        depth: number of blocks.
        heads: of the attention.
        mlp_ratio: width of the hidden layers over that of the tokens.
        drop_path: chance that a branch of the last block is left out; it grows from 0 at the first.
        checkpoint_blocks: whether only what goes into a block is kept for the backward pass, which computes the block
            again.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        checkpoint_blocks: bool = False,
    ) -> None:
        super().__init__()
        self.checkpoint_blocks = checkpoint_blocks
        chances = [drop_path * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio, chance) for chance in chances)
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to the same."""
        for block in self.blocks:
            if self.checkpoint_blocks and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        normed: Tensor = self.norm(x)
        return normed


def initialise(module: nn.Module) -> None:
    """First weights of linear layers as He et al. 2022 have them, for ``Module.apply``: uniform, of Glorot's width."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
