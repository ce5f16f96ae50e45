"""L2 penalty on the model's weights or on its latent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from stemcore import Loss, UserError

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
NORM_NAME = re.compile(r"Norm(\dd)?$")
BIAS_NAME = re.compile(r"(^|_)bias(_|$)")


class L2(Loss):
    """L2 penalty: sum ||w||^2 over the weights of the model, or the mean of z^2 over the latent.

    Weights are the trainable parameters that are neither biases nor parameters of normalisation layers (batch,
    instance, group, layer and RMS norms, and classes of other packages named like them); one shared by two
    layers counts once, a frozen one not at all. In contrast to an optimizer's weight decay it is part of the
    loss that is logged, and adaptive optimizers rescale its gradient.

    Args:
        target: what is kept small.
    """

    def __init__(self, *, target: Literal["weights", "latent"] = "weights") -> None:
        super().__init__()
        self.target = target

    def forward(self, model: nn.Module, latent: Tensor | None = None) -> Tensor:
        """The penalty, a scalar, of the model or of latents (n, ...).

        Raises:
            UserError: for ``target: latent`` where the model provides none.
        """
        if self.target == "weights":
            squares = [weight.square().sum() for weight in weights(model)]
            return torch.stack(squares).sum() if squares else torch.zeros(())
        if latent is None:
            raise UserError(
                f"l2 with 'target: latent' needs a 'latent', which {type(model).__name__} does not provide",
                hint="use 'target: weights' or name an output under 'inputs'",
            )
        return latent.square().mean()


def weights(model: nn.Module) -> Iterator[nn.Parameter]:
    """The trainable parameters of a model that are neither biases nor part of a normalisation layer, each once."""
    # Walked anew at every step: layers may be replaced, frozen or parametrized while a run goes on.
    seen: set[nn.Parameter] = set()
    for path, module in model.named_modules():
        if isinstance(module, NORMS) or NORM_NAME.search(type(module).__name__):
            continue
        if path.endswith("parametrizations.bias"):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen and not BIAS_NAME.search(name):
                seen.add(parameter)
                yield parameter
