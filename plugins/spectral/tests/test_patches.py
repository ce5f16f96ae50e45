from __future__ import annotations

import pytest
import torch
from stem_spectral.model_examples import cubes
from stem_spectral.patches import Grid, cube_extent, from_patches, grid_of, over_voxels, to_patches
from torch.nn import functional

from stemcore import DataSpec, FieldSpec, UserError

PATCH = (3, 4, 2)


def test_the_grid_of_the_original_cubes():
    grid = grid_of((30, 500, 500), (5, 25, 25))
    assert grid == Grid(6, 20, 20)
    assert (grid.places, grid.tokens) == (400, 2400)


def test_patches_are_what_a_convolution_with_kernel_as_stride_sees():
    cube = torch.randn(2, 9, 8, 6, dtype=torch.float64)
    weight = torch.randn(5, 1, *PATCH, dtype=torch.float64)
    expected = functional.conv3d(cube[:, None], weight, stride=PATCH).flatten(2).mT
    seen = to_patches(cube, PATCH) @ weight.flatten(1).T
    torch.testing.assert_close(seen, expected)


@pytest.mark.parametrize("extent", [(9, 8, 6), (7, 9, 5), (1, 1, 1)])
def test_there_and_back_also_where_patches_are_not_full(extent):
    cube = torch.randn(2, *extent)
    tokens = to_patches(cube, PATCH)
    assert tokens.shape == (2, grid_of(extent, PATCH).tokens, 24)
    assert torch.equal(from_patches(tokens, PATCH, extent), cube)


def test_what_fills_up_is_zero():
    assert to_patches(torch.ones(1, 7, 9, 5), PATCH).sum() == 7 * 9 * 5


def test_a_value_for_every_voxel_of_a_patch():
    cube = over_voxels(torch.arange(2 * 2 * 3)[None], PATCH, (5, 7, 6))
    band, row, column = 4, 6, 3
    assert cube[0, band, row, column] == (band // 3 * 2 + row // 4) * 3 + column // 2
    assert cube.shape == (1, 5, 7, 6)


def test_cubes_have_one_size():
    assert cube_extent(cubes(4, 5, 6)) == (4, 5, 6)
    varying = DataSpec({"input": FieldSpec("input", (4, None, 6))})
    with pytest.raises(UserError, match="of one size"):
        cube_extent(varying)
    with pytest.raises(UserError, match=r"needs a field 'input'.*the data set has spectrum"):
        cube_extent(DataSpec({"spectrum": FieldSpec("spectrum", (4,))}))
