"""Spectral normalisation of linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stem_paired.posteriors import full_precision


class SpectralLinear(nn.Module):
    """A linear layer whose weight is divided by its largest singular value (Miyato et al., Spectral Normalization for
    Generative Adversarial Networks, 2018).

    The singular vectors are kept, and follow the weight by one power iteration for each call in training. PyTorch's own
    parametrisation does the same and cannot be pickled, which starting processes afresh needs.

    Args:
        linear: the layer whose parameters it takes over.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        outputs, inputs = self.weight.shape
        self.left: Tensor
        self.right: Tensor
        self.register_buffer("left", functional.normalize(torch.randn(outputs), dim=0))
        self.register_buffer("right", functional.normalize(torch.randn(inputs), dim=0))
        self.follow(FIRST_ITERATIONS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) to (n, outputs)."""
        with full_precision(x):
            if self.training:
                self.follow(1)
            # Copies, for the next call moves the vectors before this one's gradient is computed.
            left, right = self.left.clone(), self.right.clone()
            weight = self.weight / torch.dot(left, self.weight @ right)
        return functional.linear(x, weight, self.bias)

    @torch.no_grad()
    def follow(self, iterations: int) -> None:
        """Power iterations."""
        for _ in range(iterations):
            self.right.copy_(functional.normalize(self.weight.T @ self.left, dim=0))
            self.left.copy_(functional.normalize(self.weight @ self.right, dim=0))


FIRST_ITERATIONS = 15
