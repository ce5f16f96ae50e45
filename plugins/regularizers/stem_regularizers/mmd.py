"""Maximum mean discrepancy of two sets of latents."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stemcore import Loss, UserError

Bandwidth = Annotated[float, Field(gt=0)]
SMALLEST = 1e-6


class MaximumMeanDiscrepancy(Loss):
    """Squared maximum mean discrepancy of two sets of latents x and y, with the Gaussian kernel
    k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)): mean of k(x_i, x_j) plus mean of k(y_i, y_j) less twice the mean of
    k(x_i, y_j). It compares distributions, not pairs: any order of the items gives the same value.

    Gretton et al., J. Mach. Learn. Res. 13, 723 (2012): unbiased, with the pairs i != j of each set, so that an
    estimate may be negative; or biased, with all pairs, so that it may not. Unbiased holds for sets drawn apart; where
    x_i and y_i are of one item, and alike, the n such pairs among n^2 lower it a little. Of fewer than two items in a
    set the unbiased one does not exist, and is zero here.

    Args:
        bandwidth: of the kernel, in units of the latents; of a list, the kernels are added; with ``median`` the median
            distance between the items of a batch, through which no gradient flows. Distances grow with the square root
            of the latent's width: a kernel that is much narrower than they are sees all items as equally far apart.
        unbiased: the estimate, see above.
    """

    def __init__(
        self,
        *,
        bandwidth: Bandwidth | Annotated[list[Bandwidth], Field(min_length=1)] | Literal["median"] = 1.0,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.bandwidths = bandwidth if isinstance(bandwidth, list) else [bandwidth]
        self.unbiased = unbiased

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The discrepancy, a scalar, of latents (n, ...) and (m, ...).

        Raises:
            UserError: if their items differ in shape.
        """
        if first.shape[1:] != second.shape[1:]:
            raise UserError(
                f"mmd compares items of one shape, not {tuple(first.shape)} with {tuple(second.shape)}",
                hint="'inputs' says what is compared with what",
            )
        n, m = len(first), len(second)
        if min(n, m) < (2 if self.unbiased else 1):
            return (first.sum() + second.sum()) * 0.0
        squares = squared_distances(torch.cat([first.flatten(1), second.flatten(1)]))
        kernel = self._kernel(squares)
        within_first, within_second, between = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
        return self._within(within_first) + self._within(within_second) - 2.0 * between.mean()

    def _within(self, kernel: Tensor) -> Tensor:
        if not self.unbiased:
            return kernel.mean()
        n = len(kernel)
        return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))

    def _kernel(self, squares: Tensor) -> Tensor:
        widths = (median_distance(squares) if h == "median" else h for h in self.bandwidths)
        return sum((torch.exp(squares / (-2.0 * h**2)) for h in widths), torch.zeros_like(squares))


def squared_distances(x: Tensor) -> Tensor:
    """Squared Euclidean distances (n, n) between latents (n, d)."""
    # By matrix products |a|^2 + |b|^2 - 2ab would lose the distances that matter most, those of close items.
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()


def median_distance(squares: Tensor) -> Tensor:
    """The median distance of different items, of squared distances (n, n), as a constant; positive."""
    rows, columns = torch.triu_indices(*squares.shape, offset=1, device=squares.device)
    return squares.detach()[rows, columns].median().sqrt().clamp(min=SMALLEST)
