"""Models: named tensors in, named tensors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from stemcore.component.fields import DataSpec, FieldSpec
from stemcore.errors import UserError


class Model(nn.Module, ABC):
    """A network. ``forward`` takes the batch fields it names (a parameter with default ``None`` may be absent) and
    returns a dict of what ``provides`` declares. All trainable parameters of a run live in the model.

    Args:
        spec: the fields after the transforms. Keep what you need of it: the constructor also runs on the meta device.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def provides(self) -> Mapping[str, FieldSpec]:
        """The outputs by name. ``like`` names the field whose space an output is in: a prediction ``like`` the input
        can be taken back to physical units."""

    # Each model names the fields it takes: signatures differ, so forward is not declared here.

    def encode(self, **fields: Tensor) -> Tensor:
        """Latents (n, ...) of a batch. Raises ``UserError`` for a model without any."""
        return self._output("latent", "encode", fields)

    def reconstruct(self, **fields: Tensor) -> Tensor:
        """The reconstruction of a batch, in the model's space."""
        return self._output("prediction", "reconstruct", fields)

    def impute(self, draw: bool = False, /, **fields: Tensor) -> dict[str, Tensor]:
        """Missing fields from those given, by name, each (n, *shape) in the model's space: the same every time, or,
        where ``draw`` is true, drawn at random from what is probable. Raises ``UserError`` for a model that cannot."""
        raise UserError(f"{type(self).__name__} does not impute")

    def decode(self, latent: Tensor) -> dict[str, Tensor]:
        """Those of the outputs that latents (n, ...) as of :meth:`encode` tell by themselves, by name, each (n, ...) in
        the model's space: what else makes latents, a diffusion model for one, hands them on to this. Raises
        ``UserError`` for a model that cannot."""
        raise UserError(f"{type(self).__name__} does not decode latents by themselves")

    def sample(self, n: int, **conditions: Tensor) -> Tensor:
        """``n`` new items, in the model's space. Raises ``UserError`` for a model that cannot."""
        raise UserError(f"{type(self).__name__} does not sample")

    def _output(self, name: str, verb: str, fields: Mapping[str, Tensor]) -> Tensor:
        if name not in self.provides():
            raise UserError(
                f"{type(self).__name__} cannot {verb}: it provides no '{name}'",
                hint=f"its outputs are {', '.join(self.provides())}",
            )
        outputs: dict[str, Tensor] = self(**fields)
        return outputs[name]
