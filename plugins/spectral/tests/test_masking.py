from __future__ import annotations

from itertools import combinations

import pytest
import torch
from stem_spectral.masking import complementary, fixed_numbers, hidden_count, numbers, shown, unit_count
from stem_spectral.patches import Grid

from stemcore import UserError

ORIGINAL = Grid(6, 20, 20)
SMALL = Grid(5, 3, 4)
STRATEGIES = ["random", "tube", "spectral_block"]


def hidden_of(shown_tokens, grid):
    """Which tokens are hidden, (n, groups, rows, columns)."""
    hidden = torch.ones(len(shown_tokens), grid.tokens, dtype=torch.bool)
    for row, some in zip(hidden, shown_tokens, strict=True):
        assert len(set(some.tolist())) == len(some)
        row[some] = False
    return hidden.reshape(-1, *grid)


def drawn(strategy, grid, ratio, items=50):
    torch.manual_seed(0)
    chosen = numbers(strategy, grid, items, torch.device("cpu"))
    return hidden_of(shown(strategy, grid, hidden_count(strategy, grid, ratio), chosen), grid)


@pytest.mark.parametrize(("strategy", "expected"), [("random", 480), ("tube", 480), ("spectral_block", 400)])
def test_what_is_shown_of_the_original_cubes(strategy, expected):
    hidden = drawn(strategy, ORIGINAL, 0.8, items=3)
    assert ((~hidden).flatten(1).sum(1) == expected).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.75, 0.99])
def test_as_many_are_hidden_of_every_item_and_never_all_or_none(strategy, ratio):
    counts = drawn(strategy, SMALL, ratio).flatten(1).sum(1)
    units = unit_count(strategy, SMALL)
    wanted = units - min(units - 1, max(1, round(units * (1 - ratio))))
    assert (counts == wanted * SMALL.tokens // units).all()
    assert 0 < counts[0] < SMALL.tokens


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_items_have_different_masks(strategy):
    masks = drawn(strategy, SMALL, 0.5).flatten(1)
    assert len(masks.unique(dim=0)) > (8 if strategy == "spectral_block" else 40)


def test_tubes_hide_a_place_in_all_groups():
    hidden = drawn("tube", SMALL, 0.5)
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))


def test_spectral_blocks_are_groups_at_all_places():
    hidden = drawn("spectral_block", SMALL, 0.4, items=400)
    assert torch.equal(hidden, hidden[..., :1, :1].expand_as(hidden))
    groups = {tuple(row.nonzero().flatten().tolist()) for row in hidden[:, :, 0, 0]}
    assert groups == set(combinations(range(5), 2))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fixed_masks_depend_on_the_index_alone(strategy):
    index = torch.tensor([3, 700_000_000_000, 3, 4])
    first = fixed_numbers(strategy, SMALL, index)
    assert torch.equal(first, fixed_numbers(strategy, SMALL, index))
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[3])
    assert not torch.equal(first[1], first[0])
    assert first.min() >= 0
    assert first.max() < 1 << 31


def test_fixed_masks_hide_every_token_as_often_and_independently():
    items = 4000
    chosen = shown("random", SMALL, 30, fixed_numbers("random", SMALL, torch.arange(items)))
    hidden = hidden_of(chosen, SMALL).flatten(1).double()
    assert (hidden.mean(0) - 0.5).abs().max() < 5 * 0.5 / items**0.5
    # A half of 60 tokens without replacement: two of them are correlated by -1/59.
    apart = torch.corrcoef(hidden.T) + 1 / 59
    assert (apart - torch.diag(torch.diag(apart))).abs().max() < 5 / items**0.5
    neighbours = torch.corrcoef(torch.stack([hidden[1:].flatten(), hidden[:-1].flatten()]))[0, 1]
    assert abs(neighbours) < 5 / (items * 60) ** 0.5


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_passes_hide_everything_once_and_as_many_each(strategy, ratio):
    hidden = hidden_count(strategy, SMALL, ratio)
    passes = complementary(strategy, SMALL, hidden, fixed_numbers(strategy, SMALL, torch.arange(2)))
    masks = torch.stack([hidden_of(some, SMALL) for some in passes])
    assert masks.any(0).all()
    units = unit_count(strategy, SMALL)
    assert len(passes) == -(-units // hidden)
    assert (masks.flatten(2).sum(2) == hidden * SMALL.tokens // units).all()


def test_a_single_unit_cannot_be_masked():
    with pytest.raises(UserError, match=r"'spectral_block' can hide nothing of a single unit.*1 x 3 x 4"):
        hidden_count("spectral_block", Grid(1, 3, 4), 0.5)
    assert hidden_count("spectral_block", Grid(1, 3, 4), 0.0) == 0
