from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from stem_images.latent_losses import LatentStandardisation
from stem_images.loss_examples import perceptual
from stem_images.perceptual import Perceptual
from stem_images.recipe_examples import write_images
from stem_images.vgg import ends_of_stages, read_vgg
from torch import nn

from stemcore import Run, UserError, load_run, run
from stemcore.progress import Reporter

SMALL = {"type": "multihead_autoencoder", "latent_channels": 2, "downsamples": 2, "width": 4, "heads": ["rgb"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("perceptual")
    run(recipe(write_images(folder)), output=folder / "run", fast_dev_run=True, reporter=Reporter())
    return load_run(folder / "run")


def recipe(path: Path, **losses: object) -> dict[str, object]:
    return {
        "data": {"train": {"type": "images", "path": str(path), "mask": None}, "batch_size": 8},
        "model": SMALL,
        "losses": {"mse": {}, **losses},
        "backend": "cpu",
    }


def test_latents_of_another_run(trained: Run) -> None:
    stored = torch.rand(2, 2, 3, 32, 32)
    prediction, target = 2 * stored - 1  # physical values of uint8
    loss = Perceptual(run=trained)
    model = trained.load()[0].model.eval()
    with torch.no_grad():
        expected = (model.encode(input=prediction) - model.encode(input=target)).square().mean()
    torch.testing.assert_close(loss(prediction, target), expected)
    assert loss.state_dict() == {}
    assert not list(loss.parameters())
    prediction.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(prediction, target), prediction)
    assert gradient.abs().sum() > 0


def test_modules_of_another_run(trained: Run) -> None:
    prediction, target = 2 * torch.rand(2, 2, 3, 32, 32) - 1
    loss = Perceptual(run=trained, modules=["encoder.2", "encoder.5"])
    model = trained.load()[0].model.eval()
    with torch.no_grad():
        features = [[model.encoder[:k](x) for k in (3, 6)] for x in (prediction, target)]
        expected = sum((a - b).square().mean() for a, b in zip(*features, strict=True)) / 2
    torch.testing.assert_close(loss(prediction, target), expected)
    assert not model.encoder[2]._forward_hooks
    with pytest.raises(UserError, match=r"no module encoder\.99"):
        Perceptual(run=trained, modules=["encoder.99"])
    with pytest.raises(UserError, match=r"encodes without its module decoder\.0"):
        Perceptual(run=trained, modules=["decoder.0"])(prediction, target)


def test_a_run_trains_by_the_features_of_another(trained: Run, tmp_path: Path) -> None:
    perceptual = {"run": str(trained.directory), "modules": ["encoder.5"], "weight": 0.1}
    run(
        recipe(write_images(tmp_path), perceptual=perceptual),
        output=tmp_path / "run",
        fast_dev_run=True,
        reporter=Reporter(),
    )
    assert load_run(tmp_path / "run").summary["final"]["train/perceptual"] > 0


def test_layers_are_found_as_torchvision_numbers_them(tmp_path: Path) -> None:
    """Beside a network that is built of PyTorch's own layers, in the order of VGG-11's first three stages."""
    convolution = [nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 6), (6, 8), (8, 9), (9, 9))]
    layers = [convolution[0], nn.ReLU(), nn.MaxPool2d(2), convolution[1], nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, convolution[2], nn.ReLU(), convolution[3], nn.ReLU(), nn.MaxPool2d(2))
    torch.save({f"features.{k}": v for k, v in network.state_dict().items()}, tmp_path / "vgg.pth")
    assert ends_of_stages(read_vgg(tmp_path / "vgg.pth")) == [1, 2]
    loss = Perceptual(path=tmp_path / "vgg.pth", layers=[2, 4])
    images = 2 * torch.rand(2, 2, 3, 16, 16) - 1
    scaled = ((images + 1) / 2 - loss.features.mean) / loss.features.std
    with torch.no_grad():
        pairs = [(network[:k](scaled[0]), network[:k](scaled[1])) for k in (5, 10)]
        expected = sum((a - b).square().mean() for a, b in pairs) / 2
    torch.testing.assert_close(loss(*images), expected)


class Trap:
    """Is run by a careless reader of pickles."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it was run')",))


def test_only_tensors_are_read(tmp_path: Path) -> None:
    (tmp_path / "trap.pth").write_bytes(pickle.dumps(Trap()))
    torch.save({"features.0.weight": Trap()}, tmp_path / "nested.pth")
    torch.save({"classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    torch.save({"features.0.weight": torch.zeros(4, 3, 5, 5), "features.0.bias": torch.zeros(4)}, tmp_path / "wide.pth")
    for name, said in {"trap": "other than tensors", "nested": "other than", "other": "chain", "wide": "3x3"}.items():
        with pytest.raises(UserError, match=said):
            Perceptual(path=tmp_path / f"{name}.pth")
    with pytest.raises(UserError, match="no such file"):
        Perceptual(path=tmp_path / "none.pth")


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    path = perceptual(tmp_path)[0].config["path"]
    with pytest.raises(UserError, match="one network"):
        Perceptual()
    with pytest.raises(UserError, match="modules are those of a run"):
        Perceptual(path=Path(path), modules=["encoder"])
    with pytest.raises(UserError, match="no layer 9"):
        Perceptual(path=Path(path), layers=[2, 9])
    with pytest.raises(UserError, match=r"takes images \(n, 3, h, w\)"):
        Perceptual(path=Path(path))(torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8))
    with pytest.raises(UserError, match="differ in shape"):
        Perceptual(path=Path(path))(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 4))


def test_latents_are_drawn_to_mean_0_and_deviation_1() -> None:
    latent = (3 + 0.2 * torch.randn(8, 2, 4, 4)).requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        LatentStandardisation()(latent).backward()
        optimizer.step()
    values = latent.detach().numpy()
    assert np.mean(values) == pytest.approx(0, abs=0.02)
    assert np.std(values) == pytest.approx(1, abs=0.02)
