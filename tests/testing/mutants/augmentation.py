"""Augmentations broken in one way each."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from stemcore import Augmentation, DataSpec, FieldSpec
from stemcore.testing import AugmentationExample
from tests.testing.mutation import Mutant


def spec_of(*fields: FieldSpec) -> DataSpec:
    return DataSpec({field.name: field for field in fields})


SPECTRA = spec_of(
    FieldSpec("input", (1, 64), "uint16", "counts", minimum=0.0),
    FieldSpec("weights", (1, 64), like="input"),
    FieldSpec("peaks", (64,), "uint8", like="input"),
    FieldSpec("label", (), "int64"),
)


class Sound(Augmentation):
    """Mirrors items from left to right by chance.

    Args:
        fields: the fields to mirror.
    """

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        items, device = len(next(iter(batch.values()))), next(iter(batch.values())).device
        chosen = torch.rand(items, generator=generator, device=device) < 0.5
        return {name: self.mirrored(name, x, chosen) for name, x in batch.items()}

    def mirrored(self, name: str, x: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen.reshape(-1, *[1] * (x.dim() - 1)), x.flip(-1), x)


class SoundNoise(Augmentation):
    """Adds noise.

    Args:
        fields: the fields to change.
    """

    kind: ClassVar[Literal["geometric", "corrupting"]] = "corrupting"

    def __init__(self, spec: DataSpec, *, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(spec, fields=fields)
        self.register_buffer("std", torch.tensor([0.1]))

    def forward(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {name: self.noisy(x, generator) for name, x in batch.items()}

    def noisy(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x + self.std * torch.randn(x.shape, generator=generator, device=x.device)


def examples(folder):
    counts = np.arange(8 * 64).reshape(8, 1, 64).astype(np.uint16)
    return [AugmentationExample(), AugmentationExample(label="spectra", spec=SPECTRA, tensors={"input": counts})]


def noise_examples(folder):
    return [AugmentationExample(), AugmentationExample(config={"fields": ["input", "target"]})]


class Sideways(Sound):
    kind = "sideways"


class InputAlone(Sound):
    def __init__(self, spec):
        super().__init__(spec, fields=["input"])


class Everything(SoundNoise):
    def __init__(self, spec):
        super().__init__(spec, fields=[*spec])


class FieldOfItsOwn(Sound):
    def __init__(self, spec):
        super().__init__(spec, fields=["input", "mask", "rgb"])


class ImageAlone(Sound):
    def forward(self, batch, generator):
        return {"input": super().forward(batch, generator)["input"]}


class WithChoice(Sound):
    def forward(self, batch, generator):
        return {**super().forward(batch, generator), "choice": torch.ones(8)}


class Pair(Sound):
    def forward(self, batch, generator):
        return tuple(super().forward(batch, generator).values())


class InNumpy(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x, generator).numpy()


class MaskAsNumbers(Sound):
    def mirrored(self, name, x, chosen):
        return super().mirrored(name, x, chosen).float()


class InDoublePrecision(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x.double(), generator)


class Smaller(Sound):
    def mirrored(self, name, x, chosen):
        return super().mirrored(name, x, chosen)[..., :12]


class DividesByChance(SoundNoise):
    def noisy(self, x, generator):
        return x / (super().noisy(x, generator) > x)


class SeededAnew(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x, generator.manual_seed(0))


class Remembering(SoundNoise):
    def noisy(self, x, generator):
        self.last = getattr(self, "last", 0) + super().noisy(x, generator)
        return self.last


class SeededWhenBuilt(SoundNoise):
    built = 0

    def __init__(self, spec):
        super().__init__(spec)
        SeededWhenBuilt.built += 1
        self.offset = SeededWhenBuilt.built

    def noisy(self, x, generator):
        return super().noisy(x, generator) + self.offset


class FromTorch(SoundNoise):
    def noisy(self, x, generator):
        return x + self.std * torch.randn_like(x)


class FromNumpy(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x, generator) + float(np.random.rand())


class FromTheSeedOfTorch(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x, generator) + torch.initial_seed() % 1000


class InPlace(SoundNoise):
    def noisy(self, x, generator):
        return x.add_(super().noisy(x, generator))


class ScaledToTheSpread(SoundNoise):
    def noisy(self, x, generator):
        means = x.flatten(1).mean(1)
        return super().noisy(x, generator) * (means - means.mean()).square().sum() / (len(x) - 1)


class Squeezed(Sound):
    def mirrored(self, name, x, chosen):
        return super().mirrored(name, x, chosen).squeeze(0)


class View(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x.view(len(x), -1), generator).view(x.shape)


class Raw(SoundNoise):
    def noisy(self, x, generator):
        flat = torch.as_strided(x, (x.numel(),), (1,), x.storage_offset())
        return super().noisy(flat, generator).reshape(x.shape)


class ToUnitSum(SoundNoise):
    def noisy(self, x, generator):
        return super().noisy(x, generator) * x / x.sum((-2, -1), keepdim=True)


class OnTheHost(SoundNoise):
    def noisy(self, x, generator):
        return torch.zeros(x.shape) + torch.rand((), generator=generator, device=x.device).shape.numel()


class DrawnOnTheHost(SoundNoise):
    def noisy(self, x, generator):
        return x + torch.randn(x.shape, generator=generator).to(x.device)


class PlainTensor(SoundNoise):
    def __init__(self, spec):
        super().__init__(spec)
        self.ramp = torch.ones(16)

    def noisy(self, x, generator):
        return super().noisy(x, generator) * self.ramp


class MaskStays(Sound):
    def mirrored(self, name, x, chosen):
        return x if name == "mask" else super().mirrored(name, x, chosen)


class MaskAlone(Sound):
    def mirrored(self, name, x, chosen):
        return super().mirrored(name, x, chosen) if name == "mask" else x


class MaskGrows(Sound):
    def mirrored(self, name, x, chosen):
        return torch.ones_like(x) if name == "mask" else super().mirrored(name, x, chosen)


class EachByItself(Sound):
    def forward(self, batch, generator):
        return {name: super(EachByItself, self).forward({name: x}, generator)[name] for name, x in batch.items()}


class WeightsStay(Sound):
    def mirrored(self, name, x, chosen):
        return x if name == "weights" else super().mirrored(name, x, chosen)


class Trainable(SoundNoise):
    def __init__(self, spec):
        super().__init__(spec)
        self.gain = nn.Parameter(torch.ones(()))


SOUND = [(Sound, examples), (SoundNoise, noise_examples)]
MUTANTS = [
    Mutant("check_fields", Sideways, "kind is 'sideways'"),
    Mutant("check_fields", InputAlone, "its fields input leave out mask"),
    Mutant("check_fields", Everything, "changes mask without being asked to"),
    Mutant("check_fields", FieldOfItsOwn, "'rgb' is among its fields, the data have input, mask"),
    Mutant("check_output", ImageAlone, "it was given input, mask and returned input$"),
    Mutant("check_output", WithChoice, "returned choice, input, mask"),
    Mutant("check_output", Pair, "forward returned tuple, not a dict"),
    Mutant("check_output", InNumpy, "forward returned ndarray for 'input', not a tensor"),
    Mutant("check_output", MaskAsNumbers, "changes the type of 'mask' from bool to float32"),
    Mutant("check_output", InDoublePrecision, "changes the type of 'input' from float32 to float64"),
    Mutant("check_output", Smaller, r"shape of 'input' from \(8, 1, 16, 16\) to \(8, 1, 16, 12\)"),
    Mutant("check_output", DividesByChance, "values of 'input' are not finite$"),
    Mutant("check_seed", SeededAnew, "20 seeds gave the same"),
    Mutant("check_seed", Remembering, "it makes something else of"),
    Mutant("check_seed", SeededWhenBuilt, "built again, it makes something else of a seed"),
    Mutant("check_no_global_randomness", FromTorch, "global generator of torch"),
    Mutant("check_no_global_randomness", FromNumpy, "global generator of NumPy"),
    Mutant("check_no_global_randomness", FromTheSeedOfTorch, "depends on the seeds of global generators"),
    Mutant("check_leaves_inputs_alone", InPlace, "it changes input in place"),
    Mutant("check_batch_of_one", ScaledToTheSpread, "not finite for a batch of one item"),
    Mutant("check_batch_of_one", Squeezed, r"of \(1, 1, 16, 16\) it makes \(1, 16, 16\) for 'input'"),
    Mutant("check_memory_layout", View, "not contiguous it raised RuntimeError"),
    Mutant("check_memory_layout", Raw, "of tensors that are not contiguous it makes something else"),
    Mutant("check_zeros", ToUnitSum, "values of 'input' are not finite for zeros"),
    Mutant("check_device", OnTheHost, "'input' of a batch on (meta|cuda) is on cpu"),
    Mutant("check_device", DrawnOnTheHost, "randn draws on cpu, where its generator cannot"),
    Mutant("check_device", PlainTensor, "given tensors on (meta|cuda) it raised"),
    Mutant("check_moves_together", MaskStays, "'mask' does not move with 'input': after it"),
    Mutant("check_moves_together", MaskAlone, "'mask' does not move with 'input': after it"),
    Mutant("check_moves_together", MaskGrows, "of the pixels of its mask are in both"),
    Mutant("check_moves_together", EachByItself, "'mask' does not move with 'input': after it"),
    Mutant(
        "check_moves_together", WeightsStay, "spectra: 'weights' does not move with 'input': given the same", examples
    ),
    Mutant("check_no_parameters", Trainable, "it has trainable parameters: gain"),
]
