"""The fixed parts of a recipe, checked strictly."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, PlainValidator, WithJsonSchema

from stemcore.recipe.parts import Component

PRECISIONS = {
    **{"32": "32", "32-true": "32"},
    **{"16": "16-mixed", "16-mixed": "16-mixed"},
    **{"bf16": "bf16-mixed", "bf16-mixed": "bf16-mixed"},
}


class Section(BaseModel):
    """A part of the recipe whose keys are the core's: strict, and no others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _share(value: Any) -> Any:
    if isinstance(value, Component):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise ValueError("should be a share of the training data, at least 0 and less than 1, or a data set")


def _precision(value: Any) -> Any:
    return PRECISIONS.get(str(value), value)


def _devices(value: Any) -> Any:
    numbers = value if isinstance(value, list) else [value]
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    if value == "auto" or (whole and not isinstance(value, list) and value >= 1):
        return value
    if whole and isinstance(value, list) and value and min(value) >= 0 and len(set(value)) == len(value):
        return value
    raise ValueError("should be auto, a number of devices, or a list of device numbers, each once")


_AUTO_BOOL = {"anyOf": [{"type": "boolean"}, {"const": "auto"}]}
Share = Annotated[Any, PlainValidator(_share), WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 1})]
AtLeastOne = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Workers = Annotated[
    NotNegative | Literal["auto"],
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "auto"}]}),
]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Slot = Annotated[InstanceOf[Component], WithJsonSchema({})]
Switch = Annotated[bool | Literal["auto"], WithJsonSchema(_AUTO_BOOL)]
Precision = Annotated[Literal["32", "16-mixed", "bf16-mixed"], BeforeValidator(_precision)]
Devices = Annotated[
    Any,
    PlainValidator(_devices),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "auto"},
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]


class DataConfig(Section):
    """Where the items come from, how they are split, and what happens to them on the way to the model."""

    train: Slot
    val: Share = Field(0.2, description="a share of the training data, or a data set of its own")
    test: Share = Field(0.0, description="a share of the training data, or a data set of its own")
    split: Literal["item", "block", "group", "given"] = Field(
        "item", description="what is kept together when data are split; given: the data say what each item is for"
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        None, description="parts for cross-validation, each validated on once instead of val; null: none"
    )
    fold: NotNegative | None = Field(
        None, description="the fold to validate on, counted from 0; null: each of them, a run for each"
    )
    augment: list[Slot] = Field(default=[], description="random changes of the training batches, in order")
    transforms: dict[str, list[Slot]] = Field(default={}, description="preprocessing of each field, in order")
    batch_size: AtLeastOne = Field(128, description="items of a training batch, on each device")
    eval_batch_size: AtLeastOne | None = Field(None, description="items of a batch elsewhere; null: batch_size")
    sampler: Slot | None = Field(None, description="which items an epoch visits; null: every one once")
    shuffle_buffer_mb: Finite = Field(512.0, gt=0, description="memory for what is shuffled at a time, MB")
    cache: Literal["auto", "none", "host", "device"] = Field(
        "auto", description="where items are kept once read; auto: on the device or the host where there is room"
    )
    drop_last: bool = Field(False, description="leave out an epoch's last batch where it is short")
    invalid: Literal["error", "clip", "mask"] = Field("error", description="what to do with NaN and negative counts")
    num_workers: Workers = Field(
        "auto", description="threads that read ahead; 0 reads between the steps; auto: one for each core"
    )
    pin_memory: Switch = Field("auto", description="copy batches to a GPU from page-locked memory")
    persistent_workers: bool = Field(True, description="accepted from older recipes: the reading threads always stay")

    @property
    def every_fold(self) -> bool:
        """Whether this stands for a run for each fold."""
        return self.folds is not None and self.fold is None

    @property
    def evaluation_batch_size(self) -> int:
        """Items of a batch that is not trained on."""
        return self.eval_batch_size or self.batch_size


class EarlyStopping(Section):
    """Stops a run that no longer improves."""

    monitor: str = Field("val/loss", description="the logged scalar that is watched")
    patience: AtLeastOne = Field(10, description="epochs without improvement before the run stops")
    min_delta: Finite = Field(0.0, ge=0, description="the least change that counts as an improvement")


class Checkpointing(Section):
    """Which states of a run are kept."""

    monitor: str = Field("val/loss", description="the logged scalar whose best value best.ckpt holds")
    save_top_k: AtLeastOne = Field(1, description="the k best epochs are kept, each under its number, if k is not 1")
    every_n_epochs: NotNegative = Field(0, description="keep one checkpoint each n epochs besides; 0: none")
    every_n_steps: NotNegative = Field(0, description="refresh last.ckpt also each n steps; 0: after each epoch")


class EMA(Section):
    """Exponential moving averages of the weights: what is validated, drawn, kept and applied."""

    decay: Finite = Field(0.999, gt=0, lt=1, description="share of the average that stays at each change")
    warmup: bool = Field(True, description="decay no more than (1 + t) / (10 + t) at the t-th change")
    every_n_steps: AtLeastOne = Field(1, description="optimizer steps from one change to the next")
    start_step: NotNegative = Field(0, description="optimizer steps that are left out; until then the weights serve")


class TrainerConfig(Section):
    """How long to train, in which precision, on what."""

    max_epochs: AtLeastOne = Field(50, description="passes over the training data")
    max_steps: AtLeastOne | None = Field(None, description="optimizer steps after which a run ends; null: no limit")
    precision: Precision = Field("32", description="32, 16-mixed or bf16-mixed")
    devices: Devices = Field("auto", description="auto, a number of devices, or their numbers")
    num_nodes: AtLeastOne = Field(1, description="machines")
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "fsdp"] = Field(
        "auto",
        description="ddp: each device has the whole model; fsdp: a share of each parameter; auto: ddp where there are "
        "several",
    )
    sync_batchnorm: bool = Field(False, description="batch normalisation over the items of all devices")
    accumulate_grad_batches: AtLeastOne = Field(1, description="batches whose gradients make one optimizer step")
    gradient_clip_val: Finite | None = Field(None, gt=0, description="largest norm of the gradients; null: no limit")
    ema: EMA | None = Field(None, description="average the weights over the steps; null: take them as they are")
    early_stopping: EarlyStopping | None = Field(None, description="stop when a scalar no longer improves; null: never")
    checkpoint: Checkpointing = Field(default=Checkpointing(), description="which states of the run are kept")
    log_every_n_steps: AtLeastOne = Field(50, description="steps between two logged training losses")
    val_every_n_epochs: AtLeastOne = Field(1, description="epochs between two validations")
    compile: bool = Field(False, description="compile model, losses and transforms with torch.compile")
    channels_last: Switch = Field("auto", description="the channels-last memory format; auto: where the backend gains")
    profile: bool = Field(False, description="write a profile of the first steps")


class Header(Section):
    """The keys of a recipe that are not sections."""

    stem: Literal[1] = Field(1, description="version of the recipe format")
    name: str = Field(pattern=r"^\w[\w .+-]*$", max_length=100, description="names the folder of its runs")
    seed: int = Field(42, ge=0, lt=2**32, description="of every random choice of the run")
    requires: list[str] = Field(
        default=[],
        description="distributions that must be installed, as for pip (stem-tv>=0.2); a resolved recipe lists all",
    )


class LossKeys(Section):
    """The core's keys beside a loss's own."""

    weight: Annotated[Finite, Field(ge=0)] = Field(1.0, description="factor of this term in the total loss")
    inputs: dict[str, str] = Field(default={}, description="the tensor to take for each parameter")
    gather: bool = Field(False, description="compute it on the items of all devices at once, not on those of each")


class MetricKeys(Section):
    """The core's keys beside a metric's own."""

    inputs: dict[str, str] = Field(default={}, description="the tensor to take for each parameter")
    every_n_steps: AtLeastOne | None = Field(None, description="compute it on training batches too, each n steps")


class FigureKeys(Section):
    """The core's keys beside a figure's own."""

    inputs: dict[str, str] = Field(default={}, description="the array to take for each parameter")
    every_n_epochs: NotNegative = Field(0, description="draw it each n epochs; 0: at the end alone")


class GroupKeys(Section):
    """The core's keys beside an optimizer's own."""

    parameters: list[str] | None = Field(None, description="names of parameters it owns, * and ? allowed; null: all")
    losses: list[str] | None = Field(None, description="losses that it minimises, and no others; null: all")
