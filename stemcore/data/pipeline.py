"""From a batch of stored values to the named tensors that models, losses and metrics ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stemcore.component.augmentation import Augmentation
from stemcore.component.fields import DataSpec, FieldSpec, main_fields, target_of
from stemcore.data.chain import MODEL, PHYSICAL, Chain
from stemcore.data.intake import Intake


class Pipeline(nn.Module):
    """What happens to a batch on the device.

    Stored values become physical ones; geometric augmentations move all their fields; ``target`` is bound to ``input``
    (``target_a`` to ``input_a``, and so on); corrupting augmentations change the input; every field with transforms
    goes to the model's space; augmentations of that space come last. A tensor in another space is added under
    ``name@space`` where somebody asks for it.

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
        self.targets = {target_of(n): n for n in main_fields(intake.spec) if target_of(n) not in intake.spec}
        self._like = {name: [n for n, f in intake.spec.items() if f.like == name] for name in chains}
        self._transformed = self._transform

    def chain(self, field: str) -> Chain | None:
        """The transforms of a field, or of the field that it is bound to."""
        return dict(self.chains.items()).get(self.targets.get(field, field))  # type: ignore[return-value]

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
        if generator is not None:
            batch = self._augment(batch, generator, "geometric")
        batch |= {target: batch[field] for target, field in self.targets.items() if field in batch}
        if generator is None:
            return self._transformed(batch)
        batch = self._transformed(self._augment(batch, generator, "corrupting"))
        return self._augment(batch, generator, "corrupting", space=MODEL)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Pipeline:
        # Augmentations go to the device with the rest. They are not registered: what belongs to training alone has no
        # place in the weights.
        for augmentation in self.augmentations:
            augmentation._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _augment(
        self, batch: dict[str, Tensor], generator: torch.Generator, kind: str, space: str = PHYSICAL
    ) -> dict[str, Tensor]:
        for augmentation in self.augmentations:
            if (augmentation.kind, augmentation.space) == (kind, space):
                named = {n: batch[n] for n in augmentation.fields if n in batch}
                batch = {**batch, **augmentation(named, generator)}
        return batch

    def _transform(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        out = dict(batch)
        bound = {field: target for target, field in self.targets.items() if target in batch}
        for name, module in self.chains.items():
            chain: Chain = module  # type: ignore[assignment]
            if name not in batch:
                continue
            like = {n: batch[n] for n in self._like[name] if n in batch}
            masks = {n: t for n, t in like.items() if t.dtype == torch.bool}
            others = {n: t for n, t in like.items() if t.dtype != torch.bool}
            tracks = {name: batch[name]}
            target = bound.get(name)
            if target is not None and batch[target] is not batch[name]:  # else both come to the same
                tracks[target] = batch[target]
            spaces, others, masks = chain.carry(tracks, others, masks)
            out |= others | masks
            self._provide(out, name, chain, spaces[name])
            if target is not None:
                self._provide(out, target, chain, spaces.get(target, spaces[name]))
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
                chain.out_spec, *(_moved(f, spec[name], chain.out_spec) for f in spec.values() if f.like == name)
            )
        return spec


def _moved(follower: FieldSpec, before: FieldSpec, after: FieldSpec) -> FieldSpec:
    """A field that is like another one after this one's transforms; one with channels of its own keeps these."""
    if follower.shape[:-2] == before.shape[:-2] or follower.shape[-2:] != before.shape[-2:]:
        return follower.with_shape(after.shape)
    return follower.with_shape((*follower.shape[:-2], *after.shape[-2:]))
