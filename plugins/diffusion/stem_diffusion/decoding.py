"""From latents that were drawn to images, by the decoder of the run whose latents they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stemcore import DataSpec, FieldSpec, FrozenRun, Run, UserError


def decoder_of(autoencoder: Run, latents: FieldSpec) -> FrozenRun:
    """The autoencoder of latents.

    Raises:
        UserError: if the latents are of another run, or it cannot be loaded.
    """
    if latents.source is not None and latents.source != autoencoder.sha256:
        message = f"model.autoencoder: the latents were made by another run than {autoencoder.directory}"
        raise UserError(message, hint="name that run, or embed the images again by this one")
    return autoencoder.frozen()


def drawn_field(model: nn.Module, fields: DataSpec) -> FieldSpec:
    """What samples are in the end, as stored: images of the decoder, or items of the model's own.

    Args:
        model: that draws.
        fields: what it was trained on, as stored.
    """
    autoencoder: FrozenRun | None = getattr(model, "autoencoder", None)
    return fields["input"] if autoencoder is None else autoencoder.fields["input"]


@torch.no_grad()
def decoded(model: nn.Module, items: Tensor) -> dict[str, Tensor]:
    """Samples by their names in files: ``samples`` (n, *shape) in physical units; where there is a decoder ``latents``
    (n, *shape) as it takes them, and where that segments, ``segmentation`` (n, H, W), uint8.

    Args:
        model: that drew them.
        items: what it drew, (n, *shape) in physical units.
    """
    autoencoder: FrozenRun | None = getattr(model, "autoencoder", None)
    if autoencoder is None:
        return {"samples": items}
    spec: DataSpec = model.spec  # type: ignore[assignment]
    field = spec["input"]
    latents = (items - field.offset) / field.scale
    outputs = autoencoder.model.decode(latents)
    found = {"samples": autoencoder.to_physical("prediction", outputs["prediction"].float()), "latents": latents}
    if "segmentation" in outputs:
        found["segmentation"] = outputs["segmentation"].argmax(dim=1).to(torch.uint8)
    return found
