import numpy as np
import pytest
import torch
from stem_transforms.geometric_augmentations import Flip, Rotate90

from stemcore import DataSpec, FieldSpec, UserError


def spec(h=6, w=6, **more):
    return DataSpec(
        {
            "input": FieldSpec("input", (1, h, w), "uint16", "counts", minimum=0),
            "mask": FieldSpec("mask", (1, h, w), "bool", like="input"),
            "labels": FieldSpec("labels", (h, w), "int64", like="input"),
            "dose": FieldSpec("dose", (), "float32"),
            **more,
        }
    )


def batch(n=64, h=6, w=6):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.permutation(h * w).astype(np.float32)).reshape(1, 1, h, w) + torch.zeros(n, 1, 1, 1)
    return {"input": x, "mask": x % 3 > 0, "labels": x[:, 0].long()}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def versions(images, candidates):
    """For each item, which of the candidate arrays it equals."""
    found = [[i for i, c in enumerate(candidates) if np.array_equal(x, c)] for x in images]
    assert all(len(f) == 1 for f in found)
    return np.array(found)[:, 0]


def flips(x):
    return [x, x[..., ::-1], x[..., ::-1, :], x[..., ::-1, ::-1]]


def check_together(out, one, make):
    """All fields of each item went the same way, and kept their dtype; returns which way."""
    which = versions(out["input"].numpy(), make(one["input"][0].numpy()))
    for name in ("mask", "labels"):
        assert out[name].dtype == one[name].dtype
        np.testing.assert_array_equal(versions(out["labels"].numpy(), make(one["labels"][0].numpy())), which)
        expected = np.stack([make(one[name][0].numpy())[i] for i in which])
        np.testing.assert_array_equal(out[name].numpy(), expected)
    return which


@pytest.mark.parametrize(("h", "w"), [(6, 6), (4, 7)])
def test_flip_mirrors_all_fields_of_an_item_alike(h, w):
    one = batch(400, h, w)
    out = Flip(spec(h, w))(one, generator())
    which = check_together(out, one, flips)
    counts = np.bincount(which, minlength=4)
    assert ((counts > 65) & (counts < 135)).all()  # 100 each; five standard deviations


@pytest.mark.parametrize(("horizontal", "vertical"), [(True, False), (False, True)])
def test_flip_of_one_axis_with_its_chance(horizontal, vertical):
    one = batch(1000)
    out = Flip(spec(), horizontal=horizontal, vertical=vertical, p=0.2)(one, generator())
    which = check_together(out, one, flips)
    assert set(which) == {0, 1 if horizontal else 2}
    assert abs((which > 0).mean() - 0.2) < 0.064
    sure = Flip(spec(), horizontal=horizontal, vertical=vertical, p=1.0)(one, generator())
    assert set(check_together(sure, one, flips)) == {1 if horizontal else 2}
    never = Flip(spec(), p=0.0)(one, generator())
    assert torch.equal(never["input"], one["input"])


def test_rotate90_turns_as_numpy_does():
    one = batch(400)
    out = Rotate90(spec())(one, generator())
    which = check_together(out, one, lambda x: [np.rot90(x, k, axes=(-2, -1)) for k in range(4)])
    counts = np.bincount(which, minlength=4)
    assert ((counts > 65) & (counts < 135)).all()


def test_rotate90_of_rectangles_is_by_half_turns():
    one = batch(400, 4, 7)
    out = Rotate90(spec(4, 7))(one, generator())
    which = check_together(out, one, lambda x: [x, np.rot90(x, 2, axes=(-2, -1))])
    assert 150 < which.sum() < 250


@pytest.mark.parametrize("kind", [Flip, Rotate90])
def test_randomness_is_the_generators_alone(kind):
    one = batch()
    before = torch.random.get_rng_state()
    first, second, other = (kind(spec())(one, generator(s))["input"] for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one["input"], batch()["input"])


@pytest.mark.parametrize("kind", [Flip, Rotate90])
def test_batches_of_one_other_fields_and_absent_fields(kind):
    one = {"input": batch(1)["input"], "dose": torch.ones(1)}
    out = kind(spec())(one, generator())
    assert out["input"].shape == (1, 1, 6, 6)
    assert out["dose"] is one["dose"]
    assert kind(spec(), fields=("mask",))(one, generator())["input"] is one["input"]


@pytest.mark.parametrize("kind", [Flip, Rotate90])
def test_default_fields_are_the_input_and_what_is_like_it(kind):
    assert kind(spec()).fields == ("input", "mask", "labels")
    assert kind.kind == "geometric"
    with pytest.raises(UserError, match=r"no field 'masks'; set fields to some of input, mask"):
        kind(spec(), fields=("input", "masks"))
    with pytest.raises(UserError, match="needs images"):
        kind(spec(), fields=("input", "dose"))


def test_flip_of_nothing_is_refused():
    with pytest.raises(UserError, match="neither horizontal nor vertical"):
        Flip(spec(), horizontal=False, vertical=False)
