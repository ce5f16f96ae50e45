"""Transforms broken in one way each."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from stemcore import FieldSpec, Transform, UserError
from stemcore.testing import TransformExample
from tests.testing.mutation import Mutant

SPECTRA = FieldSpec("input", (20,), "uint16", "counts", minimum=0.0)


class Sound(Transform):
    """Zero mean and unit mean square over all values that count."""

    fitted: ClassVar[bool] = True

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.sums = torch.zeros(3, dtype=torch.float64)

    def update(self, x: Tensor, mask: Tensor | None = None) -> None:
        values = (x if mask is None else x[mask]).cpu().double()
        self.sums += torch.stack([torch.tensor(values.numel()), values.sum(), values.square().sum()])

    def finish(self) -> None:
        count, total, squares = self.sums.tolist()
        variance = squares / count - (total / count) ** 2 if count else 0.0
        if variance < 1e-9:
            raise UserError(f"'{self.spec.name}' is constant")
        self.mean.fill_(total / count)
        self.std.fill_(variance**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean


class SoundCrop(Transform):
    """Without two pixels at each edge."""

    kind = "geometry"

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        if len(spec.shape) < 2 or min(spec.shape[-2:]) < 5:
            raise UserError(f"'{spec.name}' is too small to be cropped")

    def out_spec(self) -> FieldSpec:
        *others, height, width = self.spec.shape
        return self.spec.with_shape((*others, height - 4, width - 4))

    def forward(self, x: Tensor) -> Tensor:
        return x[..., 2:-2, 2:-2]

    def mask(self, mask: Tensor) -> Tensor:
        return self.forward(mask)


class SoundRoll(Transform):
    """Rolls the brightest column of each item to the first place."""

    kind = "geometry"

    def forward(self, x: Tensor) -> Tensor:
        return rolled(x, brightest(x))

    def mask(self, mask: Tensor) -> Tensor:
        raise UserError("a mask cannot follow alone")

    def together(self, main, others, masks):
        by = brightest(main if "mask" not in masks else torch.where(masks["mask"], main, 0.0))
        others = {name: rolled(x, by) for name, x in others.items()}
        return rolled(main, by), others, {name: rolled(m, by) for name, m in masks.items()}


def brightest(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1, x.shape[-1]).sum(1).argmax(1)


def rolled(x: Tensor, by: Tensor) -> Tensor:
    places = (torch.arange(x.shape[-1], device=x.device) + by[:, None]) % x.shape[-1]
    return x.gather(-1, places.reshape(len(x), *[1] * (x.ndim - 2), -1).expand(x.shape))


def examples(folder):
    return [TransformExample(), TransformExample(spec=SPECTRA, label="spectra")]


def lossy(folder):
    return [TransformExample(tolerance=None)]


# ------------------------------------------------------------------------------------------------- the declared output


class Sideways(Sound):
    kind = "sideways"


class ShapeAlone(Sound):
    def out_spec(self):
        return self.spec.shape


class Renamed(Sound):
    def out_spec(self):
        return replace(self.spec, name="standardized")


class ValuesOfAnotherShape(SoundCrop):
    kind = "value"


class KnownLate(Sound):
    def out_spec(self):
        return replace(self.spec, minimum=float(-self.mean))


class AsItWas(SoundCrop):
    def out_spec(self):
        return self.spec


class Numpy(Sound):
    def forward(self, x):
        return super().forward(x).numpy()


class InDoublePrecision(Sound):
    def forward(self, x):
        return super().forward(x.double())


class NeverFitted(Sound):
    fitted = False

    def __init__(self, spec):
        super().__init__(spec)
        self.mean.fill_(float("nan"))


class OneOfTwo(SoundCrop):
    def forward(self, x):
        return super().forward(x)[::2]


class TwelveColumns(SoundCrop):
    def out_spec(self):
        return self.spec.with_shape((1, 12, 12))


class Weighted(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.register_buffer("weight", torch.ones(16, 16))

    def forward(self, x):
        return super().forward(x) * self.weight


# --------------------------------------------------------------------------------------------------------- the inverse


class NoInverse(Sound):
    inverse = Transform.inverse


class HalfWay(Sound):
    def inverse(self, x):
        return x * self.std


class Clipped(Sound):
    def forward(self, x):
        return super().forward(x).clamp(max=1)


class InverseInDoublePrecision(Sound):
    def inverse(self, x):
        return super().inverse(x.double())


class InverseOfNothing(Sound):
    def inverse(self, x):
        return super().inverse(x) / 0


class Padding(SoundCrop):
    def inverse(self, x):
        return nn.functional.pad(x, (2, 2, 2, 2))


class Doubling(SoundCrop):
    def inverse(self, x):
        return 2 * x


class Squared(Transform):
    """x squared."""

    def forward(self, x):
        return x.square()

    def inverse(self, x):
        return x.sqrt()


class ZeroBelowZero(Squared):
    def inverse(self, x):
        return torch.where(x > 0, x.sqrt(), 0.0)


class Detached(Sound):
    def inverse(self, x):
        return super().inverse(x).detach()


class ScaleDetached(Sound):
    def inverse(self, x):
        return super().inverse(x.detach()) + 0 * x


class HalfTheGradient(Sound):
    def inverse(self, x):
        return super().inverse((x + x.detach()) / 2)


# ------------------------------------------------------------------------------------------------------------- the fit


class LastBlockAlone(Sound):
    def update(self, x, mask=None):
        self.sums.zero_()
        super().update(x, mask)


class MeanOfMeans(Sound):
    def update(self, x, mask=None):
        values = (x if mask is None else torch.where(mask, x, float("nan"))).double()
        self.sums += torch.tensor([1.0, values.nanmean(), values.square().nanmean()], dtype=torch.float64)


class NotOneByOne(Sound):
    def update(self, x, mask=None):
        assert len(x) > 1
        super().update(x, mask)


class MaskIgnored(Sound):
    def update(self, x, mask=None):
        super().update(x)


class MaskAsFactor(Sound):
    def update(self, x, mask=None):
        if mask is None:
            return super().update(x)
        self.sums += torch.stack([mask.sum(), (x * mask).sum(), (x * mask).square().sum()])


class MaskedWithoutMean(Sound):
    def update(self, x, mask=None):
        super().update(x, mask)
        self.shift = 0 if mask is None else 1

    def finish(self):
        super().finish()
        self.mean += self.shift


class ConstantIsFine(Sound):
    def finish(self):
        count, total, squares = self.sums.tolist()
        self.mean.fill_(total / max(count, 1))
        self.std.fill_(max(0, squares / max(count, 1) - (total / max(count, 1)) ** 2) ** 0.5)

    def forward(self, x):
        return (x - x[:1].mean()) / (self.std if self.fitted else 1)


class DividesByCount(Sound):
    def finish(self):
        self.sums[1] / int(self.sums[0])
        if not self.sums[0]:
            raise ZeroDivisionError("division by zero")
        super().finish()


class Logarithm(Transform):
    """log x."""

    def forward(self, x):
        return x.log()

    def inverse(self, x):
        return x.exp()


# ----------------------------------------------------------------------------------------------------------- geometry


class FloatMask(SoundCrop):
    def mask(self, mask):
        return super().mask(mask).float()


class UncroppedMask(SoundCrop):
    def mask(self, mask):
        return mask


class MaskFromElsewhere(SoundCrop):
    def mask(self, mask):
        return mask[..., 4:, 4:]


class MaskLost(SoundCrop):
    def mask(self, mask):
        return super().mask(torch.zeros_like(mask))


class MaskOfWholeItems(SoundCrop):
    def mask(self, mask):
        return super().mask(mask.flatten(1).all(1).reshape(-1, 1, 1, 1).expand(mask.shape))


class MaskOfNothing(SoundCrop):
    def mask(self, mask):
        return None


class Binned(SoundCrop):
    """Means of two by two pixels, valid where one of them is."""

    def out_spec(self):
        *others, height, width = self.spec.shape
        return self.spec.with_shape((*others, height // 2, width // 2))

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2)

    def mask(self, mask):
        return nn.functional.max_pool2d(mask.float(), 2) > 0


class RolledAlone(SoundRoll):
    def mask(self, mask):
        return mask

    together = property()


class EachByItself(SoundRoll):
    def together(self, main, others, masks):
        others = {name: super(EachByItself, self).together(x, {}, masks)[0] for name, x in others.items()}
        main, _, masks = super().together(main, {}, masks)
        return main, others, masks


class OthersStay(SoundRoll):
    def together(self, main, others, masks):
        main, _, masks = super().together(main, {}, masks)
        return main, others, masks


class MasksForgotten(SoundRoll):
    def together(self, main, others, masks):
        return (*super().together(main, others, masks)[:2], {})


class FieldsForgotten(SoundRoll):
    def together(self, main, others, masks):
        main, _, masks = super().together(main, others, masks)
        return main, {"copy": main}, masks


class OtherWhenTogether(SoundRoll):
    def together(self, main, others, masks):
        return super().together(main.flip(-1), others, masks)


class MasksStay(SoundRoll):
    def together(self, main, others, masks):
        return (*super().together(main, others, masks)[:2], masks)


# ------------------------------------------------------------------------------------------------------ every transform


class ByBatch(Sound):
    def forward(self, x):
        return super().forward(x) - x.mean()


class SqueezedMask(SoundCrop):
    def mask(self, mask):
        return super().mask(mask & mask.all(0))


class View(Sound):
    def forward(self, x):
        return super().forward(x.view(len(x), -1)).view(x.shape)


class Raw(Sound):
    def forward(self, x):
        flat = torch.as_strided(x, (x.numel(),), (1,), x.storage_offset())
        return super().forward(flat).reshape(x.shape)


class CentredInPlace(Sound):
    def forward(self, x):
        return x.sub_(self.mean).div_(self.std)


class FittedInPlace(Sound):
    def update(self, x, mask=None):
        super().update(x.clamp_(max=4), mask)


class MaskedInPlace(SoundCrop):
    def mask(self, mask):
        mask[..., :2] = False
        return super().mask(mask)


class InvertedInPlace(Sound):
    def inverse(self, x):
        return x.mul_(self.std) + self.mean


class Jitter(Sound):
    def forward(self, x):
        return super().forward(x) + torch.rand(())


class Counting(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.calls = 0

    def inverse(self, x):
        self.calls += 1
        return super().inverse(x) + self.calls


class InEvaluation(Sound):
    def forward(self, x):
        return super().forward(x) if self.training else x


class Counted(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += len(x)
        return super().forward(x)


class Attribute(Sound):
    def finish(self):
        super().finish()
        self.mean = float(self.mean)


class Unregistered(Sound):
    def finish(self):
        super().finish()
        self.factor = float(self.std)

    factor = 1.0

    def forward(self, x):
        return (x - self.mean) / self.factor


class Registered(Sound):
    def finish(self):
        super().finish()
        self.register_buffer("count", self.sums[0])


class Resized(Sound):
    def finish(self):
        super().finish()
        self.mean = self.mean.expand(16).clone()


class Plain(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.ramp = torch.ones(16)

    def forward(self, x):
        return super().forward(x) * self.ramp


class MaskOnTheHost(SoundCrop):
    def mask(self, mask):
        return torch.ones_like(super().mask(mask), device="cpu")


class ExtraState(Sound):
    def get_extra_state(self):
        return {"spec": self.spec}

    def set_extra_state(self, state):
        self.spec = state["spec"]


class Trainable(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.gain = nn.Parameter(torch.ones(()))


SOUND = [(Sound, examples), (SoundCrop, lambda folder: [TransformExample()]), (SoundRoll, examples)]
MUTANTS = [
    Mutant("check_declares_its_output", Sideways, "kind is 'sideways'"),
    Mutant("check_declares_its_output", ShapeAlone, "out_spec returned tuple, not FieldSpec"),
    Mutant("check_declares_its_output", Renamed, "'input' goes out under the name 'standardized'"),
    Mutant("check_declares_its_output", ValuesOfAnotherShape, r"takes \(1, 16, 16\) to \(1, 12, 12\)"),
    Mutant("check_declares_its_output", KnownLate, "before the fit and FieldSpec"),
    Mutant("check_output", AsItWas, r"items of shape \(1, 12, 12\), out_spec declares \(1, 16, 16\)"),
    Mutant("check_output", Numpy, "forward returned ndarray, not a tensor"),
    Mutant("check_output", InDoublePrecision, "forward turns float32 into float64"),
    Mutant("check_output", NeverFitted, "2048 values that are not finite .*its attribute 'fitted' is false"),
    Mutant("check_output", OneOfTwo, "makes 4 items of 8"),
    Mutant(
        "check_other_sizes", TwelveColumns, r"shape \(1, 24, 32\) .* \(1, 20, 28\), out_spec declares \(1, 12, 12\)"
    ),
    Mutant("check_other_sizes", Weighted, r"it can be built, but raised RuntimeError.*UserError in __init__"),
    Mutant("check_inverse", NoInverse, "it has no inverse, which a value transform needs"),
    Mutant("check_inverse", HalfWay, r"inverse\(forward\(x\)\) and x: the largest difference is"),
    Mutant("check_inverse", Clipped, "the largest difference is"),
    Mutant("check_inverse", InverseInDoublePrecision, "inverse turns float32 into float64"),
    Mutant("check_inverse", InverseOfNothing, "2048 values are not finite", lossy),
    Mutant("check_inverse_keeps_geometry", Padding, r"\(8, 1, 12, 12\), to \(8, 1, 16, 16\)"),
    Mutant("check_inverse_keeps_geometry", Doubling, "inverse changes what it is given"),
    Mutant("check_inverse_of_any_output", Squared, "it is not finite at .* below the values of forward"),
    Mutant("check_inverse_of_any_output", ZeroBelowZero, "its gradient is not finite at .* below"),
    Mutant("check_inverse_gradient", Detached, "no gradient flows through inverse"),
    Mutant("check_inverse_gradient", ScaleDetached, "by its gradient they would by 0$"),
    Mutant("check_inverse_gradient", HalfTheGradient, "along a direction its values change by"),
    Mutant("check_fit_in_blocks", LastBlockAlone, "fitted on items one by one and on all at once, forward"),
    Mutant("check_fit_in_blocks", MeanOfMeans, "and on all at once, forward: the largest difference is", examples),
    Mutant("check_fit_in_blocks", NotOneByOne, "fitted on items one by one and on all at once: it raised Assert"),
    Mutant("check_fit_masks", MaskIgnored, "fitted with zeros and with other values where the mask is false"),
    Mutant("check_fit_masks", MaskAsFactor, "fitted with NaN and with other values where the mask is false"),
    Mutant("check_fit_masks", MaskedWithoutMean, "fitted with a mask that is true everywhere and with none"),
    Mutant("check_degenerate_data", ConstantIsFine, "given one value throughout, forward gives 2048 values"),
    Mutant("check_degenerate_data", DividesByCount, "fitted on a mask that is false everywhere it raised ZeroDiv"),
    Mutant("check_degenerate_data", Logarithm, "given the field's minimum 0 throughout, forward gives"),
    Mutant("check_mask", FloatMask, "mask turns bool into float32"),
    Mutant("check_mask", UncroppedMask, r"8 masks come out in shape \(8, 1, 16, 16\)"),
    Mutant("check_mask", MaskFromElsewhere, "count although masked-out ones contribute to them"),
    Mutant("check_mask", Binned, "count although masked-out ones contribute to them"),
    Mutant("check_mask", RolledAlone, "count although masked-out ones contribute to them"),
    Mutant("check_mask", MaskLost, "comes out false everywhere"),
    Mutant("check_mask", MaskOfWholeItems, "do not count although no masked-out one contributes"),
    Mutant("check_mask", MaskOfNothing, "mask returned NoneType, not a tensor"),
    Mutant("check_moves_together", EachByItself, "are others in a field than in the mask like it"),
    Mutant("check_moves_together", OthersStay, "a field of the same values comes out otherwise"),
    Mutant("check_moves_together", MasksStay, "are others in a field than in the mask like it"),
    Mutant("check_moves_together", MasksForgotten, r"given masks \['mask'\] and returned \[\]"),
    Mutant("check_moves_together", FieldsForgotten, r"returned \['copy'\]"),
    Mutant("check_moves_together", OtherWhenTogether, "the field comes out otherwise than by forward"),
    Mutant("check_batch_of_one", ByBatch, "forward of single items and of a batch: the largest difference is"),
    Mutant("check_batch_of_one", SqueezedMask, "mask of single items and of a batch"),
    Mutant("check_memory_layout", View, "not contiguous it raised RuntimeError"),
    Mutant("check_memory_layout", Raw, "forward of a tensor that is not contiguous: the largest difference"),
    Mutant("check_leaves_inputs_alone", CentredInPlace, "forward changes its input in place"),
    Mutant("check_leaves_inputs_alone", FittedInPlace, "update changes its input in place"),
    Mutant("check_leaves_inputs_alone", MaskedInPlace, "mask changes its input in place"),
    Mutant("check_leaves_inputs_alone", InvertedInPlace, "inverse changes its input in place"),
    Mutant("check_deterministic", Jitter, "it changed the state of the global generator of torch"),
    Mutant("check_deterministic", Counting, "inverse gives something else the second time"),
    Mutant("check_deterministic", InEvaluation, "forward gives something else in evaluation than in training"),
    Mutant("check_deterministic", Counted, "seen changed though nothing was fitted"),
    Mutant("check_state_dict", Attribute, "it raised TypeError|cannot assign"),
    Mutant("check_state_dict", Unregistered, "restored from its state_dict, forward gives something else"),
    Mutant("check_state_dict", Registered, "'count' appears in its state_dict by the fit"),
    Mutant("check_state_dict", Resized, r"the shape of 'mean' changes in the fit, from \(\) to \(16,\)"),
    Mutant("check_state_dict", ExtraState, "its state cannot be loaded from a checkpoint"),
    Mutant("check_device", Plain, "given tensors on (meta|cuda) it raised"),
    Mutant("check_device", MaskOnTheHost, "mask of a tensor on (meta|cuda) is on cpu"),
    Mutant("check_no_parameters", Trainable, "it has trainable parameters: gain"),
]
