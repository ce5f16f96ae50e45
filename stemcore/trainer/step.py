"""One training step as a module: a batch in, the total loss out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stemcore.assemble import Parts
from stemcore.component.model import Model

Result = tuple[Tensor, Tensor, dict[str, Tensor]]


class Step(nn.Module):
    """Model and losses together, which Fabric wraps as one: hooks per tensor stay few, and losses may call parts of
    the model under DDP.

    Args:
        model: the model.
        parts: the losses and their wires.
    """

    def __init__(self, model: Model, parts: Parts) -> None:
        super().__init__()
        self.model = model
        self.losses = nn.ModuleList(term.component for term in parts.losses)
        self.parts = parts

    def forward(self, batch: dict[str, Tensor], weights: Mapping[str, float], progress: float) -> Result:
        """The weighted total; the total and every unweighted term, detached, in one vector; the outputs, detached."""
        given = {w.source: batch[w.source] for w in self.parts.model_wires if w.source in batch}
        outputs: dict[str, Tensor] = self.model(**given)
        device = next(iter(batch.values())).device.type
        with torch.autocast(device, enabled=False):  # losses sum many small numbers: always in float32
            outputs = {
                n: t.float() if t.is_floating_point() and t.dtype != torch.float64 else t for n, t in outputs.items()
            }
            tensors = self.parts.tensors(batch, outputs)
            context = self.parts.context(self.model, progress)
            terms = [
                loss(**term.wires.arguments(tensors, context))
                for loss, term in zip(self.losses, self.parts.losses, strict=True)
            ]
            total = sum((weights[t.name] * v for t, v in zip(self.parts.losses, terms, strict=True)), torch.zeros(()))
        total = torch.as_tensor(total)
        vector = torch.stack([total.detach(), *(v.detach() for v in terms)])
        return total, vector, {n: t.detach() for n, t in outputs.items()}
