"""Multilayer perceptrons of the paired models: encoders to posteriors, decoders to features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from stem_paired.posteriors import Gaussian, single

Activation = Literal["leaky_relu", "relu", "elu", "gelu", "silu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def activation_of(name: Activation) -> nn.Module:
    """The activation; the slope of ``leaky_relu`` is 0.2."""
    return nn.LeakyReLU(0.2) if name == "leaky_relu" else ACTIVATIONS[name]()


class FeatureNorm(nn.BatchNorm1d):
    """Batch normalisation that a batch of one item, which has no spread, passes with the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, features), shape kept."""
        if self.training and len(x) == 1:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class Layer(nn.Module):
    """A layer of a residual perceptron: dropout(activation(norm(W x + b) + shortcut(x))), whose shortcut is the
    identity where the widths are equal, else linear.

    Args:
        inputs, outputs: widths.
        activation: by name.
        dropout: chance of a value to be dropped.
        batch_norm: whether W x + b is normalised over the batch.
        residual: whether there is a shortcut.
    """

    def __init__(
        self, inputs: int, outputs: int, *, activation: Activation, dropout: float, batch_norm: bool, residual: bool
    ) -> None:
        super().__init__()
        self.linear: nn.Module = nn.Linear(inputs, outputs)
        self.norm = FeatureNorm(outputs) if batch_norm else nn.Identity()
        self.shortcut: nn.Module | None = None
        if residual:
            self.shortcut = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)
        self.activation = activation_of(activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) to (n, outputs)."""
        y = self.norm(self.linear(x))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.dropout(self.activation(y))


class Perceptron(nn.Sequential):
    """Layers of the widths given, one after the other.

    Args:
        inputs: width that comes in.
        widths: of the layers.
        style: ``activation``, ``dropout``, ``batch_norm`` and ``residual`` of every :class:`Layer`.
    """

    def __init__(self, inputs: int, widths: Sequence[int], **style: object) -> None:
        ends = [inputs, *widths]
        super().__init__(*(Layer(i, o, **style) for i, o in pairwise(ends)))  # type: ignore[arg-type]
        self.outputs = ends[-1]


class Encoder(nn.Module):
    """From features to the mean and the logarithm of the variance of a Gaussian posterior.

    Args:
        features: width that comes in.
        widths: of the hidden layers.
        latent_dim: latent values.
        style: of the layers.
    """

    def __init__(self, features: int, widths: Sequence[int], latent_dim: int, **style: object) -> None:
        super().__init__()
        self.hidden = Perceptron(features, widths, **style)
        self.mu = nn.Linear(self.hidden.outputs, latent_dim)
        self.logvar = nn.Linear(self.hidden.outputs, latent_dim)

    def forward(self, x: Tensor) -> Gaussian:
        """The posterior of (n, features), never in half precision; log variances are kept within -10 and 10, so that
        their exponentials stay finite in it."""
        hidden = self.hidden(x)
        return Gaussian(single(self.mu(hidden)), single(self.logvar(hidden)).clamp(-10.0, 10.0))


class Network(nn.Sequential):
    """Hidden layers and a linear last one.

    Args:
        inputs: width that comes in.
        widths: of the hidden layers.
        outputs: width that goes out.
        style: of the layers.
    """

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, **style: object) -> None:
        hidden = Perceptron(inputs, widths, **style)
        super().__init__(hidden, nn.Linear(hidden.outputs, outputs))


class Decoder(Network):
    """From latents to features."""
