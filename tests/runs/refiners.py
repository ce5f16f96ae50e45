"""A plugin of models that use other runs: one refines what a frozen autoencoder gives, and it can be refined itself."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from stemcore import DataSpec, FieldSpec, Model, Run, UserError, hookimpl


@hookimpl
def stem_models() -> dict[str, str]:
    return {"refiner": f"{__name__}:Refiner"}


class Refiner(Model):
    """Adds a learned convolution to what another run reconstructs.

    Args:
        base: the run.
        gain: factor of what is added.
    """

    def __init__(self, spec: DataSpec, *, base: Run, gain: float = 1.0) -> None:
        super().__init__(spec)
        self.base, self.gain = base.frozen(), gain
        wanted, given = self.base.spec["input"].shape, spec["input"].shape
        if wanted != given:
            raise UserError(f"the run takes an input of shape {wanted}, these are {given}")
        channels = given[0]
        assert channels is not None
        self.change = nn.Conv2d(channels, channels, 3, padding=1)

    def provides(self) -> Mapping[str, FieldSpec]:
        """A prediction like the input."""
        return {"prediction": FieldSpec("prediction", self.spec["input"].shape, like="input")}

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """The base's prediction, refined."""
        base = self.base.model(input=input)["prediction"]
        return {"prediction": base + self.gain * self.change(base)}
