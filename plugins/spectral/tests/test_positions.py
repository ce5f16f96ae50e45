from __future__ import annotations

import numpy as np
import pytest
import torch
from stem_spectral.patches import Grid
from stem_spectral.positions import SeparablePositions, resampled

from stemcore import UserError
from stemcore.trainer.checkpoint import load_weights

OWN = Grid(3, 4, 5)


def test_a_position_is_that_of_its_place_plus_that_of_its_group():
    positions = SeparablePositions(OWN, 7)
    group, row, column = 2, 1, 3
    seen = positions(OWN)[(group * 4 + row) * 5 + column]
    torch.testing.assert_close(seen, positions.spatial[row * 5 + column] + positions.spectral[group])
    assert sum(p.numel() for p in positions.parameters()) == (20 + 3) * 7


@pytest.mark.parametrize("width", [2, 7, 8])
def test_all_positions_differ_at_first(width):
    places = SeparablePositions(Grid(1, 4, 5), width).spatial.detach()
    assert torch.pdist(places).min() > 0.05
    assert places.abs().max() <= 1


def test_first_positions_are_sines_and_cosines():
    spectral = SeparablePositions(OWN, 4).spectral
    k = torch.arange(3.0)
    columns = [k.sin(), (k * 0.01).sin(), k.cos(), (k * 0.01).cos()]
    torch.testing.assert_close(spectral.detach(), torch.stack(columns, dim=1))


def test_other_grids_are_interpolated_cubically_over_places_and_linearly_over_groups():
    spatial, spectral = torch.randn(8 * 6, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    places, groups = resampled(spatial, spectral, Grid(4, 8, 6), Grid(7, 16, 9))
    table = spatial.numpy().reshape(8, 6, 2)
    expected = np.einsum("ar,bc,rcw->abw", cubic(8, 16), cubic(6, 9), table)
    np.testing.assert_allclose(places.numpy().reshape(16, 9, 2), expected, atol=1e-12)
    centres = (np.arange(7) + 0.5) * 4 / 7 - 0.5
    for column, values in zip(groups.numpy().T, spectral.numpy().T, strict=True):
        np.testing.assert_allclose(column, np.interp(centres, np.arange(4), values), atol=1e-12)


def cubic(own, wanted):
    """Weights (wanted, own) of cubic convolution with a = -3/4 (Keys 1981), the edge continued."""
    weights = np.zeros((wanted, own))
    for i, centre in enumerate((np.arange(wanted) + 0.5) * own / wanted - 0.5):
        for k in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            d, a = abs(centre - k), -0.75
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            weights[i, min(max(k, 0), own - 1)] += near if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)
    return weights


def test_tables_of_another_grid_are_interpolated_when_they_are_loaded():
    given, own = SeparablePositions(Grid(2, 8, 3), 6), SeparablePositions(OWN, 6)
    torch.nn.init.normal_(given.spatial)
    weights = {f"model.{name}": value for name, value in given.state_dict().items()}
    load_weights(weights, "model.", own, "last.ckpt")
    torch.testing.assert_close(own(OWN), given(OWN))
    assert own.grid.tolist() == list(OWN)
    assert weights["model.spatial"].shape == (24, 6)


def test_tables_of_the_same_number_of_places_are_not_taken_for_the_same_grid():
    given, own = SeparablePositions(Grid(3, 5, 4), 6), SeparablePositions(OWN, 6)
    own.load_state_dict(given.state_dict())
    torch.testing.assert_close(own(OWN), given(OWN))
    assert not torch.equal(own.spatial, given.spatial)


def test_tables_of_another_width_are_refused():
    weights = {f"model.{name}": value for name, value in SeparablePositions(OWN, 8).state_dict().items()}
    with pytest.raises(UserError, match=r"'spatial' is \(20, 8\), here \(20, 6\)"):
        load_weights(weights, "model.", SeparablePositions(OWN, 6), "last.ckpt")
    with pytest.raises(RuntimeError, match="size mismatch"):
        SeparablePositions(OWN, 6).load_state_dict(SeparablePositions(OWN, 8).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        SeparablePositions(OWN, 6).load_state_dict({})
