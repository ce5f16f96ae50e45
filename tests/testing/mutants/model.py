"""Models broken in one way each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from stemcore import DataSpec, FieldSpec, Model, UserError
from stemcore.testing import ModelExample
from tests.testing.mutation import Mutant, no_examples


class Sound(Model):
    """A dense autoencoder of items of any even size, with a mask that may be absent."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.shape, size = spec["input"].shape, spec["input"].size
        if size % 2:
            raise UserError(f"items should have an even number of values, these have {size}")
        self.encoder, self.decoder = nn.Linear(size, 5), nn.Linear(5, size)
        self.register_buffer("scale", torch.tensor(0.5))

    def provides(self):
        latent = FieldSpec("latent", (5,))
        return {"prediction": FieldSpec("prediction", self.shape, like="input"), "latent": latent}

    def forward(self, input: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        x = input if mask is None else torch.where(mask, input, 0.0)
        latent = torch.tanh(self.scale * self.encoder(x.flatten(1)))
        return {**self.decode(latent), "latent": latent}

    def decode(self, latent):
        return {"prediction": self.decoder(latent).view(-1, *self.shape)}


class Spectra(Sound):
    """Takes spectra alone."""

    def __init__(self, spec: DataSpec) -> None:
        if len(spec["input"].shape) != 2:
            raise UserError("these are no spectra")
        super().__init__(spec)


def spectra(folder):
    specs = [DataSpec({"input": FieldSpec("input", (1, n))}) for n in (32, 50)]
    return [ModelExample(specs=specs, odd=DataSpec({"input": FieldSpec("input", (1, 41))}))]


class Outputs(Sound):
    """Changes its outputs."""

    def change(self, outputs, input):
        return outputs

    def forward(self, input, mask=None):
        return self.change(super().forward(input, mask), input)


class Missing(Outputs):
    def change(self, outputs, input):
        return {"prediction": outputs["prediction"]}


class Extra(Outputs):
    def change(self, outputs, input):
        return {**outputs, "attention": outputs["latent"]}


class Flat(Outputs):
    def change(self, outputs, input):
        return {**outputs, "prediction": outputs["prediction"].flatten(1)}


class JustATensor(Outputs):
    def change(self, outputs, input):
        return outputs["prediction"]


class NotANumber(Outputs):
    def change(self, outputs, input):
        return {**outputs, "latent": (outputs["latent"] - 2).sqrt()}


class LikeNothing(Sound):
    def provides(self):
        return {**super().provides(), "prediction": FieldSpec("prediction", self.shape, like="inputs")}


class AnotherField(Sound):
    def forward(self, image):
        return super().forward(image)


class Peeking(Outputs):
    def change(self, outputs, input):
        return outputs if float(input.max()) > 0 else {}


class Normalised(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.encoder = nn.Sequential(self.encoder, nn.BatchNorm1d(5))


class EvenRows(Sound):
    """Halves rows and columns without a look at whether they are even."""

    def __init__(self, spec):
        Model.__init__(self, spec)
        self.shape = spec["input"].shape
        c, h, w = self.shape
        self.encoder, self.decoder = nn.Linear(c * h * w // 4, 5), nn.Linear(5, c * h * w)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, input):
        pooled = nn.functional.avg_pool2d(input, 2)
        latent = torch.tanh(self.encoder(pooled.flatten(1)))
        return {"prediction": self.decoder(latent).view(input.shape), "latent": latent}


class Idle(Sound):
    """Has a layer that it does not use."""

    def __init__(self, spec):
        super().__init__(spec)
        self.spare = nn.Linear(3, 3)


class Frozen(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.requires_grad_(False)


def spare_is_unused(folder):
    return [ModelExample(unused=["spare.*"])]


def decoder_is_unused(folder):
    return [ModelExample(unused=["decoder.*"])]


class Noisy(Outputs):
    def change(self, outputs, input):
        return {**outputs, "latent": outputs["latent"] + 0.01 * torch.randn_like(outputs["latent"])}


class OverTheBatch(Outputs):
    def change(self, outputs, input):
        return {**outputs, "latent": outputs["latent"] - outputs["latent"].mean(dim=0)}


class Counting(Sound):
    """Has a state that is no part of its state."""

    made = 0

    def __init__(self, spec):
        super().__init__(spec)
        Counting.made += 1
        self.number = float(Counting.made)

    def forward(self, input, mask=None):
        outputs = super().forward(input, mask)
        return {**outputs, "latent": outputs["latent"] * self.number}


class Growing(Sound):
    """Is larger every time."""

    made = 0

    def __init__(self, spec):
        super().__init__(spec)
        Growing.made += 1
        self.register_buffer("history", torch.zeros(Growing.made))


class Unseeded(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        with torch.no_grad():
            fresh = np.random.default_rng().normal(size=tuple(self.encoder.weight.shape))
            self.encoder.weight.copy_(torch.as_tensor(fresh).to(self.encoder.weight))


class Doubled(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.double()

    def forward(self, input, mask=None):
        return {name: value.float() for name, value in super().forward(input.double(), mask).items()}


class Constant(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.01)


class Dropping(Outputs):
    def change(self, outputs, input):
        return {**outputs, "latent": outputs["latent"] * float(np.random.random() > -1)}


class Stray(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.offset = torch.ones(())


class Listed(Sound):
    def __init__(self, spec):
        super().__init__(spec)
        self.stages = [nn.Linear(2, 2)]


class LargeNumbers(Outputs):
    def change(self, outputs, input):
        ones = torch.ones(5, 5)
        return {**outputs, "latent": (outputs["latent"] + 1000) @ ones - 5000}


class LessCompiled(Outputs):
    def change(self, outputs, input):
        return {"prediction": outputs["prediction"]} if torch.compiler.is_compiling() else outputs


class OtherwiseCompiled(Outputs):
    def change(self, outputs, input):
        return {**outputs, "latent": 2 * outputs["latent"]} if torch.compiler.is_compiling() else outputs


class InPlace(Outputs):
    def change(self, outputs, input):
        input.mul_(0.5)
        return outputs


class MaskedAnyway(Sound):
    def forward(self, input, mask=None):
        return super().forward(input * mask)


class EncodesTheInput(Sound):
    def encode(self, **fields):
        return fields["input"].mean()[None]


class NoEncoding(Sound):
    def encode(self, **fields):
        raise UserError("it does not encode")


class FlatReconstruction(Sound):
    def reconstruct(self, **fields):
        return super().reconstruct(**fields)[:, :, :3]


class DecodesATensor(Sound):
    def decode(self, latent):
        return self.decoder(latent).view(-1, *self.shape)

    def forward(self, input, mask=None):
        outputs = {"latent": torch.tanh(self.scale * self.encoder(input.flatten(1)))}
        return {**outputs, "prediction": self.decode(outputs["latent"])}


class Decodes(Sound):
    """Decodes otherwise than it predicts."""

    def forward(self, input, mask=None):
        latent = torch.tanh(self.scale * self.encoder(input.flatten(1)))
        return {"prediction": self.decoder(latent).view(input.shape), "latent": latent}


class DecodesElse(Decodes):
    def decode(self, latent):
        return {"image": self.decoder(latent).view(-1, *self.shape)}


class DecodesFlat(Decodes):
    def decode(self, latent):
        return {"prediction": self.decoder(latent)}


class DecodesAnArray(Decodes):
    def decode(self, latent):
        return {"prediction": self.decoder(latent).view(-1, *self.shape).numpy()}


class DecodesScaled(Decodes):
    def decode(self, latent):
        return {"prediction": self.decoder(self.scale * latent).view(-1, *self.shape)}


class EncodesOtherwise(Sound):
    """Its latents, as they are written, are not those that it decodes."""

    def encode(self, **fields):
        return 2 * super().encode(**fields)


SOUND = [(Sound, no_examples), (Spectra, spectra), (Idle, spare_is_unused)]
MUTANTS = [
    Mutant("check_outputs", Missing, "it declares latent and does not return it"),
    Mutant("check_outputs", Extra, "it returns attention and does not declare it"),
    Mutant("check_outputs", Flat, r"declares 'prediction' of shape \(1, 16, 16\) and returns \(4, 256\)"),
    Mutant("check_outputs", JustATensor, "forward returned Tensor, not a dict"),
    Mutant("check_outputs", NotANumber, "'latent' is not finite"),
    Mutant("check_outputs", LikeNothing, "is like 'inputs', which is no field"),
    Mutant("check_outputs", AnotherField, "forward takes 'image', which is no field: input, mask"),
    Mutant("check_builds_without_data", Peeking, "on tensors without values it raised"),
    Mutant("check_batch_of_one", Normalised, "a batch of one item in training raised ValueError: Expected more than 1"),
    Mutant("check_odd_sizes", EvenRows, r"it was built for \(1, 17, 13\) and raised RuntimeError"),
    Mutant("check_gradients", Idle, "no gradient reaches spare.weight, spare.bias"),
    Mutant("check_gradients", Frozen, "it has no trainable parameters"),
    Mutant("check_gradients", Sound, r"no parameter is called 'spare.\*'", spare_is_unused),
    Mutant("check_gradients", Sound, r"a gradient reaches 'decoder.\*', which its example declares", decoder_is_unused),
    Mutant("check_deterministic_in_use", Noisy, "called twice: 'latent' differs"),
    Mutant("check_items_by_themselves", OverTheBatch, "item 0 by itself: 'latent' differs"),
    Mutant("check_state_dict", Counting, "with the same state: 'latent' differs"),
    Mutant("check_state_dict", Growing, "cannot be read into a new model"),
    Mutant("check_first_weights", Unseeded, "encoder.weight is another with the same seed"),
    Mutant("check_first_weights", Doubled, "it has parameters of torch.float64"),
    Mutant("check_first_weights", Constant, "the same for another seed"),
    Mutant("check_no_global_randomness", Dropping, "state of the global generator of NumPy"),
    Mutant("check_moves_whole", Stray, "it has the tensor offset as a plain attribute"),
    Mutant("check_moves_whole", Listed, "it keeps modules in the list stages"),
    Mutant("check_autocast", LargeNumbers, "under autocast 'latent' differs"),
    Mutant("check_compile", LessCompiled, "it declares latent and does not return it"),
    Mutant("check_compile", OtherwiseCompiled, "compiled, 'latent' differs"),
    Mutant("check_leaves_inputs_alone", InPlace, "it changed 'input' in place"),
    Mutant("check_optional_fields", MaskedAnyway, "without 'mask' it raised TypeError"),
    Mutant("check_verbs", EncodesTheInput, "encode returned 1 items for 4"),
    Mutant("check_verbs", NoEncoding, "it provides 'latent', and encode raised it does not encode"),
    Mutant("check_verbs", FlatReconstruction, "reconstruct returned"),
    Mutant("check_decode", DecodesATensor, "decode returned Tensor, not a dict"),
    Mutant("check_decode", DecodesElse, "decode returned image, which it does not declare"),
    Mutant("check_decode", DecodesFlat, r"'prediction' of shape \(4, 256\), forward of \(4, 1, 16, 16\)"),
    Mutant("check_decode", DecodesAnArray, "decode returned a ndarray as 'prediction'"),
    Mutant("check_decode", DecodesScaled, "decoded from the latents of encode, 'prediction' differs"),
    Mutant("check_decode", EncodesOtherwise, "decoded from the latents of encode, 'prediction' differs"),
]
