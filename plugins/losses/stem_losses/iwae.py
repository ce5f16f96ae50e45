"""The importance weighted bound."""

from __future__ import annotations

import math

from torch import Tensor

from stemcore import Loss, UserError


class ImportanceWeightedBound(Loss):
    """Importance weighted bound of the negative log-likelihood, -mean_n [log sum_k w_nk - log k], in nats.

    The model gives log w_nk = log p(x_n | z_k) + log p(z_k) - log q(z_k | x_n) at k draws z_k of the posterior of each
    item. With one draw it is the negative evidence lower bound; it falls towards -log p(x) as draws are added.
    Burda, Grosse and Salakhutdinov, arXiv:1509.00519, equation 8.
    """

    def forward(self, log_weights: Tensor) -> Tensor:
        """The bound, a scalar, of ``log_weights`` (n, k): an item each row, a draw each column.

        Raises:
            UserError: if they are not of that shape.
        """
        if log_weights.ndim != 2:
            raise UserError(
                f"iwae takes log weights (n, k), a column for each draw, not {tuple(log_weights.shape)}",
                hint="'inputs' says which output of the model they are",
            )
        return math.log(log_weights.shape[1]) - log_weights.logsumexp(dim=1).mean()
