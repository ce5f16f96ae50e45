"""What a model promises."""

from __future__ import annotations

import io
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from stemcore.component.fields import FieldSpec
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.examples import ModelExample
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.randomness import without_global_randomness
from stemcore.testing.standard import image_spec
from stemcore.testing.subject import Subject
from stemcore.testing.trial_model import Outputs, TrialModel, build, near, objective, trials


def _declared(trial: TrialModel, outputs: Outputs, items: int) -> None:
    """Outputs are those that are declared, in the shapes that are declared."""
    declared = trial.provides()
    missing, extra = sorted(set(declared) - set(outputs)), sorted(set(outputs) - set(declared))
    ensure(not missing, f"it declares {', '.join(missing)} and does not return it")
    ensure(not extra, f"it returns {', '.join(extra)} and does not declare it")
    for name, spec in declared.items():
        ensure(isinstance(spec, FieldSpec), f"it declares '{name}' by {spec!r}, not by a FieldSpec")
        shape = tuple(outputs[name].shape)
        fits = len(shape) == len(spec.shape) + 1 and shape[0] == items
        fits = fits and all(w in (None, s) for w, s in zip(spec.shape, shape[1:], strict=True))
        ensure(fits, f"it declares '{name}' of shape {spec.shape} and returns {shape} for {items} items")
        ensure(
            spec.like is None or spec.like in trial.spec,
            f"'{name}' is like '{spec.like}', which is no field of its spec",
        )


def _finite(outputs: Outputs, at: str) -> None:
    for name, value in outputs.items():
        ensure(not value.is_floating_point() or torch.isfinite(value).all(), f"'{name}' is not finite for {at}")


@promise("model")
def check_outputs(subject: Subject) -> None:
    """It returns what ``provides`` declares, in the shapes that are declared, for fields of different sizes: losses and
    metrics are wired by that declaration."""
    for trial in trials(subject):
        outputs = trial.applied()(trial.fields())
        _declared(trial, outputs, trial.items)
        _finite(outputs, f"fields of shape {trial.spec[trial.names[0]].shape if trial.names else ()}")


@promise("model")
def check_builds_without_data(subject: Subject) -> None:
    """It is built and run on tensors that have no values: ``stem validate`` checks names and shapes so, before any data
    are read."""
    trial = TrialModel(subject)
    try:
        with torch.device("meta"):
            skeleton = build(subject, trial.spec)
        outputs = skeleton(**{name: value.to("meta") for name, value in trial.fields().items()})
    except (Broken, NotApplicable):
        raise
    except Exception as error:
        raise Broken(f"on tensors without values it raised {cause_of(error)}") from error
    _declared(trial, dict(outputs), trial.items)


@promise("model")
def check_batch_of_one(subject: Subject) -> None:
    """A batch of one item works in training and in use: the last batch of a data set may be that small."""
    trial = TrialModel(subject)
    fields = trial.fields(1)
    for mode in (trial.applied, trial.trained):
        try:
            outputs = mode()(fields)
        except (Broken, NotApplicable):
            raise
        except Exception as error:
            training = " in training" if trial.model.training else ""
            raise Broken(f"a batch of one item{training} raised {cause_of(error)}") from error
        _declared(trial, outputs, 1)
        _finite(outputs, "a batch of one item")


@promise("model")
def check_odd_sizes(subject: Subject) -> None:
    """A size that does not divide well works too, or is refused by a ``UserError`` when the model is built: not in the
    middle of a run."""
    example = subject.promised(ModelExample)
    odd = example.odd or (None if example.specs else image_spec(17, 13))
    if odd is None:
        raise NotApplicable("its example gives no odd size")
    try:
        trial = TrialModel(subject, odd)
    except (Broken, NotApplicable) as error:
        if isinstance(error.__cause__, UserError) or isinstance(getattr(error.__cause__, "__cause__", None), UserError):
            return
        raise
    try:
        _declared(trial, trial.applied()(trial.fields()), trial.items)
    except Broken:
        raise
    except Exception as error:
        raise Broken(
            f"it was built for {odd['input'].shape if 'input' in odd else odd} and raised {cause_of(error)}"
        ) from error


@promise("model")
def check_gradients(subject: Subject) -> None:
    """A gradient of its outputs reaches every trainable parameter, but for those that its example declares unused: what
    no gradient reaches does not learn, and holds up training on several devices."""
    trial = TrialModel(subject)
    unused = trial.example.unused
    named = {name: p for name, p in trial.model.named_parameters() if p.requires_grad}
    ensure(named, "it has no trainable parameters")
    objective(trial.trained()(trial.fields())).backward()  # type: ignore[no-untyped-call]
    lost = [n for n, p in named.items() if p.grad is None and not any(fnmatchcase(n, u) for u in unused)]
    ensure(not lost, f"no gradient reaches {', '.join(lost[:5])}" + (" and others" if len(lost) > 5 else ""))
    for name, parameter in named.items():
        ensure(parameter.grad is None or torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite")
    for pattern in unused:
        matched = [parameter for name, parameter in named.items() if fnmatchcase(name, pattern)]
        ensure(matched, f"no parameter is called '{pattern}', which its example declares unused")
        ensure(
            all(p.grad is None for p in matched), f"a gradient reaches '{pattern}', which its example declares unused"
        )


@promise("model")
def check_deterministic_in_use(subject: Subject) -> None:
    """In use (``eval``) the same items give the same outputs, whatever the random numbers: latents are written once and
    compared for years."""
    trial = TrialModel(subject).applied()
    fields = trial.fields()
    with torch.no_grad():
        differs = near(trial(fields, seed=1), trial(fields, seed=2), 0.0)
    ensure(not differs, f"called twice: {differs}")


@promise("model")
def check_items_by_themselves(subject: Subject) -> None:
    """In use an item's outputs do not depend on the items beside it: neither on the batch size nor on the order of the
    scan."""
    trial = TrialModel(subject).applied()
    fields = trial.fields()
    with torch.no_grad():
        whole = trial(fields)
        for i in range(trial.items):
            alone = trial({name: value[i : i + 1] for name, value in fields.items()})
            differs = near({n: v[i : i + 1] for n, v in whole.items()}, alone, 1e-3)
            ensure(not differs, f"item {i} by itself: {differs}")


@promise("model")
def check_state_dict(subject: Subject) -> None:
    """Its state, written to a checkpoint and read into a new model, gives the same outputs."""
    trial, other = TrialModel(subject).applied(), TrialModel(subject, seed=1).applied()
    file = io.BytesIO()
    torch.save(trial.model.state_dict(), file)
    file.seek(0)
    try:
        other.model.load_state_dict(torch.load(file, weights_only=True))
    except Exception as error:
        raise Broken(f"its state cannot be read into a new model: {cause_of(error)}") from error
    fields = trial.fields()
    with torch.no_grad():
        differs = near(trial(fields), other(fields), 0.0)
    ensure(not differs, f"with the same state: {differs}")


@promise("model")
def check_first_weights(subject: Subject) -> None:
    """First weights are finite, in float32, and come from torch's random numbers alone: a seed repeats a run."""
    first, again, other = (TrialModel(subject, seed=seed).model for seed in (3, 3, 4))
    for name, value in first.state_dict().items():
        ensure(torch.equal(value, again.state_dict()[name]), f"{name} is another with the same seed")
        ensure(not value.is_floating_point() or torch.isfinite(value).all(), f"{name} is not finite")
    odd = {str(p.dtype) for p in first.parameters()} - {"torch.float32"}
    ensure(not odd, f"it has parameters of {', '.join(sorted(odd))}, not float32")
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    ensure(any(not torch.equal(a, b) for a, b in pairs), "its weights are the same for another seed")


@promise("model")
def check_no_global_randomness(subject: Subject) -> None:
    """Random numbers are drawn by torch alone, the state of which is saved: those of NumPy or Python would make another
    run of a resumed one."""

    def once() -> None:
        trial = TrialModel(subject).trained()
        trial(trial.fields())

    without_global_randomness(once)


@promise("model")
def check_moves_whole(subject: Subject) -> None:
    """It goes to a device as a whole: tensors are parameters or buffers, not plain attributes, which would stay
    behind."""
    for name, module in TrialModel(subject).model.named_modules():
        stray = [attribute for attribute, value in vars(module).items() if isinstance(value, Tensor)]
        ensure(not stray, f"{name or 'it'} has the tensor {', '.join(stray)} as a plain attribute: use register_buffer")
        lists = [
            a
            for a, v in vars(module).items()
            if isinstance(v, (list, tuple)) and any(isinstance(m, nn.Module) for m in v)
        ]
        ensure(not lists, f"{name or 'it'} keeps modules in the list {', '.join(lists)}: use nn.ModuleList")


@promise("model")
def check_autocast(subject: Subject) -> None:
    """In bf16 mixed precision its outputs and gradients stay finite, and its outputs near those of float32."""
    trial = TrialModel(subject).applied()
    fields = trial.fields()
    expected = trial(fields)
    with torch.autocast("cpu", torch.bfloat16):
        seen = trial(fields)
    _finite(seen, "bf16 autocast")
    objective({name: value.float() for name, value in seen.items()}).backward()  # type: ignore[no-untyped-call]
    for name, parameter in trial.model.named_parameters():
        ensure(
            parameter.grad is None or torch.isfinite(parameter.grad).all(),
            f"under autocast the gradient of {name} is not finite",
        )
    differs = near({n: v.detach() for n, v in expected.items()}, {n: v.detach() for n, v in seen.items()}, 0.2)
    ensure(not differs, f"under autocast {differs}")


@promise("model")
def check_compile(subject: Subject) -> None:
    """``torch.compile`` can trace it, gradients included, and what comes out is the same: for users that is one key,
    ``trainer.compile``."""
    if not torch._dynamo.is_dynamo_supported():  # type: ignore[attr-defined]
        raise NotApplicable("torch.compile does not support this platform")
    trial = TrialModel(subject).applied()
    fields = trial.fields()
    expected = trial(fields)
    torch._dynamo.reset()
    try:
        compiled = torch.compile(trial.model, backend="aot_eager")
        outputs = dict(compiled(**fields))
        objective(outputs).backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise Broken(f"torch.compile cannot trace it: {cause_of(error)[:300]}") from error
    finally:
        torch._dynamo.reset()
    _declared(trial, outputs, trial.items)
    differs = near(expected, outputs, 1e-3)
    ensure(not differs, f"compiled, {differs}")


@promise("model")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It does not change the fields that it is given: losses compare its outputs with them."""
    trial = TrialModel(subject).trained()
    fields = trial.fields()
    kept = {name: value.clone() for name, value in fields.items()}
    trial(fields)
    for name, value in fields.items():
        ensure(torch.equal(value, kept[name]), f"it changed '{name}' in place")


@promise("model")
def check_optional_fields(subject: Subject) -> None:
    """A field with the default ``None`` may be absent: not every data set has a mask, or both platforms."""
    trial = TrialModel(subject).applied()
    optional = sorted(trial.optional & set(trial.names))
    if not optional:
        raise NotApplicable("it takes no optional field that its spec has")
    for name in optional:
        try:
            _finite(trial(trial.fields(without=frozenset([name]))), f"fields without '{name}'")
        except (Broken, NotApplicable):
            raise
        except Exception as error:
            raise Broken(f"without '{name}' it raised {cause_of(error)}") from error


@promise("model")
def check_verbs(subject: Subject) -> None:
    """``encode`` gives latents and ``reconstruct`` a reconstruction of each item, or they say by a ``UserError`` that
    there are none; the verbs of the command line are these."""
    trial = TrialModel(subject).applied()
    fields, declared = trial.fields(), trial.provides()
    for verb, output in (("encode", "latent"), ("reconstruct", "prediction")):
        try:
            with torch.no_grad():
                found = getattr(trial.model, verb)(**fields)
        except UserError as error:
            ensure(output not in declared, f"it provides '{output}', and {verb} raised {error}")
            continue
        ensure(isinstance(found, Tensor), f"{verb} returned {type(found).__name__}, not a tensor")
        ensure(len(found) == trial.items, f"{verb} returned {len(found)} items for {trial.items}")
        if verb == "reconstruct" and output in declared:
            wanted = tuple(declared[output].shape)
            fits = all(w in (None, s) for w, s in zip(wanted, found.shape[1:], strict=False))
            ensure(fits, f"{verb} returned {tuple(found.shape)}, '{output}' is declared as {wanted}")


@promise("model")
def check_decode(subject: Subject) -> None:
    """``decode`` makes of the latents of ``encode`` what ``forward`` predicts: what else makes latents, a diffusion
    model for one, is shown through it. A model whose latents do not suffice says so by a ``UserError``."""
    trial = TrialModel(subject).applied()
    fields, declared = trial.fields(), trial.provides()
    try:
        with torch.no_grad():
            decoded = trial.model.decode(trial.model.encode(**fields))
    except UserError as error:
        raise NotApplicable(str(error)) from error
    ensure(isinstance(decoded, dict), f"decode returned {type(decoded).__name__}, not a dict of tensors")
    strange = sorted(set(decoded) - set(declared))
    ensure(not strange, f"decode returned {', '.join(strange)}, which it does not declare")
    with torch.no_grad():
        outputs = trial(fields)
    for name, value in decoded.items():
        ensure(isinstance(value, Tensor), f"decode returned a {type(value).__name__} as '{name}', not a tensor")
        shapes = tuple(value.shape), tuple(outputs[name].shape)
        ensure(shapes[0] == shapes[1], f"decode returned '{name}' of shape {shapes[0]}, forward of {shapes[1]}")
    differs = near({name: outputs[name] for name in decoded}, decoded, 1e-3)
    ensure(not differs, f"decoded from the latents of encode, {differs}")
