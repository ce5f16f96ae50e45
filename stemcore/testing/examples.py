"""Examples: how contract checks configure a component, and what its author promises of it.

Most components need none: parameters that have a default, or ``Field(examples=[...])``, and tensors with standard names
are filled in. Where that does not do, the hook ``stem_examples`` names a function for a component,

    {"loss/total_variation": "stem_tv.examples:total_variation"}

which is given an empty folder (``pathlib.Path``) and returns one example or several of the component's kind.
Tensors may be given as ``torch.Tensor`` or ``numpy.ndarray``; the first axis is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stemcore.component.fields import DataSpec, FieldSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from stemcore.component.model import Model

    Array = Tensor | np.ndarray

Tensors = Mapping[str, "Array"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One configuration of a component.

    Attributes:
        config: the component's keys as a recipe has them.
        label: tells the examples of a component apart.
        expected_failures: ``{check: reason}`` for promises that this example is known not to keep.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    expected_failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetExample(Example):
    """A data set. Write the files it needs into the folder that the function is given.

    Attributes:
        broken: configurations of a missing, damaged or unfitting source by what is wrong: each must raise
            ``UserError``. For a file or folder under ``path``, missing and damaged ones are made by the check.
    """

    broken: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SamplerExample(Example):
    """A sampler.

    Attributes:
        blocks: training blocks that it is made for, arrays of item indices; 40 of 1 to 12 items by default.
        values: by name, small fields (n, ...) of the data that it is bound to, for all items of the blocks; by default
            a ``label`` with three classes of different size, negative for some items.
    """

    blocks: Sequence[np.ndarray] = ()
    values: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TransformExample(Example):
    """A transform.

    Attributes:
        spec: the field it is built for; images (1, 16, 16) by default.
        batch: stored values of that field, (n, *shape), n at least 6; by default smooth and positive ones.
        tolerance: of ``inverse(forward(x)) == x``, relative to the largest value; ``None`` for a value transform that
            loses information and whose inverse is only an estimate.
    """

    spec: FieldSpec | None = None
    batch: Array | None = None
    tolerance: float | None = 1e-4


@dataclass(frozen=True, kw_only=True)
class AugmentationExample(Example):
    """An augmentation.

    Attributes:
        spec: the fields it is built for; by default images and a mask that is like them.
        tensors: stored values of the fields, (n, *shape); by default smooth and positive ones.
    """

    spec: DataSpec | None = None
    tensors: Tensors = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelExample(Example):
    """A model.

    Attributes:
        specs: fields after the transforms, in at least two sizes; images (1, 16, 16) and (1, 24, 20) by default.
        odd: fields of an awkward size: the model must take them, or refuse them by ``UserError`` when it is built;
            images (1, 17, 13) by default.
        tensors: values of a field that has no standard name, by a function of the spec and the number of items.
        unused: patterns (as of ``fnmatch``) of parameters that no gradient of the outputs reaches.
        items: size of a batch; at least 2. Smaller than it is for a model that takes long.
    """

    specs: Sequence[DataSpec] = ()
    odd: DataSpec | None = None
    tensors: Callable[[DataSpec, int], Tensors] | None = None
    unused: Sequence[str] = ()
    items: int = 4


@dataclass(frozen=True, kw_only=True)
class LossExample(Example):
    """A loss.

    Attributes:
        tensors: what ``forward`` is given, beside or in place of the standard tensors.
        zero: tensors (in place of the others of those names) for which the loss is zero.
        mean: whether the loss of a batch is the mean of the losses of its items.
        edges: by name, tensors (in place of the others) at which the gradient must stay finite.
        reference: an independent computation in float64 NumPy, called with arrays under the names of ``forward``.
        gradient: names of the tensors whose gradient is compared with finite differences; by default every
            floating-point one that is not a target.
    """

    tensors: Tensors = field(default_factory=dict)
    zero: Tensors | None = None
    mean: bool = False
    edges: Mapping[str, Tensors] = field(default_factory=dict)
    reference: Callable[..., float] | None = None
    gradient: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class MetricExample(Example):
    """A metric.

    Attributes:
        tensors: what ``update`` is given, beside or in place of the standard tensors; at least 6 items.
        reference: an independent computation in float64 NumPy of everything that ``compute`` returns, called with
            arrays under the names of ``update``; a number, or a mapping of numbers.
        tolerance: relative, between parts and whole and to the reference.
    """

    tensors: Tensors = field(default_factory=dict)
    reference: Callable[..., float | Mapping[str, float]] | None = None
    tolerance: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class CallbackExample(Example):
    """A callback.

    Attributes:
        history: what each epoch of a run logs, by name; by default losses that fall and rise again.
        model: makes the model of the run; by default a small autoencoder.
    """

    history: Sequence[Mapping[str, float]] = ()
    model: Callable[[], Model] | None = None


@dataclass(frozen=True, kw_only=True)
class LoggerExample(Example):
    """A logger.

    Attributes:
        read: what its record in a directory holds, one mapping per call of ``log`` in their order: ``step`` and the
            scalars by name (those that it records).
    """

    read: Callable[[Path], Sequence[Mapping[str, float]]] | None = None


@dataclass(frozen=True, kw_only=True)
class FigureExample(Example):
    """A figure.

    Attributes:
        arrays: what ``draw`` is given, beside or in place of the standard tensors.
        scan_shape: of the scan whose positions the items are, for figures of ``source`` ``dataset``.
    """

    arrays: Tensors = field(default_factory=dict)
    scan_shape: tuple[int, ...] | None = (6, 8)


@dataclass(frozen=True, kw_only=True)
class OptimizerExample(Example):
    """An optimizer.

    Attributes:
        shapes: of the parameters that it is given, two of them or more; a matrix and a vector by default.
    """

    shapes: Sequence[tuple[int, ...]] = ((3, 4), (5,))


@dataclass(frozen=True, kw_only=True)
class CommandExample(Example):
    """A verb.

    Attributes:
        arguments: what is typed after the verb in a call that succeeds, made from another, empty folder. ``None``: only
            its help is asked for.
        wrong: arguments of calls that must end with exit code 2.
    """

    arguments: Sequence[str] | None = None
    wrong: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class RecipeExample(Example):
    """A shipped recipe.

    Attributes:
        overrides: ``KEY=VALUE``, for what a user must give, such as the path of the data.
    """

    overrides: Sequence[str] = ()


EXAMPLE_OF: dict[str, type[Example]] = {
    "dataset": DatasetExample,
    "sampler": SamplerExample,
    "transform": TransformExample,
    "augmentation": AugmentationExample,
    "model": ModelExample,
    "loss": LossExample,
    "metric": MetricExample,
    "callback": CallbackExample,
    "logger": LoggerExample,
    "figure": FigureExample,
    "optimizer": OptimizerExample,
    "command": CommandExample,
    "recipe": RecipeExample,
}
"""The kinds whose examples say more than a configuration."""
