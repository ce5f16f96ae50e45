"""What a backend promises."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators.accelerator import Accelerator
from torch import Tensor, nn

from stemcore.assemble.backend import choose_backend
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.recipe import Component
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject

COMPUTES_IN = {"32": torch.float32, "16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def _available(subject: Subject) -> bool:
    try:
        found = subject.target.available()
    except Exception as error:
        raise Broken(f"available raised {cause_of(error)}") from error
    ensure(isinstance(found, bool), f"available returned {type(found).__name__}, not True or False")
    return bool(found)


def _described(subject: Subject) -> str:
    try:
        found = subject.target.describe()
    except Exception as error:
        raise Broken(f"describe raised {cause_of(error)}") from error
    ensure(isinstance(found, str), f"describe returned {type(found).__name__}, not a text")
    ensure(found.strip() and "\n" not in found, f"describe returned {found!r}, not a line in words")
    return str(found)


@contextmanager
def _fabric(subject: Subject, precision: str = "32") -> Iterator[Fabric]:
    """Fabric on the device, as a run makes it; threads are as many as before afterwards.

    Raises:
        NotApplicable: if the device is not there.
    """
    if not _available(subject):
        raise NotApplicable(f"it is not available here: {_described(subject)}")
    threads = torch.get_num_threads()
    accelerator = subject.build().accelerator()
    ensure(isinstance(accelerator, (str, Accelerator)), f"accelerator returned {type(accelerator).__name__}")
    given: Any = {"32": "32-true"}.get(precision, precision)
    try:
        with _quiet():
            fabric = Fabric(accelerator=accelerator, devices=1, precision=given)
    except Exception as error:
        raise Broken(f"Fabric cannot use {accelerator!r} in precision {precision}: {cause_of(error)}") from error
    try:
        yield fabric
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Fabric says of the precision that it takes: that is looked at here."""
    told = logging.getLogger("lightning_fabric")
    level = told.level
    told.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        told.setLevel(level)


@promise("backend", once=True)
def check_availability(subject: Subject) -> None:
    """``available`` says whether the device is there, always the same, and never raises: every backend is asked on
    every machine, also where its driver is missing or broken."""
    first, second = _available(subject), _available(subject)
    ensure(first == second, f"available returned {first}, then {second}")


@promise("backend", once=True)
def check_description(subject: Subject) -> None:
    """``describe`` says in a line what is there, or why it is not, and never raises: logs, errors and the list of
    backends show it."""
    _described(subject)


@promise("backend", once=True)
def check_attributes(subject: Subject) -> None:
    """``priority`` is a whole number and ``channels_last`` true or false: ``backend: auto`` takes the highest."""
    priority, channels_last = subject.target.priority, subject.target.channels_last
    ensure(type(priority) is int, f"its priority is {priority!r}, not a whole number")
    ensure(isinstance(channels_last, bool), f"its channels_last is {channels_last!r}, not True or False")


@promise("backend", once=True)
def check_builds_by_itself(subject: Subject) -> None:
    """It can be made without any configuration: ``backend: auto`` gives it none."""
    required = [field.alias for field in subject.schema.model.model_fields.values() if field.is_required()]
    ensure(not required, f"it cannot be made without {', '.join(map(str, required))}")
    try:
        subject.target()
    except Exception as error:
        raise Broken(f"made without configuration it raised {cause_of(error)}") from error


@promise("backend")
def check_refusal(subject: Subject) -> None:
    """Where it is not available, a recipe that asks for it is refused in its own words before anything is made of it
    (``UserError`` with what ``describe`` says)."""
    if _available(subject):
        raise NotApplicable("it is available here")
    component = Component("backend", subject.entry, subject.schema, {}, "recipe.yaml:1")
    recipe: Any = SimpleNamespace(backend=component, trainer=SimpleNamespace(precision="32"))
    try:
        choose_backend(recipe)
    except UserError as error:
        said = _described(subject)
        ensure(said in str(error), f"a recipe that asks for it is told '{error}', not '{said}'")
    except Exception as error:
        raise Broken(f"a recipe that asks for it ends in {cause_of(error)}") from error
    else:
        raise Broken("a recipe that asks for it gets it, though it is not available")


@promise("backend")
def check_accelerator(subject: Subject) -> None:
    """``accelerator`` is what Fabric takes for the device: a name that it knows, or an ``Accelerator``; and tensors can
    be put there and brought back."""
    with _fabric(subject) as fabric:
        own = fabric.strategy.accelerator
        devices = own.get_parallel_devices(own.parse_devices(1)) if own is not None else [fabric.device]
        said = devices[0].type
        # Otherwise a run would quietly train on the processor.
        ensure(fabric.device.type == said, f"Fabric takes {fabric.device.type} for it, its accelerator says {said}")
        values = torch.arange(6.0)
        seen = (fabric.to_device(values) + 1).cpu()
        ensure(torch.equal(seen, values + 1), f"on {fabric.device} 0..5 plus 1 is {seen.tolist()}")


@promise("backend")
def check_precisions(subject: Subject) -> None:
    """``precisions`` lists names of ``32``, ``16-mixed`` and ``bf16-mixed``, each once, wherever it runs: a recipe may
    ask for no other."""
    try:
        found = subject.build().precisions()
    except Exception as error:
        raise Broken(f"precisions raised {cause_of(error)}") from error
    ensure(isinstance(found, (tuple, list)) and found, f"precisions returned {found!r}, not names")
    unknown = [name for name in found if name not in COMPUTES_IN]
    ensure(not unknown, f"it lists {unknown}, of which a recipe can ask for none")
    ensure(len(set(found)) == len(found), f"it lists {list(found)}, one of them twice")


@promise("backend")
def check_precisions_are_real(subject: Subject) -> None:
    """In each precision that it lists a matrix product is computed in that type, and right: Fabric quietly takes
    another one where a device does not have it."""
    left, right = torch.linspace(-1, 1, 64).reshape(8, 8), torch.linspace(0, 2, 64).reshape(8, 8)
    for name in subject.build().precisions():
        with _fabric(subject, name) as fabric, fabric.autocast():
            seen = fabric.to_device(left) @ fabric.to_device(right)
        ensure(seen.dtype == COMPUTES_IN.get(name), f"precision {name} computes in {seen.dtype}")
        wrong = float((seen.float().cpu() - left @ right).abs().max())
        ensure(wrong < 0.1, f"in precision {name} a matrix product is wrong by {wrong:.3g}")


@promise("backend")
def check_trains(subject: Subject) -> None:
    """A small network trains on it in every precision that it lists, in the memory format that it prefers."""
    for name in subject.build().precisions():
        with _fabric(subject, name) as fabric:
            before, after, loss = _trained(fabric, channels_last=subject.target.channels_last)
        ensure(torch.isfinite(loss), f"in precision {name} the loss is {float(loss)}")
        ensure(not torch.equal(before, after), f"in precision {name} 3 steps leave the weights as they were")


def _trained(fabric: Fabric, channels_last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Weights before and after 3 steps, and the last loss."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = nn.Conv2d(1, 4, 3)
        network = nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1))
    network.to(memory_format=layout)  # type: ignore[call-overload]
    before = first.weight.detach().clone()
    model, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=0.01))
    images = fabric.to_device(torch.linspace(0, 1, 4 * 64).reshape(4, 1, 8, 8)).contiguous(memory_format=layout)
    for _ in range(3):
        loss: Tensor = (model(images).float() - 1).square().mean()
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    return before, first.weight.detach().cpu(), loss.detach().cpu()
