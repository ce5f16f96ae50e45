from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from stem_diffusion.controlnet import DiffusionControlnet
from stem_diffusion.examples import points, recipe_of_base, recipe_of_points, steered
from stem_diffusion.fusion import Fusion
from stem_diffusion.samples import Samples
from stem_diffusion.unet import DiffusionUnet

from stemcore import DataSpec, State, UserError, load_run
from stemcore import run as train

MODES = get_args(Fusion)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    steered(folder / "latents.h5")
    return train(recipe_of_base(folder / "latents.h5"), output=folder / "base")


@pytest.fixture(scope="module")
def items(base):
    read = base.items()["train"].read()
    return {name: torch.from_numpy(values[:6]) for name, values in read.items()}


def unet_of(model: DiffusionControlnet) -> DiffusionUnet:
    return model.base.model


@pytest.mark.parametrize("fusion", MODES)
@pytest.mark.parametrize("control", [["label_map"], ["condition", "vector"]])
def test_before_training_it_is_the_base_to_the_bit(base, items, fusion, control) -> None:
    torch.manual_seed(0)
    model = DiffusionControlnet(base.fields, base=base, fusion=fusion, control=control, steps=4).eval()
    plain = base.predictor().model
    t = torch.tensor([0, 3, 7, 11, 15, 19])
    kept = torch.tensor([True, True, False, True, False, True])
    told = {name: items[name] for name in ("label", *control)}
    with torch.no_grad():
        assert torch.equal(
            model.estimated(items["input"], t, told, kept), plain.estimated(items["input"], t, told, kept)
        )
        outputs, its = model(**told, input=items["input"]), plain(input=items["input"], label=items["label"])
    assert all(torch.equal(outputs[name], its[name]) for name in ("estimate", "wanted", "denoised"))
    torch.manual_seed(5)
    mine = model.sample(6, **told)
    torch.manual_seed(5)
    plain.steps = 4
    assert torch.equal(mine, plain.sample(6, label=items["label"]))


@pytest.mark.parametrize("fusion", MODES)
def test_the_copy_learns_once_the_joins_have_left_zero(base, items, fusion) -> None:
    torch.manual_seed(0)
    control = ["label_map", "condition", "vector"]
    model = DiffusionControlnet(base.fields, base=base, fusion=fusion, control=control).train()
    before = {name: p.clone() for name, p in unet_of(model).named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    reached: list[set[str]] = []
    for _ in range(3):
        optimizer.zero_grad()
        outputs = model(**items)
        (outputs["estimate"] - outputs["wanted"]).square().mean().backward()
        optimizer.step()
        reached.append({n for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())})
    joins = {n for n, _ in model.named_parameters() if n.startswith("branch.joins")}
    copied = {n for n, _ in model.named_parameters() if n.startswith("branch.copy") and "norm" not in n}
    assert reached[0] <= joins
    assert {n for n in joins if ".zero.weight" in n} <= reached[0]
    assert copied - reached[1] <= {n for n in copied if n.endswith("bias")}, "zero convolutions let gradients through"
    assert {n for n, _ in model.named_parameters()} - reached[2] <= {n for n in copied if n.endswith("to_k.bias")}
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in unet_of(model).named_parameters())


@pytest.mark.parametrize("fusion", MODES)
def test_features_join_as_the_modes_say(fusion) -> None:
    from stem_diffusion.fusion import Join

    torch.manual_seed(0)
    join = Join(5, fusion).double()
    for parameter in join.parameters():
        torch.nn.init.normal_(parameter)
    f, c = torch.randn(2, 5, 3, 4, dtype=torch.float64), torch.randn(2, 5, 3, 4, dtype=torch.float64)

    def at_each_place(layer: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        weight = layer.weight[:, :, 0, 0]
        return torch.einsum("oi,nihw->nohw", weight, x) + layer.bias.reshape(1, -1, 1, 1)

    both = torch.cat([f, c], 1)
    expected = {
        "add": lambda: at_each_place(join.zero, c),
        "scaled_add": lambda: join.scale * at_each_place(join.zero, c),
        "concat": lambda: at_each_place(join.zero, both),
        "gated": lambda: at_each_place(join.zero, c) / (1 + torch.exp(-at_each_place(join.gate, both))),
        "film": lambda: f * at_each_place(join.gamma, c) + at_each_place(join.zero, c),
    }
    torch.testing.assert_close(join(f, c), expected[fusion]())


def trained(base, items, **config) -> DiffusionControlnet:
    """Some steps that make the control matter."""
    torch.manual_seed(0)
    model = DiffusionControlnet(base.fields, base=base, **config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        outputs = model(**items)
        (outputs["estimate"] - outputs["wanted"]).square().mean().backward()
        optimizer.step()
    return model.eval()


def test_control_matters_after_training_by_its_scale_and_where_it_is_kept(base, items) -> None:
    model = trained(base, items)
    x, t, kept = items["input"], torch.full((6,), 10), torch.arange(6) % 2 == 0
    told = {"label": items["label"], "label_map": items["label_map"]}
    other = {**told, "label_map": 1 - items["label_map"]}
    with torch.no_grad():
        plain = unet_of(model).estimated(x, t, {"label": items["label"]}, kept)
        steered, opposite = model.estimated(x, t, told, kept), model.estimated(x, t, other, kept)
        assert torch.equal(steered[~kept], plain[~kept]), "where it is hidden, the base speaks"
        assert ((steered - opposite)[kept].abs().flatten(1).max(dim=1).values > 1e-3).all()
        model.control_scale = 0.0
        assert torch.equal(model.estimated(x, t, told, kept), plain)
        assert torch.equal(model.estimated(x, t, {"label": items["label"]}, kept), plain), "no control, the base"


def test_places_of_no_class_say_nothing(base) -> None:
    model = DiffusionControlnet(base.fields, base=base)
    label_map = torch.tensor([[0, 1, -1]]).reshape(1, 1, 1, 3)
    planes = model.branch.hints._planes(label_map)
    assert planes[0, :, 0].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_only_the_branch_is_in_the_checkpoint_and_a_run_is_read_back(base, items, tmp_path) -> None:
    recipe = recipe_of_base(base.recipe.data.train.arguments["path"])
    recipe["model"] = {"type": "diffusion_controlnet", "base": str(base.directory), "hint_channels": 4}
    run = train(recipe, output=tmp_path / "control")
    assert {n.split(".")[0] for n in torch.load(run.checkpoint, weights_only=True)["weights"]} == {"model"}
    names = [n for n in torch.load(run.checkpoint, weights_only=True)["weights"] if not n.startswith("model.branch.")]
    assert names == []
    conditions = {"label": items["label"].numpy(), "label_map": items["label_map"].numpy()}
    first = load_run(run.directory).sample(6, seed=1, conditions=conditions)["input"]
    again = load_run(run.directory, ["model.guidance=1"]).sample(6, seed=1, conditions=conditions)["input"]
    assert (first == again).all()
    unsteered = load_run(run.directory, ["model.control_scale=0"]).sample(6, seed=1, conditions=conditions)["input"]
    assert (first != unsteered).any()


def test_what_does_not_fit_is_refused(base, tmp_path) -> None:
    fields = base.fields
    without = DataSpec({n: f for n, f in fields.items() if n in ("input", "label")})
    with pytest.raises(UserError, match="nothing that could steer"):
        DiffusionControlnet(without, base=base)
    with pytest.raises(UserError, match="no field 'vector'"):
        DiffusionControlnet(without, base=base, control=["vector"])
    with pytest.raises(UserError, match=r"trained on items \(2, 6, 6\), here they are \(2, 8, 8\)"):
        DiffusionControlnet(fields.replacing(replace(fields["input"], shape=(2, 8, 8))), base=base)
    with pytest.raises(UserError, match="latents of another encoder"):
        DiffusionControlnet(fields.replacing(replace(fields["input"], source="f" * 64)), base=base)
    with pytest.raises(UserError, match=r"here they are times 2\.0; set data\.train\.scale_factor=\d"):
        DiffusionControlnet(fields.replacing(replace(fields["input"], scale=2.0)), base=base)
    with pytest.raises(UserError, match="items of another scale"):
        DiffusionControlnet(fields.replacing(replace(fields["input"], offset=0.5)), base=base)
    with pytest.raises(UserError, match="to it the classes of 'label' are a, b, here they are b, a; name them alike"):
        DiffusionControlnet(fields.replacing(replace(fields["label"], classes=("b", "a"))), base=base)
    with pytest.raises(UserError, match="do not name the classes of 'label_map'"):
        DiffusionControlnet(fields.replacing(replace(fields["label_map"], classes=())), base=base)
    points(tmp_path / "points.h5")
    other = train(recipe_of_points(tmp_path / "points.h5"), output=tmp_path / "other")
    with pytest.raises(UserError, match="diffusion_mlp, not diffusion_unet"):
        DiffusionControlnet(fields, base=other)


def test_samples_while_training_are_told_what_held_out_items_have(base, tmp_path) -> None:
    recipe = recipe_of_base(base.recipe.data.train.arguments["path"])
    recipe["model"] = {"type": "diffusion_controlnet", "base": str(base.directory), "hint_channels": 4, "steps": 2}
    told = {"n": 8, "conditions_from": "val", "conditions": {"label": [1]}}
    run = train({**recipe, "callbacks": {"samples": told}}, output=tmp_path / "run")
    assert [path.name for path in (run.directory / "figures").iterdir()] == ["samples_epoch001.png"]
    callback = Samples(**told)
    items = run.items()["val"].read()
    state = Kept(run.predictor().model, tmp_path, 1, 1)
    state.given = [{name: torch.from_numpy(v[a : a + 4]) for name, v in items.items()} for a in (0, 4)]
    callback.on_fit_start(state)
    assert callback._told["label"].tolist() == [1] * 8
    np.testing.assert_array_equal(callback._told["label_map"], items["label_map"][[0, 1, 2, 3, 4, 5, 0, 1]])
    for given, says in (([], "no items of 'val'"), ([{"input": torch.zeros(1)}], "have no conditions")):
        state.given = given
        with pytest.raises(UserError, match=says):
            callback.on_fit_start(state)


class Kept(State):
    """With items that are there."""

    given: list[dict[str, torch.Tensor]]

    def items(self, part: str = "train"):
        return iter(self.given)


def test_what_the_base_was_told_and_the_data_lack_stays_hidden(base, items) -> None:
    fields = DataSpec({n: f for n, f in base.fields.items() if n != "label"})
    model = DiffusionControlnet(fields, base=base, control=["label_map"], steps=2).eval()
    assert model.condition_names == ("label_map",)
    assert model.sample(6, label_map=items["label_map"]).shape == (6, 2, 6, 6)
    with pytest.raises(UserError, match="knows no condition 'label'; its conditions are: label_map"):
        model.sample(6, label=items["label"])
