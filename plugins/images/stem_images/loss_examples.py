"""What the losses of images and classes are checked by: values of NumPy in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from stem_images.class_examples import CLASSES, of_items, of_pixels
from stemcore.testing import LossExample

WEIGHTS = [0.5, 2.0, 1.0, 0.25]


def cross_entropy(folder: Path) -> list[LossExample]:
    """Images and pixels, weighted and smoothed, and a batch in which nothing has a label."""

    def reference(weights: list[float], smoothing: float, logits: np.ndarray, label: np.ndarray) -> float:
        scores = np.log(softmax(np.moveaxis(logits, 1, -1).reshape(-1, CLASSES), 1))
        total = weight = 0.0
        for row, true in zip(scores, label.ravel(), strict=True):
            if true >= 0:
                wanted = (1 - smoothing) * np.eye(CLASSES)[true] + smoothing / CLASSES
                total -= weights[true] * float(wanted @ row)
                weight += weights[true]
        return total / weight

    found = []
    for label, tensors in {"items": of_items(), "pixels": of_pixels()}.items():
        sure = {"logits": 200.0 * np.eye(CLASSES)[np.maximum(tensors["label"].reshape(len(tensors["label"]), -1), 0)]}
        zero = {"logits": np.moveaxis(sure["logits"], -1, 1).reshape(tensors["logits"].shape).astype(np.float32)}
        none = {"nothing has a label": {"label": np.full_like(tensors["label"], -1)}}
        plain = lambda **given: reference([1.0] * CLASSES, 0.0, **given)  # noqa: E731
        found.append(LossExample(label=label, tensors=tensors, zero=zero, edges=none, reference=plain))
        config = {"class_weights": WEIGHTS, "label_smoothing": 0.1}
        weighted = lambda **given: reference(WEIGHTS, 0.1, **given)  # noqa: E731
        found.append(LossExample(label=f"{label}, weighted", config=config, tensors=tensors, reference=weighted))
    return found


def dice(folder: Path) -> list[LossExample]:
    """Pixels with and without the background, and a batch in which nothing has a label."""

    def reference(first: int, smooth: float, logits: np.ndarray, label: np.ndarray) -> float:
        overlaps = []
        for scores, true in zip(logits, label[:, 0], strict=True):
            share = softmax(scores, 0)
            for k in range(first, CLASSES):
                p, g = share[k][true >= 0], (true[true >= 0] == k).astype(float)
                overlaps.append((2 * np.dot(p, g) + smooth) / (p.sum() + g.sum() + smooth))
        return 1 - float(np.mean(overlaps))

    tensors = of_pixels()
    none = {"nothing has a label": {"label": np.full_like(tensors["label"], -1)}}
    return [
        LossExample(
            label="all classes",
            tensors=tensors,
            mean=True,
            edges=none,
            reference=lambda **given: reference(0, 1.0, **given),
        ),
        LossExample(
            label="without the background",
            config={"background": False, "smooth": 0.1},
            tensors=tensors,
            mean=True,
            reference=lambda **given: reference(1, 0.1, **given),
        ),
    ]


def latent_standardisation(folder: Path) -> list[LossExample]:
    """Latent images, all values together and by channel."""
    latent = np.random.default_rng(0).normal(0.4, 1.7, size=(5, 3, 4, 2))
    latent[:, 1] += 2.0
    standard = np.array([-1.0, 1.0]).reshape(1, 1, 1, 2) * np.ones((5, 3, 4, 2))

    def together(latent: np.ndarray) -> float:
        return float(latent.mean() ** 2 + (latent.std() - 1) ** 2)

    def by_channel(latent: np.ndarray) -> float:
        return float(np.mean([together(latent[:, k]) for k in range(latent.shape[1])]))

    return [
        LossExample(
            label=f"by channel: {per_channel}",
            config={"per_channel": per_channel},
            tensors={"latent": latent},
            zero={"latent": standard},
            reference=reference,
        )
        for per_channel, reference in ((False, together), (True, by_channel))
    ]


def perceptual(folder: Path) -> list[LossExample]:
    """A small network with two halvings, and images in colour and in grey."""
    rng = np.random.default_rng(0)
    shapes = {0: (4, 3), 2: (5, 4), 5: (6, 5), 8: (3, 6)}  # as torchvision counts: ReLU and halvings have numbers too
    stored = {}
    for number, shape in shapes.items():
        stored[f"features.{number}.weight"] = torch.from_numpy(rng.normal(0, 0.4, (*shape, 3, 3)).astype(np.float32))
        stored[f"features.{number}.bias"] = torch.from_numpy(rng.normal(0, 0.1, shape[0]).astype(np.float32))
    torch.save(stored, folder / "small.pth")
    weights = {name: tensor.double().numpy() for name, tensor in stored.items()}
    images = rng.uniform(-1, 1, (2, 3, 3, 12, 8)).astype(np.float32)
    found = []
    for label, channels, layers in (("colour", 3, None), ("grey", 1, [1, 4])):
        target, prediction = images[0, :, :channels], images[1, :, :channels]

        def reference(prediction: np.ndarray, target: np.ndarray, layers: list[int] | None = layers) -> float:
            kept = [n - 1 for n in layers or [2, 3]]
            pairs = zip(_features(weights, prediction), _features(weights, target), strict=True)
            return float(np.mean([np.square(a - b).mean() for n, (a, b) in enumerate(pairs) if n in kept]))

        found.append(
            LossExample(
                label=label,
                config={"path": str(folder / "small.pth"), "layers": layers},
                tensors={"prediction": prediction, "target": target},
                zero={"prediction": target},
                mean=True,
                reference=reference,
            )
        )
    return found


def _features(weights: dict[str, np.ndarray], images: np.ndarray) -> list[np.ndarray]:
    """The features (n, c, h, w) behind each convolution of the small network."""
    mean, std = (np.array(x)[:, None, None] for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = ((np.broadcast_to(images, (len(images), 3, *images.shape[2:])) + 1) / 2 - mean) / std
    found = []
    for number in (0, 2, 5, 8):
        if number >= 5:  # a halving, rounded down, before it
            x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
            x = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).max((3, 5))
        windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
        weight, bias = weights[f"features.{number}.weight"], weights[f"features.{number}.bias"]
        x = np.maximum(np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None], 0)
        found.append(x)
    return found


def softmax(logits: np.ndarray, axis: int) -> np.ndarray:
    """Shares that add up to 1 along an axis."""
    raised = np.exp(logits - logits.max(axis, keepdims=True))
    shares: np.ndarray = raised / raised.sum(axis, keepdims=True)
    return shares
