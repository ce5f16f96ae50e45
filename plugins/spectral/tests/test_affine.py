from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from stem_spectral.affine import Affine
from stem_spectral.data_examples import mixed

from stemcore import DataSpec, FieldSpec, UserError

SHAPE = (4, 15, 20)
CUBE = FieldSpec("input", SHAPE)
MASK = FieldSpec("mask", SHAPE, "bool", like="input")
LABELS = FieldSpec("label_map", (1, 15, 20), "int64", like="input", classes=("a", "b", "c"))
PICTURE = FieldSpec("rgb", (3, 15, 20), "uint8", like="input", scale=1 / 255)
SETTINGS = {"degrees": 40.0, "translate": 0.2, "scale": (0.7, 1.6)}
ITEMS = 5


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cubes() -> torch.Tensor:
    return torch.from_numpy(np.stack([mixed(*SHAPE, start=k) for k in range(ITEMS)])).double()


def labels() -> torch.Tensor:
    row, column = np.indices(SHAPE[1:])
    return torch.from_numpy(np.stack([(row + column + k) // 5 % 3 for k in range(ITEMS)])[:, None])


def inverse_maps(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Matrix and offset, in (row, column), that scipy takes output places to input places by, from the definition."""
    drawn = torch.rand(ITEMS, 5, generator=generator(seed)).double().numpy()
    middle = (np.array(SHAPE[1:]) - 1) / 2
    found = []
    for angle, size, right, down, _ in drawn:
        turn = (2 * angle - 1) * np.deg2rad(SETTINGS["degrees"])
        factor = 0.7 * (1.6 / 0.7) ** size
        shift = np.array([2 * down - 1, 2 * right - 1]) * 0.2 * np.array(SHAPE[1:])
        # A counter-clockwise turn where rows count downwards, in (row, column).
        forward = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        back = np.linalg.inv(forward)
        found.append((back, middle - back @ (middle + shift)))
    return found


def warped(x: torch.Tensor, seed: int, order: int, mode: str, cval: float = 0.0) -> np.ndarray:
    maps = inverse_maps(seed)
    return np.stack(
        [
            np.stack([scipy.ndimage.affine_transform(b, m, o, order=order, mode=mode, cval=cval) for b in item])
            for item, (m, o) in zip(x.numpy(), maps, strict=True)
        ]
    )


def test_cubes_and_pictures_move_as_scipy_moves_them() -> None:
    spec = DataSpec({"input": CUBE, "rgb": PICTURE})
    batch = {"input": cubes(), "rgb": cubes()[:, :3]}
    for seed in range(3):
        out = Affine(spec, **SETTINGS)(batch, generator(seed))
        np.testing.assert_allclose(out["input"].numpy(), warped(cubes(), seed, 1, "mirror"), atol=1e-12)
        assert torch.equal(out["rgb"], out["input"][:, :3])


def test_labels_and_masks_are_the_nearest_and_nothing_comes_from_outside() -> None:
    spec = DataSpec({"input": CUBE, "mask": MASK, "label_map": LABELS})
    batch = {"input": cubes(), "mask": torch.ones(ITEMS, *SHAPE, dtype=torch.bool), "label_map": labels()}
    out = Affine(spec, **SETTINGS)(batch, generator())
    # scipy's constant mode ends at the middles of the outermost pixels; a frame of half a pixel more is theirs.
    padded = np.pad(labels().numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-1)
    maps = [(m, o + 2) for m, o in inverse_maps(3)]
    expected = np.stack(
        [
            scipy.ndimage.affine_transform(i[0], m, o, SHAPE[1:], order=0, mode="constant", cval=-1)
            for i, (m, o) in zip(padded, maps, strict=True)
        ]
    )
    assert np.array_equal(out["label_map"].numpy()[:, 0], expected)
    assert out["label_map"].dtype == torch.int64
    assert 0 < (expected < 0).mean() < 0.6
    assert torch.equal(out["mask"], torch.from_numpy(expected >= 0)[:, None].expand(ITEMS, *SHAPE))
    inside = scipy.ndimage.binary_erosion(expected >= 0, np.ones((1, 3, 3)))[:, None] & np.ones(
        (1, SHAPE[0], 1, 1), bool
    )
    np.testing.assert_allclose(out["input"].numpy()[inside], warped(cubes(), 3, 1, "mirror")[inside], atol=1e-12)
    assert (out["input"][~out["mask"]] == 0).all()


def test_values_that_do_not_count_take_no_part() -> None:
    spec = DataSpec({"input": CUBE, "mask": MASK})
    counts = torch.rand(ITEMS, *SHAPE, generator=generator(1)) > 0.3
    flat = torch.where(counts, 0.25, 1e6).double()
    out = Affine(spec, **SETTINGS)({"input": flat, "mask": counts}, generator())
    kept = out["input"][out["mask"]]
    assert 0.2 < float(out["mask"].float().mean()) < 0.8
    torch.testing.assert_close(kept, torch.full_like(kept, 0.25))


def test_a_quarter_turn_of_a_square_is_exact_and_counter_clockwise() -> None:
    square = FieldSpec("input", (2, 9, 9))
    affine = Affine(DataSpec({"input": square}), degrees=90)
    x = torch.rand(4, 2, 9, 9, dtype=torch.float64)
    drawn = torch.full((4, 5), 0.5)
    drawn[:, 0] = torch.tensor([1.0, 0.5, 0.0, 1.0])
    turned = affine._moved("input", x, None, drawn)
    for item, turns in zip(range(4), (1, 0, -1, 1), strict=True):
        torch.testing.assert_close(turned[item], x[item].rot90(turns, (-2, -1)), atol=1e-12, rtol=0)


def test_items_are_moved_by_chance() -> None:
    spec = DataSpec({"input": CUBE})
    x = cubes()[:1].expand(300, *SHAPE)
    out = Affine(spec, degrees=40, p=0.25)({"input": x}, generator())["input"]
    share = float((out != x).flatten(1).any(dim=1).double().mean())
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 300)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "nothing would move"),
        ({"degrees": 5.0, "scale": (1.2, 0.8)}, "swapped"),
        ({"degrees": 5.0, "fields": ("input", "depth")}, "no field 'depth'"),
        ({"degrees": 5.0, "fields": ("wavelengths",)}, "has no pixels"),
    ],
)
def test_what_cannot_be_done_is_refused(settings: dict, said: str) -> None:
    spec = DataSpec({"input": CUBE, "wavelengths": FieldSpec("wavelengths", (4,))})
    with pytest.raises(UserError, match=said):
        Affine(spec, **settings)
