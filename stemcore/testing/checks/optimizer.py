"""What an optimizer promises."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from stemcore.plugins.discovery import cause_of
from stemcore.testing.building import parameters
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject

STEPS = 200


def _built(subject: Subject, params: list[torch.nn.Parameter]) -> Optimizer:
    made = subject.build(params)
    ensure(isinstance(made, Optimizer), f"it returned {type(made).__name__}, not a torch.optim.Optimizer")
    return made  # type: ignore[no-any-return]


def height(params: list[torch.nn.Parameter]) -> Tensor:
    """A valley with its bottom at 0.3."""
    return sum(((p - 0.3).square().sum() for p in params), torch.zeros(()))


def go(optimizer: Optimizer, params: list[torch.nn.Parameter], steps: int) -> None:
    """Steps down the valley, as the trainer makes them: without a closure."""
    for _ in range(steps):
        optimizer.zero_grad()
        height(params).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def through_a_file(state: Any) -> Any:
    """A state as a checkpoint gives it back.

    Raises:
        Broken: if it holds what a checkpoint cannot be read with.
    """
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    try:
        return torch.load(file, weights_only=True)
    except Exception as error:
        raise Broken(f"its state has more than tensors and primitive types: {cause_of(error)}") from error


@promise("optimizer")
def check_owns_its_parameters(subject: Subject) -> None:
    """It is a torch optimizer of the parameters that it is given, of all of them and of no others: the rest of a model
    may be frozen, or another optimizer's."""
    params = parameters(subject)
    owned = [id(p) for group in _built(subject, params).param_groups for p in group["params"]]
    given = sorted(map(id, params))
    ensure(sorted(owned) == given, f"it owns {len(owned)} parameters, and was given {len(given)}: not the same ones")


@promise("optimizer")
def check_goes_downhill(subject: Subject) -> None:
    """Its steps, each after one gradient and without a closure, lead down a smooth valley; parameters stay finite."""
    params = parameters(subject)
    optimizer, before = _built(subject, params), height(params).item()
    try:
        go(optimizer, params, STEPS)
    except Exception as error:
        raise Broken(f"a step raised {cause_of(error)}") from error
    after = height(params).item()
    ensure(after < before, f"in {STEPS} steps the loss went from {before:.6g} to {after:.6g}")


@promise("optimizer")
def check_state(subject: Subject) -> None:
    """Its state, written to a checkpoint and read into a new one, makes the steps that would have come: a resumed run
    is the same run."""
    whole, first = parameters(subject), parameters(subject)
    go(_built(subject, whole), whole, 12)
    optimizer = _built(subject, first)
    go(optimizer, first, 5)
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    other = _built(subject, second)
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    go(other, second, 7)
    apart = max(float((a - b).detach().abs().max()) for a, b in zip(whole, second, strict=True))
    ensure(apart == 0, f"resumed after 5 of 12 steps, parameters end {apart:.3g} apart")


@promise("optimizer")
def check_learning_rate(subject: Subject) -> None:
    """Its ``lr`` is the one of its configuration, if it has one, and a scheduler may change it: steps follow what is in
    the parameter groups."""
    if "lr" not in {field.alias for field in subject.schema.model.model_fields.values()}:
        raise NotApplicable("it has no lr")
    params = parameters(subject)
    arguments, _ = subject.schema.validate(subject.config)
    optimizer = _built(subject, params)
    seen = [group.get("lr") for group in optimizer.param_groups]
    ensure(seen == [arguments["lr"]] * len(seen), f"its lr is {arguments['lr']:g}, its parameter groups have {seen}")
    for group in optimizer.param_groups:
        group["lr"] = 0.0 * group["lr"]
    go(optimizer, params, 3)
    moved = max(float((a - b).detach().abs().max()) for a, b in zip(params, parameters(subject), strict=True))
    ensure(moved == 0, f"with a learning rate of 0 in its parameter groups it moved parameters by {moved:.3g}")


@promise("optimizer")
def check_without_gradient(subject: Subject) -> None:
    """A parameter that has no gradient stays as it is: parts of a model may be left out of a step."""
    params = parameters(subject)
    optimizer = _built(subject, params)
    for _ in range(3):
        optimizer.zero_grad()
        (params[0] - 0.3).square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    ensure(torch.equal(params[1], parameters(subject)[1]), "it moved a parameter that had no gradient")
