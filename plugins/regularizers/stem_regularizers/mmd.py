"""Maximum mean discrepancy of two sets of latents."""

from __future__ import annotations

from collections.abc import Sequence
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
        x, y = first.flatten(1), second.flatten(1)
        squares = (squared_distances(x, x), squared_distances(y, y), squared_distances(x, y))
        widths = [median_distance(*squares) if h == "median" else h for h in self.bandwidths]
        within_first, within_second, between = (kernel(distances, widths) for distances in squares)
        return self._within(within_first) + self._within(within_second) - 2.0 * between.mean()

    def _within(self, values: Tensor) -> Tensor:
        if not self.unbiased:
            return values.mean()
        n = len(values)
        return (values.sum() - values.diagonal().sum()) / (n * (n - 1))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances (n, m) between latents (n, d) and (m, d)."""
    # By matrix products, which lose the smallest distances: to a kernel, these are all the same. What is lost grows
    # with the distance from the origin, which is therefore put among the items.
    origin = 0.5 * (x.detach().mean(0) + y.detach().mean(0))
    return torch.cdist(x - origin, y - origin, compute_mode="use_mm_for_euclid_dist").square()


def kernel(squares: Tensor, widths: Sequence[float | Tensor]) -> Tensor:
    """The sum over bandwidths h of exp(-d^2 / (2 h^2)) of squared distances d^2 of any shape."""
    return sum((torch.exp(squares / (-2.0 * h**2)) for h in widths), torch.zeros_like(squares))


def median_distance(within_first: Tensor, within_second: Tensor, between: Tensor) -> Tensor:
    """The median distance of different items, of squared distances, as a constant; positive."""
    pairs = [within.detach()[upper(within)] for within in (within_first, within_second)]
    return torch.cat([*pairs, between.detach().flatten()]).median().sqrt().clamp(min=SMALLEST)


def upper(square: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns above the diagonal."""
    rows, columns = torch.triu_indices(*square.shape, offset=1, device=square.device)
    return rows, columns
