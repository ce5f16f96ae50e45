from __future__ import annotations

import inspect

import pytest
import torch
from stem_optimization import optimizers
from stem_optimization.plugin import stem_defaults, stem_optimizers

from stemcore import UserError
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema


def installed():
    """The optimizers that this PyTorch exports, by class name."""
    found = (getattr(torch.optim, name) for name in dir(torch.optim))
    classes = {c for c in found if isinstance(c, type) and issubclass(c, torch.optim.Optimizer)}
    return {c.__name__ for c in classes} - {"Optimizer"}


def schema(name):
    return Schema(getattr(optimizers, name), KINDS["optimizer"], name)


def parameters(*shapes):
    return [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]


AVAILABLE = [name for name, cls in optimizers.CLASSES.items() if cls in installed()]


def test_every_optimizer_of_this_pytorch_is_offered():
    assert installed() <= set(optimizers.CLASSES.values()) | {"LBFGS"}


def test_hook_and_module_name_the_same():
    offered = stem_optimizers()
    assert set(offered) == set(optimizers.CLASSES)
    assert all(target == f"stem_optimization.optimizers:{name}" for name, target in offered.items())
    assert stem_defaults()["optimizer"]["type"] in offered


@pytest.mark.parametrize("name", AVAILABLE)
def test_defaults_are_those_of_pytorch(name):
    cls = getattr(torch.optim, optimizers.CLASSES[name])
    arguments, problems = schema(name).validate({})
    assert not problems
    theirs = inspect.signature(cls).parameters
    for key, value in arguments.items():
        assert theirs[key].default == value
    assert set(theirs) - set(arguments) <= {"params"} | optimizers.LEFT_OUT


@pytest.mark.parametrize("name", AVAILABLE)
def test_one_step_is_that_of_pytorch(name):
    torch.manual_seed(0)
    start, gradient = torch.randn(3, 4), torch.randn(3, 4)

    def stepped(make):
        p = torch.nn.Parameter(start.clone())
        p.grad = gradient.to_sparse() if name == "sparse_adam" else gradient.clone()
        make([p]).step()
        return p.detach()

    ours = stepped(lambda params: schema(name).build(params, lr=0.05))
    theirs = stepped(lambda params: getattr(torch.optim, optimizers.CLASSES[name])(params, lr=0.05))
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, start)


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_parameter_is_described_and_in_the_json_schema(name):
    properties = schema(name).model.model_json_schema()["properties"]
    assert all(entry.get("description") for entry in properties.values())
    assert properties["lr"]["exclusiveMinimum"] == 0


@pytest.mark.parametrize(
    ("name", "config", "key"),
    [
        ("adam", {"lr": 0}, "lr"),
        ("adam", {"lr": "1e-3"}, "lr"),
        ("adam", {"amsgrad": 1}, "amsgrad"),
        ("adam", {"betas": [0.9]}, "betas"),
        ("adam", {"maximize": True}, "maximize"),
        ("sgd", {"momentum": -0.1}, "momentum"),
        ("adamw", {"weight_decay": -1.0}, "weight_decay"),
        ("adam", {"capturable": True}, "capturable"),
    ],
)
def test_wrong_configuration(name, config, key):
    _, problems = schema(name).validate(config)
    assert problems
    assert all(place[0] == key for place, _ in problems)


def test_a_list_serves_for_a_tuple():
    arguments, problems = schema("adam").validate({"betas": [0.5, 0.9], "lr": 1})
    assert not problems
    made = optimizers.adam(parameters(2), **arguments)
    assert made.defaults["betas"] == (0.5, 0.9)
    assert made.defaults["lr"] == 1.0


def test_parameter_groups_pass_through():
    first, second = parameters(2, 3)
    made = optimizers.sgd([{"params": [first]}, {"params": [second], "lr": 0.5}], lr=0.1)
    assert [group["lr"] for group in made.param_groups] == [0.1, 0.5]


def test_what_only_pytorch_knows_is_a_user_error():
    with pytest.raises(UserError, match=r"optimizer 'sgd'.*[Nn]esterov"):
        optimizers.sgd(parameters(2), lr=0.1, nesterov=True)
    with pytest.raises(UserError, match="optimizer 'adam'"):
        optimizers.adam(parameters(2), betas=(1.5, 0.9))


def test_an_optimizer_that_this_pytorch_lacks_says_so(monkeypatch):
    monkeypatch.setitem(optimizers.CLASSES, "newer", "OptimizerOfTomorrow")
    with pytest.raises(UserError, match="has no OptimizerOfTomorrow"):
        getattr(optimizers, "newer")  # noqa: B009 - made on first use
    with pytest.raises(AttributeError):
        getattr(optimizers, "lbfgs")  # noqa: B009
