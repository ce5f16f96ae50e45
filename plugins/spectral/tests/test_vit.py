from __future__ import annotations

import torch
from stem_spectral.vit import Blocks, DropPath


def test_blocks_computed_twice_give_the_same_gradients():
    torch.manual_seed(0)
    kept = Blocks(8, 2, 2, drop_path=0.5)
    again = Blocks(8, 2, 2, drop_path=0.5, checkpoint_blocks=True)
    again.load_state_dict(kept.state_dict())
    x, saved = torch.randn(6, 5, 8), []

    def stored(tensor):
        saved[-1] += tensor.numel()
        return tensor

    for blocks in (kept, again):
        saved.append(0)
        torch.manual_seed(1)  # the branches that are left out must be the same ones when they are computed again
        with torch.autograd.graph.saved_tensors_hooks(stored, lambda tensor: tensor):
            out = blocks(x).square().sum()
        out.backward()
    for (name, a), b in zip(kept.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    assert saved[1] < 0.5 * saved[0]


def test_left_out_branches_keep_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    out = drop(torch.ones(8000, 2, 3))
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert abs(out.mean() - 1) < 5 * (0.25 / 0.75 / 8000) ** 0.5
    x = torch.randn(3, 4)
    assert torch.equal(drop.eval()(x), x)


def test_deeper_blocks_are_left_out_more_often():
    blocks = Blocks(4, 3, 1, drop_path=0.2)
    assert [round(block.drop.chance, 3) for block in blocks.blocks] == [0.0, 0.1, 0.2]
