from __future__ import annotations

import numpy as np
import torch
from stem_paired.quantizer import Quantizer


def quantizer(groups: int = 4, codes: int = 16, dims: int = 3, *, ema: bool = False, decay: float = 0.9) -> Quantizer:
    torch.manual_seed(0)
    return Quantizer(groups, codes, dims, ema=ema, decay=decay)


def nearest(x: np.ndarray, book: np.ndarray) -> np.ndarray:
    parts = x.reshape(len(x), len(book), -1).astype(np.float64)
    distances = ((parts[:, :, None] - book[None]) ** 2).sum(-1)
    return distances.argmin(-1)


def test_codes_are_the_nearest_of_their_group():
    quantize, x = quantizer(), torch.randn(50, 12)
    found, book = quantize(x), quantize.codebook.detach().numpy()
    codes = nearest(x.numpy(), book)
    assert np.array_equal(found.codes, codes)
    assert found.codes.dtype == torch.int64
    expected = np.stack([book[g, codes[:, g]] for g in range(4)], axis=1).reshape(50, 12)
    np.testing.assert_array_equal(found.vectors.detach(), expected)
    torch.testing.assert_close(found.latents, found.vectors)


def test_gradients_go_straight_on_from_latents_and_from_vectors_to_the_codebook():
    quantize, x = quantizer(), torch.randn(8, 12, requires_grad=True)
    found, weights = quantize(x), torch.randn(8, 12)
    (found.latents * weights).sum().backward()
    assert torch.equal(x.grad, weights)
    assert quantize.codebook.grad is None or not quantize.codebook.grad.any()
    x.grad = None
    (quantize(x).vectors * weights).sum().backward()
    expected = np.zeros(quantize.codebook.shape)
    for i, row in enumerate(found.codes):
        for g, code in enumerate(row):
            expected[g, code] += weights[i, 3 * g : 3 * g + 3].numpy()
    np.testing.assert_allclose(quantize.codebook.grad, expected, atol=1e-6)
    assert x.grad is None


def test_entries_follow_the_moving_mean_of_what_they_are_chosen_for():
    quantize, decay = quantizer(2, 4, 3, ema=True), 0.9
    assert not list(quantize.parameters())
    book = quantize.codebook.double().numpy().copy()
    counts, sums = np.ones((2, 4)), book.copy()
    quantize.train()
    for seed in range(5):
        x = torch.randn(20, 6, generator=torch.Generator().manual_seed(seed))
        codes = nearest(x.numpy(), book)
        assert np.array_equal(quantize(x).codes, codes)
        parts = x.numpy().reshape(20, 2, 3)
        for g in range(2):
            for k in range(4):
                chosen = parts[codes[:, g] == k, g]
                counts[g, k] = decay * counts[g, k] + (1 - decay) * len(chosen)
                sums[g, k] = decay * sums[g, k] + (1 - decay) * chosen.sum(0)
        book = sums / counts[..., None]
        np.testing.assert_allclose(quantize.codebook, book, rtol=1e-4, atol=1e-5)


def test_an_entry_that_is_never_chosen_stays():
    quantize = quantizer(1, 2, 2, ema=True, decay=0.1).train()
    quantize.codebook.copy_(torch.tensor([[[0.0, 0.0], [50.0, 50.0]]]))
    quantize.sums.copy_(quantize.codebook)
    for _ in range(30):
        quantize(torch.randn(8, 2))
    torch.testing.assert_close(quantize.codebook[0, 1], torch.tensor([50.0, 50.0]), rtol=1e-3, atol=0)
    assert torch.isfinite(quantize.codebook).all()


def test_in_use_nothing_moves():
    quantize = quantizer(ema=True).eval()
    before = quantize.codebook.clone()
    quantize(torch.randn(9, 12))
    assert torch.equal(quantize.codebook, before)


def test_distances_are_not_rounded_by_autocast():
    quantize, x = quantizer(4, 512, 3), torch.randn(64, 12)
    with torch.autocast("cpu", torch.bfloat16):
        seen = quantize(x).codes
    assert torch.equal(seen, quantize(x).codes)
