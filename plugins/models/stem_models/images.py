"""What autoencoders of images read from, and declare in, a ``DataSpec``."""

from __future__ import annotations

from stemcore import DataSpec, FieldSpec, UserError


def image_shape(spec: DataSpec, smallest: int) -> tuple[int, int, int]:
    """Channels, height and width of the input.

    Raises:
        UserError: if the input is no image of a fixed size, or has fewer than ``smallest`` pixels along an axis.
    """
    if "input" not in spec:
        raise UserError("the model needs a field 'input'", hint=f"the data set has {', '.join(spec)}")
    shape = spec["input"].shape
    if len(shape) != 3 or any(n is None for n in shape):
        raise UserError(
            f"the model takes images (channel, height, width) of one size, the input is {shape}",
            hint="crop or resize it in data.transforms.input",
        )
    channels, height, width = (n for n in shape if n is not None)
    if min(height, width) < smallest:
        raise UserError(f"the model takes patterns of at least {smallest} x {smallest}, these are {height} x {width}")
    return channels, height, width


def autoencoder_outputs(spec: DataSpec, latent_dim: int, *, variational: bool = False) -> dict[str, FieldSpec]:
    """The declared outputs of an autoencoder of the input: ``prediction``, ``latent``, and ``mu`` and ``logvar`` of a
    variational one."""
    names = ("latent", "mu", "logvar") if variational else ("latent",)
    prediction = FieldSpec("prediction", spec["input"].shape, unit=spec["input"].unit, like="input")
    return {"prediction": prediction, **{name: FieldSpec(name, (latent_dim,)) for name in names}}
