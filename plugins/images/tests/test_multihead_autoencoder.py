from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from stem_images.head_examples import labelled
from stem_images.multihead_autoencoder import MultiheadAutoencoder
from stem_images.presets import PRESETS

from stemcore import DataSpec, FieldSpec, UserError


def spec(*shape: int) -> DataSpec:
    return DataSpec({"input": FieldSpec("input", shape, unit="counts")})


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_s1_has_the_parameters_of_the_original_to_the_unit() -> None:
    model = MultiheadAutoencoder(spec(3, 512, 512), segmentation_classes=10, classes=2)
    assert parameters(model.encoder) == 2_378_160
    assert parameters(model.decoder) == 734_672
    heads = {name: parameters(head) for name, head in model.heads.items()}
    assert heads == {"prediction": 2_787, "segmentation": 3_802, "classification": 34}
    assert parameters(model) == 3_119_455
    assert model.provides()["latent"].shape == (16, 32, 32)


CODES = {
    **{"S1": (16, 4), "S2": (8, 3), "S3": (4, 3), "S4": (8, 4), "S5": (16, 5), "S6": (32, 4)},
    **{"S7": (4, 4), "S8": (8, 5), "S9": (16, 3), "S10": (2, 3), "S11": (8, 6), "S12": (4, 2)},
}


@pytest.mark.parametrize("preset", CODES)
def test_latents_of_every_preset(preset: str) -> None:
    channels, halvings = CODES[preset]
    assert len(PRESETS) == len(CODES)
    with torch.device("meta"):
        model = MultiheadAutoencoder(spec(3, 128, 192), preset=preset)
        out = model(torch.empty(2, 3, 128, 192))
    latent = (channels, 128 // 2**halvings, 192 // 2**halvings)
    assert tuple(out["latent"].shape) == (2, *latent)
    assert model.provides()["latent"].shape == latent
    assert tuple(out["prediction"].shape) == (2, 3, 128, 192)


def test_numbers_take_the_place_of_those_of_the_preset() -> None:
    model = MultiheadAutoencoder(spec(1, 32, 32), preset="S12", latent_channels=7, downsamples=3, width=4)
    assert model.provides()["latent"].shape == (7, 4, 4)
    assert model.encoder[0].out_channels == 4


def test_any_size_is_filled_up_with_its_edge_and_cut_again() -> None:
    model = MultiheadAutoencoder(spec(2, 13, 21), latent_channels=3, downsamples=2, width=4).eval()
    image = torch.rand(1, 2, 13, 21)
    out = model(image)
    assert tuple(out["prediction"].shape) == (1, 2, 13, 21)
    assert tuple(out["latent"].shape) == (1, 3, 4, 6)
    edged = torch.cat([image, *[image[:, :, -1:]] * 3], 2)
    edged = torch.cat([edged, *[edged[..., -1:]] * 3], 3)
    torch.testing.assert_close(out["latent"], model.encoder(edged))


def test_heads_follow_what_the_data_have() -> None:
    fields = labelled(16, 16)
    assert set(built(fields).heads) == {"prediction", "segmentation", "classification"}
    assert set(built(spec(3, 16, 16)).heads) == {"prediction"}
    nameless = fields.replacing(replace(fields["label"], classes=()))
    assert set(built(nameless).heads) == {"prediction", "segmentation"}
    assert set(built(fields, heads=["classification"]).heads) == {"classification"}
    assert built(fields).provides()["segmentation"].shape == (3, 16, 16)
    assert built(fields, segmentation_classes=5).provides()["segmentation"].shape == (5, 16, 16)


def test_segmentation_and_classification_are_logits() -> None:
    model = built(labelled(16, 16))
    torch.nn.init.constant_(model.heads["segmentation"][-1].bias, 3.0)
    torch.nn.init.constant_(model.heads["classification"][-1].bias, 3.0)
    out = model(torch.rand(2, 3, 16, 16))
    for name in ("segmentation", "classification"):
        assert (out[name].sum(1) > 1.5).all()  # shares would add up to 1


def test_what_is_regressed_on() -> None:
    model = built(labelled(16, 16), regression=["dose", "vector", "truth"])
    out = model(torch.rand(2, 3, 16, 16))
    shapes = {name: tuple(out[f"regression_{name}"].shape) for name in ("dose", "vector", "truth")}
    assert shapes == {"dose": (2,), "vector": (2, 5), "truth": (2, 2, 16, 16)}
    assert model.provides()["regression_dose"].like == "dose"


def test_decode_is_what_forward_does_after_encode() -> None:
    model = built(labelled(13, 16), regression=["dose"]).eval()
    image = torch.rand(2, 3, 13, 16)
    out = model(image)
    latent = model.encode(input=image)
    torch.testing.assert_close(latent, out["latent"])
    decoded = model.decode(latent)
    assert set(decoded) == set(out) - {"latent"}
    for name, values in decoded.items():
        torch.testing.assert_close(values, out[name])


def test_a_variational_one_draws_in_training_alone() -> None:
    model = built(labelled(16, 16), variational=True)
    image = torch.rand(2, 3, 16, 16)
    first, second = model(image), model(image)
    assert not torch.equal(first["latent"], second["latent"])
    torch.testing.assert_close(model.encode(input=image), first["mu"])
    drawn = torch.stack([model(image)["latent"] for _ in range(100)])
    deviation = torch.exp(0.5 * first["logvar"])
    torch.testing.assert_close(drawn.std(0), deviation, rtol=0.4, atol=0)
    assert torch.equal(model.eval()(image)["latent"], model(image)["mu"])


def test_outputs_are_bounded_as_asked() -> None:
    for output, (low, high) in {"tanh": (-1, 1), "sigmoid": (0, 1)}.items():
        model = built(spec(1, 16, 16), output=output)
        torch.nn.init.normal_(model.heads["prediction"][-2].weight, std=9.0)
        found = model(torch.rand(4, 1, 16, 16))["prediction"]
        assert found.min() >= low
        assert found.max() <= high
    model = built(spec(1, 16, 16), output="linear")
    torch.nn.init.constant_(model.heads["prediction"][-2].bias, 5.0)
    assert model(torch.rand(4, 1, 16, 16))["prediction"].max() > 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"heads": ["segmentation"]}, "number of classes of the head segmentation"),
        ({"heads": ["rgb", "classification"]}, "give classes, or data with classes of label"),
        ({"regression": ["dose"]}, "no field 'dose'"),
        ({"regression": ["input"]}, "no field 'input'"),
    ],
)
def test_what_cannot_be_built_is_said(config: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        built(spec(3, 16, 16), **config)
    (problem,) = caught.value.problems
    assert said in f"{problem.message} {problem.hint}"


def test_an_image_of_another_size_is_not_regressed_on() -> None:
    fields = labelled(16, 16).replacing(FieldSpec("truth", (2, 8, 8)))
    with pytest.raises(UserError, match="cannot be regressed on"):
        built(fields, regression=["truth"])


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(UserError, match="takes images"):
        built(spec(40))
    with pytest.raises(UserError, match="needs a field 'input'"):
        built(DataSpec({"input_a": FieldSpec("input_a", (1, 8, 8))}))


def built(fields: DataSpec, **config: object) -> MultiheadAutoencoder:
    torch.manual_seed(0)
    return MultiheadAutoencoder(fields, **{"latent_channels": 3, "downsamples": 2, "width": 8, **config})
