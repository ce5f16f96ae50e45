"""From a batch of stored values to the named tensors that models, losses and metrics ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stemcore.component.augmentation import Augmentation
from stemcore.component.fields import DataSpec
from stemcore.data.chain import MODEL, Chain
from stemcore.data.intake import Intake

TARGET = "target"


class Pipeline(nn.Module):
    """What happens to a batch on the device.

    Stored values become physical ones; geometric augmentations move all their fields; ``target`` is bound to ``input``;
    corrupting augmentations change the input; then every field with transforms goes to the model's space. A tensor in
    another space is added under ``name@space`` where somebody asks for it.

    Args:
        intake: dequantisation and validity.
        chains: the transforms by field.
        augmentations: training only.
        wanted: names with a space, such as ``target@physical``, to be provided.
    """

    def __init__(
        self,
        intake: Intake,
        chains: Mapping[str, Chain],
        augmentations: Sequence[Augmentation] = (),
        wanted: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.intake = intake
        self.chains = nn.ModuleDict(chains)
        self.augmentations = list(augmentations)
        self.wanted = set(wanted)
        self.spec = self._out_spec()
        self._like = {name: [n for n, f in intake.spec.items() if f.like == name] for name in chains}
        self._transformed = self._transform

    def chain(self, field: str) -> Chain | None:
        """The transforms of a field, or of the field that it is bound to."""
        name = "input" if field == TARGET and TARGET not in self.chains else field
        return dict(self.chains.items()).get(name)  # type: ignore[return-value]

    def compile_transforms(self) -> None:
        """From now on the transforms go through ``torch.compile``; values may differ in their last digits."""
        self._transformed = torch.compile(self._transform, dynamic=False)

    def forward(
        self, stored: dict[str, Tensor], generator: torch.Generator | None = None, *, checked: bool = False
    ) -> dict[str, Tensor]:
        """The named tensors of a batch.

        Args:
            stored: fields as stored, each (n, ...), and ``index`` (n,), on the device.
            generator: the randomness of the augmentations; without one they are left out.
            checked: whether all values of the data are known to be valid, so that these need not be looked at.
        """
        batch = self.intake(stored, checked=checked)
        changed = False
        if generator is not None:
            batch = self._augment(batch, generator, "geometric")
        bound = TARGET not in batch and "input" in batch
        if bound:
            batch[TARGET] = batch["input"]
        if generator is not None:
            before = batch.get("input"), batch.get(TARGET)
            batch = self._augment(batch, generator, "corrupting")
            changed = batch.get("input") is not before[0] or batch.get(TARGET) is not before[1]
        return self._transformed(batch, shared=bound and not changed)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Pipeline:
        # Augmentations go to the device with the rest. They are not registered: what belongs to training alone has no
        # place in the weights.
        for augmentation in self.augmentations:
            augmentation._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _augment(self, batch: dict[str, Tensor], generator: torch.Generator, kind: str) -> dict[str, Tensor]:
        for augmentation in self.augmentations:
            if augmentation.kind == kind:
                named = {n: batch[n] for n in augmentation.fields if n in batch}
                batch = {**batch, **augmentation(named, generator)}
        return batch

    def _transform(self, batch: dict[str, Tensor], shared: bool) -> dict[str, Tensor]:
        out = dict(batch)
        for name, module in self.chains.items():
            chain: Chain = module  # type: ignore[assignment]
            if name not in batch:
                continue
            like = {n: batch[n] for n in self._like[name] if n in batch}
            masks = {n: t for n, t in like.items() if t.dtype == torch.bool}
            others = {n: t for n, t in like.items() if t.dtype != torch.bool}
            tracks = {name: batch[name]}
            follows = name == "input" and TARGET in batch and TARGET not in self.chains
            if follows and not shared:
                tracks[TARGET] = batch[TARGET]
            spaces, others, masks = chain.carry(tracks, others, masks)
            out |= others | masks
            self._provide(out, name, chain, spaces[name])
            if follows:
                self._provide(out, TARGET, chain, spaces.get(TARGET, spaces[name]))
        return out

    def _provide(self, out: dict[str, Tensor], name: str, chain: Chain, seen: Mapping[str, Tensor]) -> None:
        out[name] = seen[MODEL]
        for wanted in self.wanted:
            field, _, space = wanted.partition("@")
            if field == name:
                out[wanted] = seen[space] if space in seen else chain.undo(seen[MODEL], space)

    def _out_spec(self) -> DataSpec:
        spec = self.intake.spec
        for name, module in self.chains.items():
            chain: Chain = module  # type: ignore[assignment]
            spec = spec.replacing(
                chain.out_spec, *(f.with_shape(chain.out_spec.shape) for f in spec.values() if f.like == name)
            )
        return spec
