"""What an augmentation promises."""

from __future__ import annotations

from stemcore.plugins.discovery import cause_of
from stemcore.testing.checks import augmentation_together  # noqa: F401  promises of its own
from stemcore.testing.placement import META, on_device, other_devices, with_gaps
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.randomness import without_global_randomness
from stemcore.testing.subject import Subject
from stemcore.testing.trial_augmentation import (
    BOUND,
    SEEDS,
    AugmentationTrial,
    DrawnOn,
    augmented,
    ensure_finite,
    same,
)


@promise("augmentation")
def check_fields(subject: Subject) -> None:
    """``fields`` names what it acts on: fields of the data, or ``target``. Left to itself, a geometric one takes the
    input and all that is like it, or a mask would lie elsewhere than its image; a corrupting one takes the input, and
    no field besides it but ``target``: what a model learns to restore stays as it is."""
    trial = AugmentationTrial(subject)
    kind = trial.built().kind
    ensure(kind in ("geometric", "corrupting"), f"kind is {kind!r}: right are 'geometric' and 'corrupting'")
    if "fields" in subject.config or "input" not in trial.spec:
        return
    needed = {"input"}
    if kind == "geometric":
        needed |= {name for name, field in trial.spec.items() if field.like == "input"}
    else:
        more = [name for name in trial.fields if name not in ("input", BOUND)]
        ensure(not more, f"it is a corrupting one and changes {', '.join(more)} without being asked to")
    missing = [name for name in trial.spec if name in needed - {*trial.fields}]
    ensure(not missing, f"its fields {', '.join(trial.fields)} leave out {', '.join(missing)}")


@promise("augmentation")
def check_output(subject: Subject) -> None:
    """It returns the fields that it was given, no more and no less, each in its shape and type and with finite values:
    models are built for the fields that the data declare, and masks are bool."""
    trial = AugmentationTrial(subject)
    for seed in SEEDS[:5]:
        found = augmented(trial.built(), trial.batch, seed)
        names = f"it was given {', '.join(sorted(trial.batch))} and returned {', '.join(sorted(found)) or 'nothing'}"
        ensure(found.keys() == trial.batch.keys(), names)
        for name, value in found.items():
            before = trial.batch[name]
            shapes = f"{tuple(before.shape)} to {tuple(value.shape)}"
            ensure(value.shape == before.shape, f"it changes the shape of '{name}' from {shapes}")
            types = f"{before.dtype} to {value.dtype}".replace("torch.", "")
            ensure(value.dtype == before.dtype, f"it changes the type of '{name}' from {types}")
        ensure_finite(found, "")


@promise("augmentation")
def check_seed(subject: Subject) -> None:
    """The state of ``generator`` decides what comes out, whatever was augmented before: it is seeded for every batch
    anew, so that a resumed run goes on as it would have."""
    trial = AugmentationTrial(subject)
    used = trial.built()
    found = [augmented(used, trial.batch, seed) for seed in SEEDS]
    ensure(same(augmented(trial.built(), trial.batch, 3), found[3]), "built again, it makes something else of a seed")
    ensure(same(augmented(used, trial.batch, 3), found[3]), "called again, it makes something else of the same seed")
    differ = any(not same(one, found[0]) for one in found[1:])
    ensure(differ, f"{len(found)} seeds gave the same: is nothing left to chance, or is it not drawn from generator?")


@promise("augmentation")
def check_no_global_randomness(subject: Subject) -> None:
    """Randomness comes from ``generator`` alone: the global generators of torch, NumPy and Python are neither used nor
    changed, or an augmentation would change what the model draws."""
    trial = AugmentationTrial(subject)
    augmentation = trial.built()
    first, second = without_global_randomness(lambda: augmented(augmentation, trial.batch))
    ensure(same(first, second), "what comes out depends on the seeds of global generators")


@promise("augmentation")
def check_leaves_inputs_alone(subject: Subject) -> None:
    """It changes no tensor in place: ``target`` is the same tensor as ``input``, and would be corrupted with it."""
    trial = AugmentationTrial(subject)
    for seed in SEEDS[:5]:
        batch = {name: value.clone() for name, value in trial.batch.items()}
        augmented(trial.built(), batch, seed)
        changed = [name for name in batch if not same({"": batch[name]}, {"": trial.batch[name]})]
        ensure(not changed, f"it changes {', '.join(changed)} in place")


@promise("augmentation")
def check_batch_of_one(subject: Subject) -> None:
    """It takes a batch of one item, as the last one of an epoch may be."""
    trial = AugmentationTrial(subject)
    one = {name: value[:1] for name, value in trial.batch.items()}
    for seed in SEEDS[:5]:
        found = augmented(trial.built(), one, seed)
        for name, value in one.items():
            seen = tuple(found[name].shape) if name in found else None
            ensure(seen == tuple(value.shape), f"of {tuple(value.shape)} it makes {seen} for '{name}'")
        ensure_finite(found, " for a batch of one item")


@promise("augmentation")
def check_memory_layout(subject: Subject) -> None:
    """It takes tensors of any memory layout, as an augmentation before it leaves them. ``reshape`` serves where
    ``view`` fails."""
    trial = AugmentationTrial(subject)
    try:
        seen = augmented(trial.built(), {name: with_gaps(value) for name, value in trial.batch.items()})
    except RuntimeError as error:
        raise Broken(f"given tensors that are not contiguous it raised {cause_of(error)}") from error
    expected = augmented(trial.built(), trial.batch)
    ensure(same(seen, expected), "of tensors that are not contiguous it makes something else")


@promise("augmentation")
def check_zeros(subject: Subject) -> None:
    """Of zeros, and of a field's smallest valid value, it makes finite values: a pattern without a count is common."""
    trial = AugmentationTrial(subject)
    for what, value in {"zeros": 0.0, "the smallest valid values": None}.items():
        batch = dict(trial.batch)
        for name, tensor in trial.batch.items():
            spec = trial.spec.get(name) or trial.spec["input"]
            batch[name] = tensor.new_full(tensor.shape, value if value is not None else spec.minimum or 0)
        for seed in SEEDS[:5]:
            ensure_finite(augmented(trial.built(), batch, seed), f" for {what}")


@promise("augmentation")
def check_device(subject: Subject) -> None:
    """It works where the batch is: random numbers are drawn there, since the generator is of that device, and whatever
    tensor it holds is a buffer. On a machine without an accelerator, tensors without data stand for it."""
    trial = AugmentationTrial(subject)
    tried = []
    for device in other_devices():
        batch = {name: value.to(device) for name, value in trial.batch.items()}
        with on_device(device), DrawnOn(device):
            # There is no generator of the meta device: any serves.
            found = augmented(trial.built().to(device), batch, device="cpu" if device.type == META else device)
            for name, value in found.items():
                ensure(value.device.type == device.type, f"'{name}' of a batch on {device} is on {value.device}")
            tried.append(device)
    if not tried:
        raise NotApplicable("it looks at values, and no accelerator is here to try it on")


@promise("augmentation")
def check_no_parameters(subject: Subject) -> None:
    """It has no trainable parameters: these live in the model, where optimizers and checkpoints find them."""
    names = [name for name, _ in AugmentationTrial(subject).built().named_parameters()]
    ensure(not names, f"it has trainable parameters: {', '.join(names)}")
