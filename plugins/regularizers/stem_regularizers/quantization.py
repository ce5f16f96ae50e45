"""What holds quantised latents and their codebook together."""

from __future__ import annotations

from torch import Tensor

from stemcore import Loss, UserError


class Commitment(Loss):
    """Commitment of an encoder to the codes: mean |sg(quantized) - encoded|^2, with no gradient (sg) to the codebook.

    Van den Oord, Vinyals and Kavukcuoglu, arXiv:1711.00937, equation 3, third term; its beta, 0.25 there, is the
    weight of this term.
    """

    def forward(self, encoded: Tensor, quantized: Tensor) -> Tensor:
        """The loss, a scalar, of latents (n, ...) and of the codes that they were replaced by.

        Raises:
            UserError: if they differ in shape.
        """
        return squared(encoded, quantized.detach())


class Codebook(Loss):
    """Distance of the codes from what they stand for: mean |quantized - sg(encoded)|^2, with no gradient (sg) to the
    encoder; second term of equation 3 of arXiv:1711.00937. A codebook that follows moving averages needs it not.
    """

    def forward(self, encoded: Tensor, quantized: Tensor) -> Tensor:
        """The loss, a scalar, of latents (n, ...) and of their codes, before these are passed straight through: the
        gradient of ``quantized`` has to reach the codebook.

        Raises:
            UserError: if they differ in shape.
        """
        return squared(encoded.detach(), quantized)


def squared(encoded: Tensor, quantized: Tensor) -> Tensor:
    """Mean squared difference.

    Raises:
        UserError: if the shapes differ.
    """
    if encoded.shape != quantized.shape:
        raise UserError(f"latents {tuple(encoded.shape)} and their codes {tuple(quantized.shape)} differ in shape")
    return (quantized - encoded).square().mean()
